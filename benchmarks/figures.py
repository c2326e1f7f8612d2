"""One measured figure, and how it is printed."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

__all__ = ["Figure", "median_seconds"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure beside the target of DESIGN 11."""

    name: str
    value: float
    unit: str
    target: str

    def __str__(self) -> str:
        """Return the JSON line."""
        return json.dumps(asdict(self))


def median_seconds(work: Callable[[], object], *, runs: int = 5) -> float:
    """Return the median wall time of some runs, after one that is not counted."""
    work()
    return round(statistics.median(_seconds(work) for _ in range(runs)), 4)


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
