"""What istiod says of a barrier's stragglers: which updates they refused, in Envoy's words (ISTIO.md 7.6).

Envoy itself keeps no word on a refused cluster or route, and under Istio does not even count a refused route.
istiod was told of both. Its word explains and proves nothing, so a replica that is silent stops nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from safeapply.istio.proxies import Proxy
from safeapply.istio.replicas import Replica, Spoken
from safeapply.ports import Clock, Istiods
from safeapply.rollout.census import hear
from safeapply.xds.health import in_short
from safeapply.xds.shortfalls import Disconnected, Holds, Rejected, Unreachable, Verdict

__all__ = ["Hearsay"]

FIRST, EVERY = 1.0, 3.0
"""Seconds until istiod is asked at all, and between two times: its page tells of every proxy."""


@dataclass(slots=True)
class Hearsay:
    """What the replicas said last, asked as long as a barrier stays closed."""

    istiods: Istiods | None
    clock: Clock
    replicas: Callable[[], Collection[Replica]]
    """Those that run at this moment."""
    _spoken: Spoken = field(default_factory=Spoken)
    _task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Ask from now on, where istiod can be asked."""
        if self.istiods is not None:
            self._task = asyncio.create_task(self._ask(self.istiods))

    async def end(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def explained(self, proxy: Proxy, verdict: Verdict) -> Verdict:
        """Return what a proxy lacks, with what it refused where istiod knows of that."""
        said = self._spoken.about(proxy)
        refused = said[1].rejected if said else None
        if not refused or isinstance(verdict, Holds | Unreachable):
            return verdict
        words = "; ".join(dict.fromkeys(map(in_short, refused.values())))
        if isinstance(verdict, Rejected):
            return Rejected(
                tuple(dict.fromkeys((*verdict.types, *refused))), verdict.reason or words, verdict.shortfall
            )
        return Rejected(tuple(refused), words, verdict.shortfall if isinstance(verdict, Disconnected) else verdict)

    async def _ask(self, istiods: Istiods) -> None:
        await self.clock.sleep(FIRST)
        while True:
            self._spoken = Spoken.of(await hear(istiods, self.replicas()))
            await self.clock.sleep(EVERY)
