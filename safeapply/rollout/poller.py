"""Wait until every concerned proxy shows what is expected (DESIGN 6).

Each proxy is asked at its own pace, so a slow one holds up no other: at once, a few tens of milliseconds later, and
then ever more slowly. The list of proxies is read again while waiting: a pod that appears must satisfy the barrier
too, one that goes is dropped. What cannot be read is unknown, and unknown never opens a barrier.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tenacity import AsyncRetrying, RetryCallState, retry_if_result
from tenacity.wait import wait_exponential, wait_random

from safeapply.errors import BarrierTimeoutError, ClusterError, ProxyError
from safeapply.istio.kinds import POD
from safeapply.istio.proxies import Proxy, proxy_of_pod
from safeapply.ports import Clock, Cluster, Proxies
from safeapply.rollout.durations import duration
from safeapply.rollout.events import BarrierPassed, Event, NoProxies, Straggler, Waiting
from safeapply.rollout.reading import Reader
from safeapply.xds.configdump import UnreadableError
from safeapply.xds.expectations import ClusterAbsent, ClusterUnreferenced, Expectation
from safeapply.xds.verdicts import Holds, Unknown, Verdict, judge

__all__ = ["Pace", "Poller"]

SHOWN_STRAGGLERS = 10


@dataclass(frozen=True, slots=True)
class Pace:
    """How often is asked, in seconds."""

    first: float = 0.02
    """Until the second question, and between two readings that have to agree."""
    factor: float = 1.5
    slowest: float = 0.25
    jitter: float = 0.02
    listing: float = 2.0
    """Between two looks at which pods run."""
    answer: float = 10.0
    """How long one answer may take."""


DEFAULT_PACE = Pace()


@dataclass(slots=True)
class _Watched:
    """One proxy while a barrier waits for it."""

    proxy: Proxy
    expectations: tuple[Expectation, ...]
    reader: Reader
    verdict: Verdict = field(default_factory=lambda: Unknown("not asked yet"))
    agreeing: int = 0
    """How many readings in a row said that all holds."""
    task: asyncio.Task[bool] | None = None

    @property
    def converged(self) -> bool:
        """Tell whether enough readings agree: two in a row where something must be gone."""
        removal = any(isinstance(one, ClusterUnreferenced | ClusterAbsent) for one in self.expectations)
        return self.agreeing >= (2 if removal else 1)


@dataclass(frozen=True, slots=True)
class Poller:
    """Opens barriers, by asking the Envoys."""

    cluster: Cluster
    proxies: Proxies
    clock: Clock
    emit: Callable[[Event], None]
    label_keys: frozenset[str]
    pace: Pace = DEFAULT_PACE

    async def wait(self, step: int, expectations: Sequence[Expectation], *, patience: float) -> None:
        """Return when all expectations hold on every concerned proxy.

        Raises:
            BarrierTimeoutError: some proxy did not show it within ``patience`` seconds; all stragglers are named.
        """
        barrier = _Barrier(self, step, tuple(expectations), self.clock.now())
        try:
            await barrier.open(barrier.started + patience)
        finally:
            await barrier.close()


@dataclass(slots=True)
class _Barrier:
    """One barrier: the proxies it waits for, each with a task of its own."""

    poller: Poller
    step: int
    expectations: tuple[Expectation, ...]
    started: float
    watched: dict[str, _Watched] = field(default_factory=dict)
    slowest: _Watched | None = None
    listed: bool = False

    async def open(self, limit: float) -> None:
        clock = self.poller.clock
        while True:
            fresh = await self._list()
            if fresh and all(one.converged for one in self.watched.values()):
                break
            if clock.now() >= limit:
                raise BarrierTimeoutError(self._complaint(limit - self.started))
            await self._until_all_or(min(self.poller.pace.listing, limit - clock.now()))
            if any(not one.converged for one in self.watched.values()):
                self._tell()
        self._passed()

    async def close(self) -> None:
        await self._drop(list(self.watched))

    async def _list(self) -> bool:
        """Follow the pods: watch the new ones, drop those that went. Tell whether the list is fresh."""
        try:
            pods = await self.poller.cluster.list((POD,))
        except ClusterError:
            # A moment's silence of the API server is no reason to stop; no barrier opens meanwhile.
            return False
        running = {proxy.uid: proxy for pod in pods if (proxy := proxy_of_pod(pod)) is not None}
        await self._drop([uid for uid in self.watched if uid not in running])
        for uid, proxy in running.items():
            if uid not in self.watched and (concerned := self._concerning(proxy)):
                self._watch(uid, proxy, concerned)
        if not self.listed:
            self.listed = True
            self._tell() if running else self.poller.emit(NoProxies(self.poller.clock.now()))
        return True

    def _concerning(self, proxy: Proxy) -> tuple[Expectation, ...]:
        """Return what a proxy has to show.

        One that is not ready gets no traffic, so nothing has to arrive there; but it may be connected and serve
        with what it has, so what goes must be gone there too.
        """
        proxy_class = proxy.class_by(self.poller.label_keys)
        return tuple(
            one
            for one in self.expectations
            if (one.classes is None or proxy_class in one.classes)
            and (proxy.ready or isinstance(one, ClusterUnreferenced | ClusterAbsent))
        )

    def _watch(self, uid: str, proxy: Proxy, concerned: tuple[Expectation, ...]) -> None:
        watched = _Watched(proxy, concerned, Reader(self.poller.proxies, proxy, self.poller.pace.answer))
        watched.task = asyncio.create_task(self._poll(watched))
        self.watched[uid] = watched

    async def _drop(self, uids: list[str]) -> None:
        for uid in uids:
            watched = self.watched.pop(uid)
            if watched.task is not None:
                watched.task.cancel()
                with suppress(asyncio.CancelledError):
                    await watched.task
            await self.poller.proxies.release(watched.proxy)

    async def _poll(self, watched: _Watched) -> bool:
        """Ask one proxy until it has converged."""
        pace = self.poller.pace
        growing = wait_exponential(multiplier=pace.first, max=pace.slowest, exp_base=pace.factor)
        backing_off = growing + wait_random(0, pace.jitter)

        def pause(state: RetryCallState) -> float:
            return pace.first if watched.agreeing else backing_off(state)

        retrying = AsyncRetrying(
            sleep=self.poller.clock.sleep, wait=pause, retry=retry_if_result(lambda converged: not converged)
        )
        await retrying(self._round, watched)
        await self.poller.proxies.release(watched.proxy)
        self.slowest = watched
        self._tell()
        return True

    async def _round(self, watched: _Watched) -> bool:
        watched.verdict = await self._verdict(watched)
        watched.agreeing = watched.agreeing + 1 if isinstance(watched.verdict, Holds) else 0
        return watched.converged

    async def _verdict(self, watched: _Watched) -> Verdict:
        """Return the first verdict of a round that is not good, or that all holds."""
        try:
            reading = await watched.reader.read(watched.expectations)
        except ProxyError as error:
            return Unknown(error.reason)
        except UnreadableError as error:
            return Unknown(str(error))
        verdicts = (judge(one, reading) for one in watched.expectations)
        return next((verdict for verdict in verdicts if not isinstance(verdict, Holds)), Holds())

    async def _until_all_or(self, seconds: float) -> None:
        """Return when all have converged, or after this long."""
        tasks = [one.task for one in self.watched.values() if one.task is not None]
        if not tasks:
            await self.poller.clock.sleep(seconds)
            return
        await _first(asyncio.wait(tasks), self.poller.clock.sleep(seconds))
        for task in tasks:
            if task.done() and not task.cancelled():
                task.result()

    def _tell(self) -> None:
        self.poller.emit(
            Waiting(
                at=self.poller.clock.now(),
                step=self.step,
                converged=sum(one.converged for one in self.watched.values()),
                total=len(self.watched),
                stragglers=self._stragglers(),
            )
        )

    def _stragglers(self) -> tuple[Straggler, ...]:
        return tuple(
            Straggler(one.proxy.id, str(one.verdict)) for one in self.watched.values() if not one.converged
        )

    def _passed(self) -> None:
        now = self.poller.clock.now()
        self.poller.emit(
            BarrierPassed(
                at=now,
                step=self.step,
                proxies=len(self.watched),
                seconds=now - self.started,
                slowest=self.slowest.proxy.id if self.slowest else None,
            )
        )

    def _complaint(self, seconds: float) -> str:
        stragglers = self._stragglers()
        shown = "".join(f"\n  {one.proxy}: {one.why}" for one in stragglers[:SHOWN_STRAGGLERS])
        more = len(stragglers) - SHOWN_STRAGGLERS
        return (
            f"the barrier before step {self.step} did not open within {duration(seconds)}; the mesh is in a safe "
            f"state, and the same command goes on from here. {len(stragglers)} of {len(self.watched)} proxies are "
            "behind:"
            f"{shown}" + (f"\n  and {more} more" if more > 0 else "")
        )


async def _first(*waits: Coroutine[object, object, object]) -> None:
    """Return when one of several waits is over, and end the others."""
    tasks = [asyncio.create_task(one) for one in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
