"""Ask one proxy, at its own pace, until it shows what is expected: a slow one holds up no other.

At once, a few tens of milliseconds later, and then ever more slowly. What cannot be read is unknown, and unknown
never counts as shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from tenacity import AsyncRetrying, RetryCallState, retry_if_result
from tenacity.wait import wait_exponential, wait_random

from safeapply.errors import ProxyError
from safeapply.istio.proxies import Proxy
from safeapply.ports import Clock, Proxies
from safeapply.rollout.diagnosis import Diagnosis
from safeapply.rollout.reading import Reader
from safeapply.xds.configdump import UnreadableError
from safeapply.xds.expectations import Expectation, Removal
from safeapply.xds.health import Health
from safeapply.xds.shortfalls import Holds, Unknown, Unreachable, Verdict
from safeapply.xds.verdicts import judge

__all__ = ["Inquiry", "Pace"]

LONGEST_REST = 1.0
AGAIN = "is as expected, and is asked once more to be sure"


@dataclass(frozen=True, slots=True)
class Pace:
    """How often is asked, in seconds."""

    first: float = 0.02
    """Until the second question, and between two readings that have to agree."""
    factor: float = 1.5
    slowest: float = 0.25
    jitter: float = 0.02
    listing: float = 2.0
    """Between two tries to learn which pods run, while the API server is silent."""
    watching: float = 0.5
    """How long a barrier stays closed before changes of pods are streamed: most open sooner than that pays."""
    telling: float = 0.25
    """Between two counts that are told while many arrive."""
    answer: float = 10.0
    """How long one answer may take."""


@dataclass(slots=True)
class Inquiry:
    """One proxy while a barrier waits for it."""

    proxy: Proxy
    expectations: tuple[Expectation, ...]
    proxies: Proxies
    clock: Clock
    pace: Pace
    verdict: Verdict = field(default_factory=lambda: Unknown("it has not answered yet"))
    agreeing: int = 0
    """How many readings in a row said that all holds."""
    before: Health | None = None
    """The proxy's counters when the barrier closed, where they are known."""
    _diagnosis: Diagnosis = field(init=False)
    _took: float = 0.0
    """How many seconds the proxy took for the last reading."""
    _task: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self._diagnosis = Diagnosis(self.proxies, self.proxy, self.clock, self.pace.answer, self.before)

    @property
    def health(self) -> Health | None:
        """The proxy's counters when they were last looked at; None where that was not necessary."""
        return self._diagnosis.now or self.before

    @property
    def converged(self) -> bool:
        """Tell whether enough readings agree: two in a row where something must be gone."""
        removal = any(isinstance(one, Removal) for one in self.expectations)
        return self.agreeing >= (2 if removal else 1)

    @property
    def why(self) -> str:
        """What is still missing."""
        return AGAIN if isinstance(self.verdict, Holds) else str(self.verdict)

    def begin(self, on_converged: Callable[[Inquiry], None], on_defect: Callable[[BaseException], None]) -> None:
        """Ask until it has converged, and say so; or say what went wrong, other than a proxy that is silent."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (defect := task.exception()) is not None:
                on_defect(defect)

        self._task = asyncio.create_task(self._ask(on_converged))
        self._task.add_done_callback(ended)

    async def end(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.proxies.release(self.proxy)

    async def _ask(self, on_converged: Callable[[Inquiry], None]) -> None:
        pace, reader = self.pace, Reader(self.proxies, self.proxy, self.expectations, self.pace.answer)
        growing = wait_exponential(multiplier=pace.first, max=pace.slowest, exp_base=pace.factor)
        backing_off = growing + wait_random(0, pace.jitter)

        def pause(state: RetryCallState) -> float:
            # An Envoy answers on the thread that takes its updates: it gets twice as long for those (ENVOY.md 4).
            rest = min(2 * self._took, LONGEST_REST)
            return max(rest, pace.first if self.agreeing else backing_off(state))

        retrying = AsyncRetrying(
            sleep=self.clock.sleep, wait=pause, retry=retry_if_result(lambda converged: not converged)
        )
        await retrying(self._round, reader)
        on_converged(self)
        await self.proxies.release(self.proxy)

    async def _round(self, reader: Reader) -> bool:
        before = reader.spent
        self.verdict = await self._verdict(reader)
        self._took = reader.spent - before
        self.agreeing = self.agreeing + 1 if isinstance(self.verdict, Holds) else 0
        return self.converged

    async def _verdict(self, reader: Reader) -> Verdict:
        """Return the first verdict of a round that is not good, or that all holds."""
        try:
            reading = await reader.read()
        except ProxyError as error:
            return Unreachable(error.reason)
        except UnreadableError as error:
            return Unknown(str(error))
        for verdict in (judge(one, reading) for one in self.expectations):
            if not isinstance(verdict, Holds):
                return await self._diagnosis.explained(verdict)
        return Holds()
