"""Other clients write while a rollout is under way: it plans again, and goes on only if that is the same plan."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest

from safeapply.errors import BarrierTimeoutError, ClusterChangedError, ClusterUnreachableError
from safeapply.plans.plan import Action, Operation, Phase, Plan, Step
from safeapply.resources.objects import GroupKind, Namespace, Resource, ResourceId
from safeapply.rollout.events import Event, Replanned, Settled, Stopped, Wrote
from safeapply.rollout.executor import Fresh, RolloutOptions, carry_out
from safeapply.rollout.progress import State, progress_of
from safeapply.xds.expectations import ClusterActive
from safeapply.xds.names import ClusterName
from tests.rollout.memory import JumpingClock, MemoryCluster, MemoryProxies, Shown, always


def rule(name: str, content: str) -> Resource:
    """Return a DestinationRule whose host tells it apart."""
    one = ResourceId("networking.istio.io", "DestinationRule", Namespace("default"), name)
    metadata = {"name": name, "namespace": "default"}
    return Resource(
        one,
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "DestinationRule",
            "metadata": metadata,
            "spec": {"host": content},
        },
    )


WANTED = (rule("first", "new"), rule("second", "new"), rule("third", "new"))


def plan_for(live: Mapping[ResourceId, Resource], wanted: tuple[Resource, ...] = WANTED) -> Plan:
    """Plan as plainly as can be: one step for each object that is not as it is wanted."""
    differing = [one for one in wanted if one.id not in live or live[one.id].spec != one.spec]
    steps = tuple(Step(Phase.WIDEN, (Operation(Action.APPLY, one),), (), 0.0, "because") for one in differing)
    return Plan(steps, versions={one.id: live[one.id].resource_version for one in differing if one.id in live})


@dataclass
class World:
    """A cluster in which somebody else does something when the second object is about to be written."""

    meanwhile: Callable[[MemoryCluster], None]
    wanted_then: tuple[Resource, ...] = WANTED
    cluster: MemoryCluster = field(default_factory=lambda: MemoryCluster(["a"]))
    events: list[Event] = field(default_factory=list)
    plans: int = 0

    def __post_init__(self) -> None:
        for one in (*WANTED, rule("beside", "old")):
            self._store(rule(one.id.name, "old"))

    def _store(self, one: Resource) -> None:
        self.cluster.version += 1
        metadata = {**one.metadata, "resourceVersion": str(self.cluster.version)}
        self.cluster.objects[one.id] = Resource(one.id, {**one.document, "metadata": metadata})

    def write(self, one: Resource) -> None:
        """Write as another client does."""
        self._store(one)

    async def run(self) -> None:
        """Carry the plan out, with the disturbance."""
        live = dict(self.cluster.objects)
        clock = JumpingClock()

        def emit(event: Event) -> None:
            self.events.append(event)
            if isinstance(event, Wrote) and event.resource.name == "first":
                self.meanwhile(self.cluster)

        async def replan() -> Fresh:
            self.plans += 1
            now = dict(self.cluster.objects)
            return Fresh(plan_for(now, self.wanted_then), now)

        await carry_out(
            plan_for(live),
            cluster=self.cluster,
            proxies=MemoryProxies(clock, {"a": always(Shown())}),
            clock=clock,
            emit=emit,
            options=RolloutOptions(live=live, replan=replan),
        )

    @property
    def wrote(self) -> list[str]:
        """The objects in the order in which they were written."""
        return [event.resource.name for event in self.events if isinstance(event, Wrote)]


async def test_a_change_that_makes_no_difference_to_the_plan_is_gone_on_from() -> None:
    """Somebody annotates, scales or edits what is not ours: the rest is planned again and is the same."""
    world = World(lambda _: world.write(rule("beside", "edited")))
    await world.run()
    assert (world.plans, world.wrote) == (1, ["first", "second", "third"])
    (again,) = (event for event in world.events if isinstance(event, Replanned))
    assert "beside changed (changed by another client)" in again.why
    assert (again.step, again.left, len(again.plan.steps)) == (2, 2, 3)
    assert isinstance(world.events[-1], Settled)
    assert [step.state for step in progress_of(world.events).steps] == [State.DONE] * 3


async def test_what_somebody_else_has_done_already_is_not_done_again() -> None:
    """The second object is as it is wanted: nothing but the third is left, and the report has all of them."""
    world = World(lambda _: world.write(rule("second", "new")))
    await world.run()
    assert world.cluster.writes == ["apply first", "apply third"]
    assert world.wrote == ["first", "second", "third"]


async def test_another_plan_is_shown_and_not_carried_out() -> None:
    """What was written is undone by somebody: that is not ours to decide."""
    world = World(lambda _: world.write(rule("first", "theirs")))
    with pytest.raises(ClusterChangedError) as caught:
        await world.run()
    assert caught.value.exit_code == 5
    assert caught.value.difference == (
        "destinationrule.networking.istio.io/default/first: no more write planned, now it would take one",
    )
    assert "what remains would be another plan:" in str(caught.value)
    assert world.cluster.writes == ["apply first"]
    assert isinstance(world.events[-1], Stopped)


async def test_a_write_that_says_something_else_now_is_another_plan() -> None:
    """The server makes something else of the manifest since."""
    world = World(
        lambda _: world.write(rule("beside", "edited")), wanted_then=(*WANTED[:2], rule("third", "newer"))
    )
    with pytest.raises(ClusterChangedError, match=r"third: 1 more write planned, now it would take another one"):
        await world.run()


async def test_a_new_object_that_the_plan_has_not_seen_is_a_change() -> None:
    """It may shadow another one."""
    world = World(lambda _: world.write(rule("newcomer", "new")))
    await world.run()
    assert [event.why for event in world.events if isinstance(event, Replanned)] == [
        "destinationrule.networking.istio.io/default/newcomer changed (created by another client)"
    ]


async def test_a_status_is_no_change() -> None:
    """Controllers write it all the time, and it decides nothing."""

    def report(cluster: MemoryCluster) -> None:
        (one,) = (one for one in cluster.objects.values() if one.id.name == "beside")
        world.write(replace(one, document={**one.document, "status": {"observedGeneration": 1}}))

    world = World(report)
    await world.run()
    assert world.plans == 0


async def test_a_write_whose_answer_was_lost_is_found_out_and_not_made_again() -> None:
    """The connection breaks after the server has written: what remains tells."""
    world = World(lambda _: None)
    original, lost = world.cluster.apply, list[Resource]()

    async def apply(resource: Resource, *, dry_run: bool = False, manager: str = "") -> Resource:
        made = await original(resource, dry_run=dry_run, manager=manager)
        if resource.id.name == "second" and not lost:
            lost.append(made)
            raise ClusterUnreachableError("the connection was reset")
        return made

    world.cluster.apply = apply  # type: ignore[method-assign]
    await world.run()
    assert world.cluster.writes == ["apply first", "apply second", "apply third"]
    assert world.wrote == ["first", "second", "third"]
    assert isinstance(world.events[-1], Settled)


class SlowCluster(MemoryCluster):
    """An API server that takes its time for the list of all that routes, as one of 20,000 objects does."""

    def __init__(self, clock: JumpingClock, seconds: float) -> None:
        super().__init__(["a"])
        self.clock, self.seconds = clock, seconds
        self.looks: list[float] = []
        """When each look began."""

    async def list(self, kinds: Collection[GroupKind]) -> tuple[Resource, ...]:
        """Answer late, where it is much that is asked for."""
        if len(kinds) > 1:
            self.looks.append(self.clock.now())
            await self.clock.sleep(self.seconds)
        return await super().list(kinds)


@pytest.mark.parametrize(("seconds", "apart"), [(0.0, 5.0), (3.0, 18.0)])
async def test_looks_at_a_large_mesh_are_as_far_apart_as_they_are_long(seconds: float, apart: float) -> None:
    """While a barrier is closed they only tell sooner what the look before the write would tell."""
    clock = JumpingClock()
    cluster = SlowCluster(clock, seconds)
    never = ClusterActive(ClusterName("outbound|9080|v2|reviews.default.svc.cluster.local"))
    step = Step(Phase.WIDEN, (Operation(Action.APPLY, WANTED[0]),), (never,), 0.0, "because")
    with pytest.raises(BarrierTimeoutError):
        await carry_out(
            Plan((step,)),
            cluster=cluster,
            proxies=MemoryProxies(clock, {"a": always(Shown())}),
            clock=clock,
            emit=lambda _: None,
            options=RolloutOptions(live={}, barrier_timeout=100.0),
        )
    pauses = [after - before for before, after in pairwise(cluster.looks)]
    assert len(pauses) >= 4
    assert pauses == pytest.approx([apart] * len(pauses), abs=0.5)
