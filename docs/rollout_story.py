"""A rollout composed as events, and a clock that stands where it is put; for captures, and for tests."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

from safeapply.istio.proxies import ProxyId
from safeapply.plans.plan import Action, Operation, Phase, Plan, Step
from safeapply.resources.objects import Namespace, Resource, ResourceId
from safeapply.rollout.events import (
    BarrierPassed,
    Event,
    PlanStarted,
    Settled,
    Soaking,
    StepDone,
    StepStarted,
    Straggler,
    Waiting,
    Wrote,
)
from safeapply.xds.expectations import ClusterAbsent
from safeapply.xds.names import ClusterName

RULE = ResourceId("networking.istio.io", "DestinationRule", Namespace("default"), "reviews")
WRITE = (Operation(Action.APPLY, Resource(RULE, {})),)
PLAN = Plan(
    steps=(Step(Phase.WIDEN, WRITE, (), 0.0, "Because."), Step(Phase.NARROW, WRITE, (), 2.0, "Because.")),
    settled=(ClusterAbsent(ClusterName("outbound|9080|v1|reviews")),),
)
WARMING = "cluster outbound|9080|v2|reviews is still warming"


def waiting(at: float, behind: int, *, step: int = 2, total: int = 24) -> Waiting:
    """Wait for the last of some proxies."""
    names = [f"reviews-{number:02}.default" for number in range(total - behind, total)]
    return Waiting(at, step, total - behind, total, tuple(Straggler(ProxyId(name), WARMING) for name in names))


STORY: tuple[Event, ...] = (
    PlanStarted(0.0, PLAN),
    StepStarted(0.0, 1, 2, Phase.WIDEN),
    Wrote(0.1, 1, Action.APPLY, RULE, "configured", "11"),
    StepDone(0.1, 1),
    StepStarted(0.1, 2, 2, Phase.NARROW),
    waiting(0.1, 24),
    waiting(1.1, 5),
    BarrierPassed(3.5, 2, 24, 3.4, ProxyId("reviews-23.default")),
    Soaking(3.5, 2, 2.0),
    Wrote(5.6, 2, Action.APPLY, RULE, "configured", "12"),
    StepDone(5.6, 2),
    waiting(5.6, 1, step=3),
    BarrierPassed(5.9, 3, 24, 0.3, ProxyId("reviews-23.default")),
    Settled(5.9, 5.9),
)


@dataclass(slots=True)
class StandingClock:
    """Moves only when told, and lets sleepers wake."""

    time: float = 0.0
    _sleepers: list[tuple[float, asyncio.Event]] = field(default_factory=list)

    def now(self) -> float:
        """Return where the clock stands."""
        return self.time

    def wall(self) -> datetime:
        """Return the time since the epoch, as a date."""
        return datetime.fromtimestamp(self.time, UTC)

    async def sleep(self, seconds: float) -> None:
        """Return once the clock was moved far enough."""
        awake = asyncio.Event()
        self._sleepers.append((self.time + seconds, awake))
        await awake.wait()

    async def move(self, to: float) -> None:
        """Move, wake those whose time has come, and let them run until they sleep again."""
        await asyncio.sleep(0)
        self.time = to
        for at, awake in tuple(self._sleepers):
            if at <= to:
                awake.set()
                self._sleepers.remove((at, awake))
        for _ in range(3):
            await asyncio.sleep(0)
