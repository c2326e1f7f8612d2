"""Delays drawn from the seed: one stream for each leg, so that one leg's draws never shift another's. Pure."""

from __future__ import annotations

import random

from safeapply.sandbox.delays import Span

__all__ = ["Draws"]


class Draws:
    """Streams of uniform draws, by name."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._streams: dict[str, random.Random] = {}

    def draw(self, span: Span, stream: str) -> float:
        """Return the next delay of a stream; the n-th draw of a stream is the same in every run with this seed."""
        if stream not in self._streams:
            self._streams[stream] = random.Random(f"{self._seed}/{stream}")  # noqa: S311 - a simulation
        # One draw is always taken, so that a run with no delay does not shift the runs after it.
        return span.low + (span.high - span.low) * self._streams[stream].random()

    def restart(self, seed: int | None = None) -> None:
        """Begin every stream anew, from another seed where one is given."""
        self._seed = self._seed if seed is None else seed
        self._streams.clear()
