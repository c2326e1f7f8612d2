"""Wait until every concerned proxy shows what is expected (DESIGN 6).

The pods are followed while waiting: one that appears must satisfy the barrier too, one that goes is dropped, one
that is not ready counts for removals. Before a removal the replicas of istiod are asked as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field

from safeapply.errors import BarrierTimeoutError
from safeapply.istio.mesh_settings import ISTIO_SYSTEM
from safeapply.istio.proxies import Proxy, ProxyId, Traits
from safeapply.istio.replicas import Written
from safeapply.ports import Clock, Cluster, Istiods, Proxies
from safeapply.resources.objects import Namespace
from safeapply.rollout.durations import duration
from safeapply.rollout.events import (
    BarrierPassed,
    Event,
    LeftOut,
    NoProxies,
    ReplicasAsked,
    Straggler,
    Unasked,
    Waiting,
)
from safeapply.rollout.hearsay import Hearsay
from safeapply.rollout.inquiry import Inquiry, Pace
from safeapply.rollout.oversight import Oversight
from safeapply.rollout.roster import Roster
from safeapply.rollout.strangers import is_excluded, strangers
from safeapply.xds.expectations import Expectation, Firm, concerns
from safeapply.xds.health import Health

__all__ = ["DEFAULT_PACE", "Pace", "Poller"]

DEFAULT_PACE = Pace()


@dataclass(frozen=True, slots=True)
class Poller:
    """Opens barriers, by asking the Envoys."""

    cluster: Cluster
    proxies: Proxies
    clock: Clock
    emit: Callable[[Event], None]
    traits: Traits
    pace: Pace = DEFAULT_PACE
    istiods: Istiods | None = None
    """The replicas of istiod; without them nobody is asked what they have seen."""
    root_namespace: Namespace = ISTIO_SYSTEM
    exclude: tuple[str, ...] = ()
    """``NAMESPACE/POD`` patterns of proxies that do not count."""
    healths: dict[tuple[str, int], Health] = field(default_factory=dict)
    """Each straggler's counters when it had converged, by its life: what grows after that, this rollout caused."""

    async def wait(
        self, step: int, expectations: Sequence[Expectation], *, patience: float, writes: Collection[Written] = ()
    ) -> None:
        """Return when all expectations hold on every concerned proxy.

        Args:
            step: what the events are about.
            expectations: what has to be seen; with none, only istiod is asked.
            patience: how many seconds it may take.
            writes: what every replica of istiod has to have seen, where something is to be removed.

        Raises:
            BarrierTimeoutError: some proxy did not show it in time; all stragglers are named.
        """
        removal = not expectations or any(isinstance(one, Firm) for one in expectations)
        oversight = Oversight(self.istiods, writes) if self.istiods and removal and writes else None
        barrier = _Barrier(self, step, tuple(expectations), oversight, self.clock.now())
        try:
            await barrier.open(barrier.started + patience)
        finally:
            await barrier.close()


