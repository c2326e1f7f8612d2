"""Who may ask now: a bounded number at once, and the slow never in the way of the quick.

Half of the places are for the quick. An answer that takes longer than a moment goes on in a slow place, and who was
slow or silent the last time begins in one. So Envoys that cannot be reached cost the others a moment at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

__all__ = ["MOMENT", "Lanes"]

MOMENT = 1.0
"""Seconds after which an answer is slow."""


class Lanes:
    """Places for questions, some quick and some slow; a single place is for all."""

    def __init__(self, places: int, *, moment: float = MOMENT) -> None:
        self._moment = moment
        slow = places // 2
        self._quick = asyncio.Semaphore(places - slow)
        self._slow = asyncio.Semaphore(slow) if slow else self._quick
        self._late: set[str] = set()
        """Who was slow or silent the last time."""
        self._kept: dict[str, tuple[asyncio.Semaphore, asyncio.Handle]] = {}
        """Places of those who were answered in this turn of the loop: the next question often follows at once."""

    @asynccontextmanager
    async def place(self, who: str, deadline: float) -> AsyncIterator[None]:
        """Wait for a place, and hold it while a question is answered.

        Args:
            who: whose answer it is.
            deadline: how many seconds the answer may take, once there is a place.

        Raises:
            TimeoutError: it took longer; or longer than a moment, while all slow places are taken.
        """
        turn = _Turn(await self._lane(who))
        try:
            async with asyncio.timeout(deadline) as limit:
                loop = asyncio.get_running_loop()
                timer = loop.call_later(self._moment, self._step_aside, turn, limit)
                self._late.add(who)
                try:
                    yield
                finally:
                    timer.cancel()
                if turn.step is None:
                    self._late.discard(who)
        finally:
            if turn.step is not None:
                turn.step.cancel()
            self._keep(who, turn.lane)

    async def _lane(self, who: str) -> asyncio.Semaphore:
        """Return the lane in which there is a place now: the one that was kept, or the next that is free."""
        kept = self._kept.pop(who, None)
        if kept is not None:
            kept[1].cancel()
            return kept[0]
        lane = self._slow if who in self._late else self._quick
        await lane.acquire()
        return lane

    def _keep(self, who: str, lane: asyncio.Semaphore) -> None:
        """Give a place back, unless the same one goes on asking before anybody else runs."""

        def give_back() -> None:
            del self._kept[who]
            lane.release()

        self._kept[who] = (lane, asyncio.get_running_loop().call_soon(give_back))

    def _step_aside(self, turn: _Turn, limit: asyncio.Timeout) -> None:
        turn.step = asyncio.ensure_future(self._change_lane(turn, limit))

    async def _change_lane(self, turn: _Turn, limit: asyncio.Timeout) -> None:
        if turn.lane is self._slow:
            return
        if self._slow.locked():
            limit.reschedule(asyncio.get_running_loop().time())
            return
        await self._slow.acquire()
        self._quick.release()
        turn.lane = self._slow


@dataclass(slots=True)
class _Turn:
    """One question that is being answered."""

    lane: asyncio.Semaphore
    step: asyncio.Future[None] | None = None
    """The change to the slow lane, once a moment is over."""
