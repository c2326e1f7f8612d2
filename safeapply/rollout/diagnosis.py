"""Why a straggler is one: it refused an update, or hears from no istiod.

A refused update does not arrive later, so it is told at once, not when time is up. Counters only grow, so they mean
something by comparison: with what they were when the barrier before was open, or when this one first asked.
"""

from __future__ import annotations

from dataclasses import dataclass

from safeapply.errors import ProxyError
from safeapply.istio.proxies import Proxy
from safeapply.ports import Clock, Proxies
from safeapply.xds.configdump import UnreadableError
from safeapply.xds.health import HEALTH, LISTENER_ERRORS, Health, health, listener_errors, rejected_since
from safeapply.xds.shortfalls import Disconnected, Rejected, Shortfall

__all__ = ["Diagnosis"]

EVERY = 1.0
"""Seconds between two looks at the counters: they cost an Envoy more than all other questions (ENVOY.md 4)."""


@dataclass(slots=True)
class Diagnosis:
    """What is known of one proxy's updates while a barrier waits for it."""

    proxies: Proxies
    proxy: Proxy
    clock: Clock
    deadline: float
    before: Health | None = None
    """The counters when the barrier closed."""
    now: Health | None = None
    _reason: str = ""
    _at: float = float("-inf")

    async def explained(self, shortfall: Shortfall) -> Shortfall | Disconnected | Rejected:
        """Return what a proxy lacks, with the cause where one is known."""
        if self.clock.now() - self._at >= EVERY:
            await self._look()
        if self.before is None or self.now is None:
            return shortfall
        refused = rejected_since(self.before, self.now)
        if refused:
            return Rejected(refused, self._reason, shortfall)
        return shortfall if self.now.connected else Disconnected(shortfall)

    async def _look(self) -> None:
        """Look at the counters; where that fails, what is missing is told without its cause."""
        self._at = self.clock.now()
        try:
            answer = await self.proxies.ask(self.proxy, HEALTH, deadline=self.deadline)
            self.now = health(answer.status, answer.body)
            self.before = self.before or self.now
            if "LDS" in rejected_since(self.before, self.now):
                answer = await self.proxies.ask(self.proxy, LISTENER_ERRORS, deadline=self.deadline)
                self._reason = "; ".join(listener_errors(answer.status, answer.body))
        except (ProxyError, UnreadableError):
            return
