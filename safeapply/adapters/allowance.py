"""How much memory the answers of all proxies may take together as they come in: none is trusted to come to an end.

Small answers come in side by side. A large one waits until few enough others are large, so that a fleet in which
some answer without an end is read in the same memory as one that is well. Who has not ended in time, or was cut,
is among the last to get such a place again: it may hold up its like, and nobody else.

How large answers are, measured on a real Envoy with 5,000 clusters as istiod makes them: its whole config dump with
endpoints 25 MB, all clusters 13 MB, all routes 7 MB; one question of a barrier 3 kB to 1 MB. With 20,000 clusters
all routes are 29 MB, and are the most that is ever asked for at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["LARGEST", "Allowance", "Bounded", "Share", "TooLargeError", "TunnelError"]

SMALL, MIDDLE, LARGEST = 256 * 1024, 8 * 1024**2, 32 * 1024**2
"""Bytes up to which an answer is small, and middling, and what none may exceed."""
MIDDLING, LARGE, LATE = 8, 1, 2
"""How many answers are middling at once, how many large, and how many of both are of those who were late."""


class TunnelError(Exception):
    """The way to a server broke, and why; what was asked has no answer."""


class TooLargeError(TunnelError):
    """An answer that is larger than any that is asked for."""

    def __init__(self, most: int) -> None:
        super().__init__(f"its answer has more than {most // 1024**2} MiB")


class Share(Protocol):
    """What one answer may take."""

    async def take(self, count: int) -> None:
        """Return when so many bytes more may be kept.

        Raises:
            TooLargeError: they may never be.
        """
        ...


@dataclass(slots=True)
class Bounded:
    """A share that stands in nobody's way: for answers of those who are trusted, or asked one at a time."""

    most: int
    taken: int = 0

    async def take(self, count: int) -> None:
        """Count."""
        self.taken += count
        if self.taken > self.most:
            raise TooLargeError(self.most)


@dataclass(slots=True)
class Allowance:
    """What all answers may take; at most 64 x 256 KiB + 8 x 8 MiB + 32 MiB, with 64 connections."""

    _middling: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MIDDLING))
    _large: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LARGE))
    _of_the_late: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LATE))
    _late: set[str] = field(default_factory=set)

    @asynccontextmanager
    async def share(self, who: str) -> AsyncIterator[Share]:
        """Hand over what an answer may take, and take it back when it is in.

        Args:
            who: whose answer it is.
        """
        async with AsyncExitStack() as places:
            share = _Part(self, places, is_late=who in self._late)
            try:
                yield share
            except BaseException:
                if share.taken > SMALL:
                    self._late.add(who)
                raise
            self._late.discard(who)

    async def enter(self, places: AsyncExitStack, before: int, after: int, *, is_late: bool) -> None:
        """Wait for the places that an answer needs which grows from one size to another."""
        if before <= SMALL < after:
            if is_late:
                await places.enter_async_context(self._of_the_late)
            await places.enter_async_context(self._middling)
        if before <= MIDDLE < after:
            await places.enter_async_context(self._large)


@dataclass(slots=True)
class _Part:
    allowance: Allowance
    places: AsyncExitStack
    is_late: bool
    taken: int = 0

    async def take(self, count: int) -> None:
        before, self.taken = self.taken, self.taken + count
        if self.taken > LARGEST:
            raise TooLargeError(LARGEST)
        await self.allowance.enter(self.places, before, self.taken, is_late=self.is_late)