@dataclass(slots=True)
class _Barrier:
    """One barrier: the proxies it waits for, each with an inquiry of its own."""

    poller: Poller
    step: int
    expectations: tuple[Expectation, ...]
    oversight: Oversight | None
    started: float
    roster: Roster = field(init=False)
    hearsay: Hearsay = field(init=False)
    inquiries: dict[tuple[str, int], Inquiry] = field(default_factory=dict)
    """By the life of the proxy: a container that was started anew has to show everything again."""
    missing: set[tuple[str, int]] = field(default_factory=set)
    """Those that have not converged; fleets are large, so nobody counts them twice."""
    behind: tuple[Straggler, ...] = ()
    """Replicas of istiod that have not seen everything; then proxies that none of them knows."""
    strange: bool = False
    """Whether they are such proxies."""
    slowest: Inquiry | None = None
    told: float = float("-inf")
    """When the last count was told, and of whom."""
    last: tuple[Straggler, ...] | None = None
    defect: BaseException | None = None
    """A fault of ours that ended an inquiry."""
    edition: int = 0
    """The edition of the roster that the inquiries follow."""
    stirred: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        poller = self.poller
        self.roster = Roster(poller.cluster, poller.clock, poller.pace, poller.root_namespace, self.stirred.set)
        self.hearsay = Hearsay(poller.istiods, poller.clock, lambda: self.roster.replicas)

    async def open(self, limit: float) -> None:
        clock = self.poller.clock
        self.roster.begin()
        self.hearsay.begin()
        while not await self._holds():
            if clock.now() >= limit:
                raise self._complaint(limit - self.started)
            await self._until_stirred_or(min(self._pause(), limit - clock.now()))
            if clock.now() - self.told >= self.poller.pace.telling and self._is_held_up():
                self._tell()
        self._passed()

    def _pause(self) -> float:
        """Return how long nothing need happen until the barrier is looked at again."""
        if self.missing:
            return self.poller.pace.telling
        if self.strange:
            return self.poller.pace.listing
        return self.oversight.pause if self.behind and self.oversight else self.poller.pace.listing

    async def close(self) -> None:
        await self.roster.end()
        await self.hearsay.end()
        await asyncio.gather(*(inquiry.end() for inquiry in self.inquiries.values()))

    async def _holds(self) -> bool:
        """Tell whether everything holds, and the list of those who have to show it is fresh."""
        await self._catch_up()
        if not self.roster.listed or self.missing or not await self.roster.confirmed():
            return False
        return await self._is_overseen() and self.edition == self.roster.edition

    async def _catch_up(self) -> None:
        """Ask the proxies that the roster has now, and no others."""
        self.stirred.clear()
        self.roster.check()
        if self.defect is not None:
            raise self.defect
        if self.edition == self.roster.edition:
            return
        if self.edition == 0 and self.roster.listed and not self.roster.proxies:
            self.poller.emit(NoProxies(self.poller.clock.now()))
        first, self.edition = self.edition == 0, self.roster.edition
        exclude = self.poller.exclude
        counted = (one for one in self.roster.proxies if not is_excluded(one, exclude))
        wanted = {one.life: (one, self._concerning(one)) for one in counted}
        for life in [one for one, known in self.inquiries.items() if _is_other(known, wanted.get(one))]:
            self.missing.discard(life)
            await self.inquiries.pop(life).end()
        for life, (proxy, concerned) in wanted.items():
            if concerned and life not in self.inquiries:
                self._inquire(life, proxy, concerned)
        if first and self.roster.proxies:
            self._tell()

    def _concerning(self, proxy: Proxy) -> tuple[Expectation, ...]:
        """Return what a proxy has to show.

        One that is not ready gets no traffic, so nothing has to arrive there; but it may be connected and serve
        with what it has, so what goes must be gone there too.
        """
        classes = self.poller.traits.classes(proxy)
        return tuple(
            one
            for one in self.expectations
            if any(concerns(one, each) for each in classes) and (proxy.ready or isinstance(one, Firm))
        )

    def _inquire(self, life: tuple[str, int], proxy: Proxy, concerned: tuple[Expectation, ...]) -> None:
        poller = self.poller
        before = poller.healths.get(life)
        self.inquiries[life] = Inquiry(proxy, concerned, poller.proxies, poller.clock, poller.pace, before=before)
        self.missing.add(life)
        self.inquiries[life].begin(self._converged, self._failed)

    def _converged(self, inquiry: Inquiry) -> None:
        self.missing.discard(inquiry.proxy.life)
        if inquiry.health is not None:
            self.poller.healths[inquiry.proxy.life] = inquiry.health
        self.slowest = inquiry
        self.stirred.set()

    def _failed(self, defect: BaseException) -> None:
        self.defect = defect
        self.stirred.set()

    async def _is_overseen(self) -> bool:
        """Ask the replicas of istiod what they have seen, where something is to be removed."""
        if self.oversight is None:
            return True
        self.behind, self.strange = await self.oversight.look(self.roster.replicas), False
        if not self.behind:
            asked = [inquiry.proxy for inquiry in self.inquiries.values()]
            self.behind = await strangers(self.oversight.istiods, self.roster.replicas, asked)
            self.strange = bool(self.behind)
        return not self.behind

    async def _until_stirred_or(self, seconds: float) -> None:
        """Return when a proxy has converged, or a pod came or went, or after this long."""
        await _first(self.stirred.wait(), self.poller.clock.sleep(seconds))

    def _tell(self) -> None:
        """Tell how far the barrier is, if that is news, or was told long ago."""
        now = self.poller.clock.now()
        stragglers, total = (*self._stragglers(), *self.behind, *self._silence()), len(self.inquiries)
        if stragglers == self.last and now - self.told < self.poller.pace.listing:
            return
        self.told, self.last = now, stragglers
        self.poller.emit(Waiting(now, self.step, total - len(self.missing), total, stragglers))

    def _stragglers(self) -> tuple[Straggler, ...]:
        found = (one for life, one in self.inquiries.items() if life in self.missing)
        return tuple(Straggler(one.proxy.id, self._why(one)) for one in found)

    def _is_held_up(self) -> bool:
        return bool(self.missing or self.behind or self.roster.silence)

    def _silence(self) -> tuple[Straggler, ...]:
        why = self.roster.silence
        return (Straggler(ProxyId("the list of pods"), why),) if why else ()

    def _why(self, inquiry: Inquiry) -> str:
        verdict = self.hearsay.explained(inquiry.proxy, inquiry.verdict)
        return inquiry.why if verdict == inquiry.verdict else str(verdict)

    def _left_out(self) -> tuple[Straggler, ...]:
        exclude = self.poller.exclude
        said = (Straggler(one.id, "excluded") for one in self.roster.proxies if is_excluded(one, exclude))
        own = (Straggler(one, "runs gRPC without an Envoy, and is not checked") for one in self.roster.proxyless)
        return (*said, *own)

    def _passed(self) -> None:
        now = self.poller.clock.now()
        if left_out := self._left_out():
            self.poller.emit(LeftOut(now, self.step, left_out))
        if self.oversight is not None:
            nobody = Unasked("istiod", f"no pod labelled app=istiod runs in {self.poller.root_namespace}")
            unasked = self.oversight.unasked if self.roster.replicas else (nobody,)
            self.poller.emit(ReplicasAsked(now, self.step, self.oversight.seen, unasked))
        self.poller.emit(
            BarrierPassed(
                at=now,
                step=self.step,
                proxies=len(self.inquiries),
                seconds=now - self.started,
                slowest=self.slowest.proxy.id if self.slowest else None,
            )
        )

    def _way_out(self) -> str:
        """Return what to do about proxies that will not answer, by the example of the first one."""
        first = next((one.proxy for life, one in self.inquiries.items() if life in self.missing), None)
        return f"; a proxy that does not count is left out with --exclude {first.place}" if first else ""

    def _complaint(self, seconds: float) -> BarrierTimeoutError:
        stragglers = self._stragglers()
        behind = f"{len(stragglers)} of {len(self.inquiries)} proxies are behind"
        if not stragglers and self.behind:
            behind = "the proxies are ready, but not every replica of istiod has seen what was written"
        if not stragglers and self.strange:
            behind = "the proxies are ready, but istiod does not know all of them"
        if not self.roster.listed:
            behind = "the API server does not tell which pods run"
        elif self.roster.silence and not stragglers:
            behind = "it is not known any more which pods run"
        named = [f"{one.proxy}: {one.why}" for one in (*self._silence(), *stragglers, *self.behind)]
        return BarrierTimeoutError(
            f"the barrier before step {self.step} did not open within {duration(seconds)}; the mesh is in a safe "
            f"state, and the same command goes on from here{self._way_out()}",
            behind,
            named,
        )


def _is_other(known: Inquiry, wanted: tuple[Proxy, tuple[Expectation, ...]] | None) -> bool:
    return wanted is None or known.expectations != wanted[1]


async def _first(*waits: Coroutine[object, object, object]) -> None:
    """Return when one of several waits is over, and end the others."""
    tasks = [asyncio.create_task(one) for one in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
