"""What is due when: the events of the simulated delays, in order of their due times.

An event runs with the time at which it was *due*, not the time at which a busy machine came round to it. So every
later event that follows from it is drawn exactly, run after run, and being late is measured, never hidden. Pure:
whoever owns a clock says how far time has come.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import TypeAlias

__all__ = ["Action", "Timeline"]

Action: TypeAlias = Callable[[float], None]
"""Called once with the time at which it was due."""


class Timeline:
    """Actions that wait for their time."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, Action]] = []
        self._count = itertools.count()

    def at(self, due: float, action: Action) -> None:
        """Let an action run when its time has come; those due together run in the order of asking."""
        heapq.heappush(self._waiting, (due, next(self._count), action))

    @property
    def next_due(self) -> float | None:
        """When the next action is due, or None where none waits."""
        return self._waiting[0][0] if self._waiting else None

    def advance(self, now: float) -> None:
        """Run everything that is due by now, including what that brings about."""
        while self._waiting and self._waiting[0][0] <= now:
            due, _, action = heapq.heappop(self._waiting)
            action(due)
