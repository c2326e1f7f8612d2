"""Plans carried out: order, preconditions, stops, and the Lease."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import count

import pytest

from safeapply.errors import BarrierTimeoutError, ClusterChangedError, LockedError, RejectedError
from safeapply.plans.plan import Action, Operation, Phase, Plan, Step
from safeapply.resources.objects import Namespace, Resource, ResourceId
from safeapply.rollout.events import Event, PlanStarted, Queued, Settled, Soaking, Stopped, Wrote
from safeapply.rollout.executor import RolloutOptions, carry_out
from safeapply.rollout.lock import Lock, held
from safeapply.xds.expectations import ClusterActive, ClusterUnreferenced, Expectation
from safeapply.xds.names import ClusterName
from tests.rollout.istiods import MemoryIstiods, istiod
from tests.rollout.memory import (
    JumpingClock,
    MemoryCluster,
    MemoryProxies,
    Script,
    Shown,
    always,
    then,
)

V2 = ClusterName("outbound|9080|v2|reviews.default.svc.cluster.local")
HAS, LACKS = Shown(active=frozenset({V2})), Shown()
ROOT = Namespace("istio-system")


def resource(name: str, version: str = "") -> Resource:
    """Return a DestinationRule; a live one has a resourceVersion."""
    metadata = {"name": name, "namespace": "default", **({"resourceVersion": version} if version else {})}
    one = ResourceId("networking.istio.io", "DestinationRule", Namespace("default"), name)
    return Resource(one, {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": metadata})


def step(*names: str, expect: tuple[Expectation, ...] = (), soak: float = 0.0, delete: bool = False) -> Step:
    """Return a step that writes, or deletes, some rules."""
    action = Action.DELETE if delete else Action.APPLY
    return Step(Phase.WIDEN, tuple(Operation(action, resource(name)) for name in names), expect, soak, "because")


class World:
    """A cluster, one Envoy and a clock."""

    def __init__(self, script: Script, *live: Resource) -> None:
        self.clock = JumpingClock()
        self.cluster = MemoryCluster(["a"], live)
        self.proxies = MemoryProxies(self.clock, {"a": script})
        self.events: list[Event] = []

    async def carry_out(
        self, *steps: Step, versions: dict[ResourceId, str] | None = None, **options: object
    ) -> None:
        """Carry out a plan of these steps."""
        await self.carry_out_plan(Plan(steps=steps, versions=versions or {}), **options)

    async def carry_out_plan(self, plan: Plan, **options: object) -> None:
        """Carry out a plan."""
        await carry_out(
            plan,
            cluster=self.cluster,
            proxies=self.proxies,
            clock=self.clock,
            emit=self.events.append,
            options=RolloutOptions(**options),  # type: ignore[arg-type]
        )


async def test_a_step_is_written_when_its_expectations_hold() -> None:
    """The second step waits for the proxy, the first does not."""
    world = World(then(3.0, LACKS, HAS))
    await world.carry_out(step("one"), step("two", expect=(ClusterActive(V2),)))
    assert world.cluster.writes == ["apply one", "apply two"]
    written = [(event.resource.name, event.at) for event in world.events if isinstance(event, Wrote)]
    assert written[0][1] < 0.5
    assert 3.0 <= written[1][1] < 3.5


async def test_the_soak_comes_after_the_barrier() -> None:
    """Requests parked in filters get their time after the last reference is gone, not before."""
    world = World(then(3.0, LACKS, HAS))
    await world.carry_out(step("one", expect=(ClusterActive(V2),), soak=2.0))
    soaking = next(event for event in world.events if isinstance(event, Soaking))
    written = next(event for event in world.events if isinstance(event, Wrote))
    assert soaking.at >= 3.0
    assert written.at >= soaking.at + 2.0


async def test_a_part_of_a_plan_waits_and_soaks_for_what_is_left_and_writes_nothing_of_it() -> None:
    """What another tool takes away after this run nobody asks for any more."""
    world = World(then(3.0, LACKS, HAS))
    left = step("two", expect=(ClusterActive(V2),), soak=2.0)
    await world.carry_out_plan(Plan(steps=(step("one"),), settled=left.expectations, left=(left,)))
    assert world.cluster.writes == ["apply one"]
    assert [type(event).__name__ for event in world.events[-2:]] == ["Soaking", "Settled"]
    assert world.events[-1].at >= 5.0


async def test_the_first_event_holds_the_plan_and_the_last_says_settled() -> None:
    """A listener can draw the plan before it runs."""
    world = World(always(HAS))
    await world.carry_out(step("one"))
    assert isinstance(world.events[0], PlanStarted)
    assert isinstance(world.events[-1], Settled)


async def test_an_object_that_changed_since_the_plan_stops_the_rollout() -> None:
    """Nothing is overwritten that the plan did not see."""
    live = resource("one", "7")
    world = World(always(HAS), resource("one", "8"))
    with pytest.raises(ClusterChangedError):
        await world.carry_out(step("one"), step("two"), versions={live.id: "7"})
    assert world.cluster.writes == []
    assert isinstance(world.events[-1], Stopped)


async def test_an_object_that_is_written_twice_carries_its_own_new_version() -> None:
    """The bridge moves the resourceVersion on, and the second write expects just that."""
    live = resource("one", "7")
    world = World(always(HAS), live)
    await world.carry_out(step("one"), step("one"), versions={live.id: "7"})
    assert world.cluster.writes == ["apply one", "apply one"]


async def test_words_are_kubectls() -> None:
    """Created, configured, deleted."""
    live, doomed = resource("old", "7"), resource("doomed", "9")
    world = World(always(HAS), live, doomed)
    await world.carry_out(step("new", "old"), step("doomed", delete=True), versions={live.id: "7", doomed.id: "9"})
    words = {event.resource.name: event.word for event in world.events if isinstance(event, Wrote)}
    assert words == {"new": "created", "old": "configured", "doomed": "deleted"}


async def test_a_refused_write_lets_the_others_of_its_step_end_and_stops() -> None:
    """What has begun comes to its end, so that the told state is the true one."""
    world = World(always(HAS))
    world.cluster.refuses = "bad"
    with pytest.raises(RejectedError):
        await world.carry_out(step("bad", "good"), step("never"))
    assert world.cluster.writes == ["apply good"]


async def test_a_barrier_that_stays_closed_stops_before_the_write() -> None:
    """The mesh is left in the state before the step."""
    world = World(always(LACKS))
    with pytest.raises(BarrierTimeoutError):
        await world.carry_out(step("one"), step("two", expect=(ClusterActive(V2),)), barrier_timeout=5.0)
    assert world.cluster.writes == ["apply one"]


async def test_an_interrupted_rollout_says_where_it_stopped() -> None:
    """Ctrl-C is a cancellation; the Lease is given back."""
    world = World(always(LACKS))
    lock = Lock(ROOT, "me")
    task = asyncio.create_task(world.carry_out(step("one"), step("two", expect=(ClusterActive(V2),)), lock=lock))
    written = asyncio.Event()
    world.cluster.at_write = lambda: written.set() if "apply safeapply" in world.cluster.writes else None
    await written.wait()
    await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert isinstance(world.events[-1], Stopped)
    assert "holderIdentity" not in world.cluster.objects[lock.id].spec


async def test_before_a_removal_istiod_has_seen_every_write_of_this_run_and_of_the_one_before() -> None:
    """A run that goes on where a killed one stopped has not written what matters, but has seen it live."""
    before = resource("before", "8")
    world = World(always(HAS), before)
    world.cluster.pods.append(istiod("istiod"))
    seen = {"one": "101", "before": "7"}
    istiods = MemoryIstiods(world.clock, {"istiod": lambda now: {**seen, "before": "8" if now > 5.0 else "7"}})
    gone = ClusterUnreferenced(ClusterName("outbound|9080|v1|reviews.default.svc.cluster.local"))
    await world.carry_out(step("one"), step("two", expect=(gone,)), istiods=istiods, live={before.id: before})
    written = {event.resource.name: event.at for event in world.events if isinstance(event, Wrote)}
    assert written["one"] < 1.0
    assert 5.0 <= written["two"] < 9.0


async def test_an_empty_plan_writes_nothing_and_takes_no_lease() -> None:
    """Nothing to change is nothing at all."""
    world = World(always(HAS))
    await world.carry_out(lock=Lock(ROOT, "me"))
    assert world.cluster.writes == []
    assert world.events == []


async def test_a_second_rollout_is_told_who_holds_the_lease() -> None:
    """The sentence names the holder."""
    clock, cluster = JumpingClock(), MemoryCluster()
    async with held(Lock(ROOT, "alice@laptop (pid 1)"), cluster, clock):
        with pytest.raises(LockedError, match="alice@laptop"):
            async with held(Lock(ROOT, "bob"), cluster, clock):
                pytest.fail("two rollouts at once")


@pytest.mark.parametrize(
    "times",
    [
        {"renewTime": "9999-12-31T23:59:59.999999Z"},
        {"renewTime": "9999-12-31T23:59:59-23:59", "acquireTime": "9999-12-31T23:59:59-23:59"},
        {"renewTime": "9999-12-31T23:59:59Z", "leaseDurationSeconds": 10**400},
        {"renewTime": "0001-01-01T00:00:00+23:59"},
        {"renewTime": "yesterday", "acquireTime": "long ago"},
        {"renewTime": "2026-01-01T00:00:00", "acquireTime": 7},
        {"renewTime": ["x"], "leaseDurationSeconds": "soon"},
    ],
)
async def test_a_lease_with_an_impossible_time_holds_nobody_up_for_longer_than_a_lease(
    times: dict[str, object],
) -> None:
    """Whoever may write it can wait in it, and neither block the mesh for ever nor end a run by a traceback."""
    clock, cluster = JumpingClock(), MemoryCluster()
    lock, begun = Lock(ROOT, "bob"), clock.now()
    document = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"namespace": ROOT, "name": lock.name},
        "spec": {"holderIdentity": "mallory", "leaseDurationSeconds": 15, **times},
    }
    await cluster.create(Resource(lock.id, document))
    async with held(lock, cluster, clock):
        assert clock.now() - begun <= lock.duration + 2
        assert cluster.objects[lock.id].spec["holderIdentity"] == "bob"


async def test_a_holder_whose_clock_is_ahead_is_waited_for_as_long_as_it_renews() -> None:
    """It is known to live by its writes."""
    clock, cluster = JumpingClock(), MemoryCluster()
    lock = Lock(ROOT, "bob")

    async def renew() -> None:
        for second in count():
            time = f"2199-01-01T00:{second // 60 % 60:02}:{second % 60:02}Z"
            spec = {"holderIdentity": "alice", "leaseDurationSeconds": 15, "renewTime": time}
            document = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"namespace": ROOT, "name": lock.name},
                "spec": spec,
            }
            await cluster.apply(Resource(lock.id, document))
            await clock.sleep(5)

    renewing = asyncio.create_task(renew())
    await asyncio.sleep(0.01)
    with pytest.raises(LockedError, match="alice is rolling out"):
        async with held(lock, cluster, clock):
            pytest.fail("two rollouts at once")
    renewing.cancel()


async def test_a_silent_api_server_keeps_no_rollout_from_ending() -> None:
    """What is left of the Lease ends by itself."""
    clock, cluster = JumpingClock(), MemoryCluster()
    lock = Lock(ROOT, "alice", parting=0.05)

    async def silence(_: ResourceId) -> None:
        await asyncio.Event().wait()

    async with asyncio.timeout(10), held(lock, cluster, clock):
        cluster.get = silence  # type: ignore[assignment, method-assign]


async def test_a_second_rollout_waits_for_the_first_and_says_so() -> None:
    """No interleaving, and no failed pipeline where a few seconds do."""
    clock, cluster, events = JumpingClock(), MemoryCluster(), list[Queued]()
    has_it = asyncio.Event()

    async def first() -> None:
        async with held(Lock(ROOT, "alice"), cluster, clock):
            has_it.set()
            while not events:
                await clock.sleep(0.1)

    begun = asyncio.create_task(first())
    await has_it.wait()
    async with held(Lock(ROOT, "bob"), cluster, clock, events.append):
        assert begun.done()
    assert [event.why[:35] for event in events] == ["alice is rolling out to this mesh s"]


async def test_a_lease_is_renewed_for_as_long_as_it_is_needed() -> None:
    """A rollout of minutes keeps its Lease of seconds."""
    clock, cluster = JumpingClock(), MemoryCluster()
    async with held(Lock(ROOT, "alice"), cluster, clock):
        await clock.sleep(100.0)
        with pytest.raises(LockedError):
            async with held(Lock(ROOT, "bob"), cluster, clock):
                pytest.fail("two rollouts at once")


async def test_a_stale_lease_is_taken_over() -> None:
    """A run that was killed does not block the mesh for longer than its Lease."""
    clock, cluster = JumpingClock(), MemoryCluster()
    killed = Lock(ROOT, "killed")
    async with held(killed, cluster, clock):
        left_behind = cluster.objects[killed.id]
    cluster.objects[killed.id] = left_behind
    await clock.sleep(killed.duration + 1)
    async with held(Lock(ROOT, "next"), cluster, clock):
        assert cluster.objects[killed.id].spec["holderIdentity"] == "next"


async def test_a_killed_run_can_be_run_again_at_once() -> None:
    """The patience is longer than the Lease of the dead."""
    clock, cluster = JumpingClock(), MemoryCluster()
    killed = Lock(ROOT, "killed")
    async with held(killed, cluster, clock):
        left_behind = cluster.objects[killed.id]
    cluster.objects[killed.id] = left_behind
    async with held(Lock(ROOT, "next"), cluster, clock):
        assert cluster.objects[killed.id].spec["holderIdentity"] == "next"


async def test_the_lease_of_a_process_that_has_ended_is_taken_over_at_once() -> None:
    """On the machine where it was killed nobody waits; elsewhere nothing is known of it."""
    clock, cluster = JumpingClock(), MemoryCluster()
    killed = Lock(ROOT, "killed", "boot/pids/42/1000")
    async with held(killed, cluster, clock):
        left_behind = cluster.objects[killed.id]
    for has_ended, at_once in (("boot/pids/42/1000".__eq__, True), (lambda _: False, False)):
        cluster.objects[killed.id] = left_behind
        before = clock.now()
        async with held(Lock(ROOT, "next", has_ended=has_ended), cluster, clock):
            assert (clock.now() - before < 1.0) is at_once


async def test_a_cancelled_step_ends_the_writes_that_have_begun_and_begins_no_other() -> None:
    """Whoever stopped it is told what is written, and nothing is written after that."""
    world = World(always(HAS))
    task = asyncio.create_task(world.carry_out(step("one", "two", "three"), writes_at_once=1))

    def stop() -> None:
        task.cancel()

    world.cluster.at_write = stop
    with suppress(asyncio.CancelledError):
        await task
    written = [event.resource.name for event in world.events if isinstance(event, Wrote)]
    # The cancellation is delivered when the loop comes round, and one more write may have begun by then.
    assert written in (["one"], ["one", "two"])
    assert world.cluster.writes == [f"apply {name}" for name in written]


async def test_of_two_rollouts_that_make_the_lease_at_once_one_waits() -> None:
    """Neither has found one; the second to create it sees that it is too late, and wipes nobody's name out."""
    clock, cluster = JumpingClock(), MemoryCluster()
    lock, original, looked = Lock(ROOT, "bob", patience=0.0), cluster.get, list[ResourceId]()

    async def get(resource_id: ResourceId) -> Resource | None:
        found = await original(resource_id)
        looked.append(resource_id)
        return None if len(looked) == 1 else found

    async with held(Lock(ROOT, "alice"), cluster, clock):
        looked.clear()
        cluster.get = get  # type: ignore[method-assign]
        with pytest.raises(LockedError, match="alice is rolling out"):
            async with held(lock, cluster, clock):
                pytest.fail("both hold it")
        assert cluster.objects[lock.id].spec["holderIdentity"] == "alice"


async def test_a_lease_that_was_lost_ends_the_rollout() -> None:
    """Somebody else holds it now, so not one more write is made."""
    clock, cluster = JumpingClock(), MemoryCluster()
    lock = Lock(ROOT, "alice")

    async def robbed() -> None:
        async with held(lock, cluster, clock):
            lease = cluster.objects[lock.id]
            await cluster.apply(Resource(lock.id, {**lease.document, "spec": {"holderIdentity": "bob"}}))
            await clock.sleep(1000.0)

    with pytest.raises(LockedError, match="taken over"):
        await robbed()
