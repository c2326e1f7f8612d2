"""Before a removal every replica of istiod has seen the writes; one that cannot be asked stops nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from safeapply.errors import BarrierTimeoutError
from safeapply.istio.proxies import Traits
from safeapply.istio.replicas import Written
from safeapply.resources.objects import Namespace, Resource, ResourceId
from safeapply.rollout.events import BarrierPassed, Event, ReplicasAsked, Waiting
from safeapply.rollout.poller import Poller
from safeapply.xds.expectations import ClusterActive, ClusterUnreferenced, Expectation
from safeapply.xds.names import ClusterName
from tests.rollout.istiods import MemoryIstiods, istiod
from tests.rollout.memory import (
    JumpingClock,
    MemoryCluster,
    MemoryProxies,
    Shown,
    always,
    pod,
)

V1 = ClusterName("outbound|9080|v1|reviews.default.svc.cluster.local")
V2 = ClusterName("outbound|9080|v2|reviews.default.svc.cluster.local")
GONE = ClusterUnreferenced(V1)
MOVED = Shown(active=frozenset({V1, V2}), routes={"9080": (V2,)})
Script = Callable[[float], Mapping[str, str] | None]


def rule(name: str) -> ResourceId:
    """Return a DestinationRule of namespace default."""
    return ResourceId("networking.istio.io", "DestinationRule", Namespace("default"), name)


def write(name: str, version: str, *, revision: str = "", created: bool = False, deleted: bool = False) -> Written:
    """Return a write of a DestinationRule."""
    return Written(rule(name), version, revision, created, deleted)


class World:
    """One proxy that is ready from the start, and some replicas of istiod."""

    def __init__(self, *replicas: Resource, **scripts: Script) -> None:
        self.clock = JumpingClock()
        self.cluster = MemoryCluster()
        self.cluster.pods = [pod("a"), *(replicas or map(istiod, scripts))]
        self.istiods = MemoryIstiods(self.clock, scripts)
        self.events: list[Event] = []

    async def wait(self, *writes: Written, expected: Expectation = GONE, patience: float = 60.0) -> float:
        """Wait for a barrier and return how long it took."""
        proxies = MemoryProxies(self.clock, {"a": always(MOVED)})
        poller = Poller(self.cluster, proxies, self.clock, self.events.append, Traits(), istiods=self.istiods)
        await poller.wait(1, (expected,), patience=patience, writes=writes)
        return self.clock.now()

    @property
    def report(self) -> ReplicasAsked:
        """What was told of the replicas."""
        (found,) = (event for event in self.events if isinstance(event, ReplicasAsked))
        return found


def has(**versions: str) -> Script:
    """Return the script of a replica that has these versions."""
    return lambda _: versions


async def test_a_replica_that_is_behind_is_waited_for() -> None:
    """A proxy that reconnects to it would get the old routes."""
    world = World(istiod0=has(reviews="8"), istiod1=lambda now: {"reviews": "8" if now > 5.0 else "7"})
    assert 5.0 <= await world.wait(write("reviews", "8")) < 8.0
    assert world.report.seen == ("istiod0.istio-system", "istiod1.istio-system")
    told = [one.proxy for event in world.events if isinstance(event, Waiting) for one in event.stragglers]
    assert told[-1] == "istiod1.istio-system"
    assert isinstance(world.events[-1], BarrierPassed)


async def test_who_has_seen_everything_is_not_asked_again() -> None:
    """The page may be megabytes."""
    world = World(istiod0=has(reviews="8"), istiod1=lambda now: {"reviews": "8" if now > 5.0 else "7"})
    await world.wait(write("reviews", "8"))
    assert world.istiods.asked.count("istiod0") == 1
    assert 2 <= world.istiods.asked.count("istiod1") <= 8


async def test_a_replica_that_stays_behind_is_named() -> None:
    """With the object that it has not seen."""
    world = World(istiod0=has(reviews="7"))
    with pytest.raises(BarrierTimeoutError) as caught:
        await world.wait(write("reviews", "8"), patience=5.0)
    assert str(caught.value).endswith(
        "The proxies are ready, but not every replica of istiod has seen what was written:\n"
        "  istiod0.istio-system: has not seen destinationrule.networking.istio.io/default/reviews at "
        "resourceVersion 8 yet"
    )


async def test_a_replica_that_cannot_be_asked_stops_nobody() -> None:
    """The report says that it was not checked, and why."""
    world = World(istiod0=has(reviews="8"), istiod1=lambda _: None)
    assert await world.wait(write("reviews", "8")) < 2.0
    assert world.report.seen == ("istiod0.istio-system",)
    assert [(one.replica, one.why) for one in world.report.unasked] == [
        ("istiod1.istio-system", "no answer within 10 s")
    ]


async def test_a_mesh_without_replicas_in_sight_is_told() -> None:
    """An external control plane, or another root namespace."""
    world = World()
    await world.wait(write("reviews", "8"))
    assert [one.why for one in world.report.unasked] == ["no pod labelled app=istiod runs in istio-system"]


async def test_nobody_is_asked_where_nothing_goes() -> None:
    """Only removals are worth it."""
    world = World(istiod0=has())
    await world.wait(write("reviews", "8"), expected=ClusterActive(V2))
    assert world.istiods.asked == []


@pytest.mark.parametrize(
    ("known", "done", "seen"),
    [
        ({"reviews": "8"}, write("reviews", "8"), True),
        ({"reviews": "10"}, write("reviews", "8"), True),
        ({"reviews": "7"}, write("reviews", "8"), False),
        ({"reviews": "x7"}, write("reviews", "x8"), False),
        ({}, write("reviews", "8"), True),
        ({}, write("reviews", "8", created=True), False),
        ({}, write("reviews", "8", deleted=True), True),
        ({"reviews": "8"}, write("reviews", "8", deleted=True), False),
        ({"reviews": "9"}, write("reviews", "8", deleted=True), True),
    ],
)
def test_what_counts_as_seen(known: Mapping[str, str], done: Written, *, seen: bool) -> None:
    """A later version does, and what a replica does not read; a new object that is absent does not."""
    assert done.is_seen_in({rule(name): version for name, version in known.items()}) is seen


async def test_a_new_object_that_no_replica_has_is_not_waited_for() -> None:
    """It lies outside of istiod's discovery selectors: the proxies are as expected without it."""
    world = World(istiod0=has(), istiod1=has())
    assert await world.wait(write("reviews", "8", created=True)) < 2.0


async def test_an_object_of_one_revision_concerns_its_replicas_only() -> None:
    """The others never read it."""
    world = World(
        istiod("old", revision="default"),
        istiod("new", revision="canary"),
        old=has(reviews="7"),
        new=has(reviews="8"),
    )
    assert await world.wait(write("reviews", "8", revision="canary")) < 2.0
    assert world.istiods.asked == ["new"]
