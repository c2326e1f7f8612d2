"""Barriers: they open when every Envoy shows it, and never before."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from safeapply.errors import BarrierTimeoutError
from safeapply.istio.proxies import Proxy, ProxyClass, Role, Traits
from safeapply.ports import Answer
from safeapply.resources.objects import Namespace
from safeapply.rollout.events import BarrierPassed, Event, NoProxies
from safeapply.rollout.poller import Poller
from safeapply.xds.expectations import ClusterAbsent, ClusterActive, ClusterUnreferenced, Expectation, RouteRefers
from safeapply.xds.names import ClusterName, Host
from tests.rollout.memory import JumpingClock, MemoryCluster, MemoryProxies, Script, Shown, always, pod, then

V1 = ClusterName("outbound|9080|v1|reviews.default.svc.cluster.local")
V2 = ClusterName("outbound|9080|v2|reviews.default.svc.cluster.local")
REVIEWS = Host("reviews.default.svc.cluster.local")
OLD = Shown(active=frozenset({V1}), routes={"9080": (V1,)})
BOTH = Shown(active=frozenset({V1, V2}), routes={"9080": (V1,)})
MOVED = Shown(active=frozenset({V1, V2}), routes={"9080": (V2,)})
NEW = Shown(active=frozenset({V2}), routes={"9080": (V2,)})


class World:
    """A poller over Envoys in memory, with what it told."""

    def __init__(self, **scripts: Script) -> None:
        self.clock = JumpingClock()
        self.cluster = MemoryCluster(scripts)
        self.proxies = MemoryProxies(self.clock, scripts)
        self.events: list[Event] = []
        self.poller = Poller(self.cluster, self.proxies, self.clock, self.events.append, Traits())

    async def wait(self, *expectations: Expectation, patience: float = 60.0) -> float:
        """Wait for a barrier and return how long it took."""
        await self.poller.wait(1, expectations, patience=patience)
        return self.clock.now()


async def test_a_barrier_opens_when_the_slowest_proxy_has_the_cluster() -> None:
    """All of them have to show it, and hardly any time is lost after the last one does."""
    world = World(a=always(BOTH), b=then(3.0, OLD, BOTH))
    assert 3.0 <= await world.wait(ClusterActive(V2)) < 3.5
    assert [event.slowest for event in world.events if isinstance(event, BarrierPassed)] == ["b.default"]


async def test_a_warming_cluster_is_not_active() -> None:
    """The data path treats warming as missing (ENVOY.md 2); the straggler is named with that reason."""
    warming = Shown(active=frozenset({V1, V2}), warming=frozenset({V2}), routes={"9080": (V1,)})
    world = World(a=then(2.0, warming, BOTH))
    assert await world.wait(ClusterActive(V2)) >= 2.0
    with pytest.raises(BarrierTimeoutError, match="still warming"):
        await World(a=always(warming)).wait(ClusterActive(V2), patience=5.0)


async def test_an_endpoint_is_waited_for_where_one_is_expected() -> None:
    """An active cluster without a healthy host answers 503 UH."""
    ready = Shown(active=BOTH.active, healthy={V2: 1}, routes=BOTH.routes)
    world = World(a=then(2.0, BOTH, ready))
    assert await world.wait(ClusterActive(V2, ready_endpoint=True)) >= 2.0


async def test_a_reference_must_be_gone_from_routes() -> None:
    """The route table is read again when it has changed."""
    world = World(a=then(2.0, BOTH, MOVED))
    assert await world.wait(ClusterUnreferenced(V1)) >= 2.0


async def test_a_reference_must_be_gone_from_listeners_too() -> None:
    """TCP routes live in listeners (ISTIO.md 1.4)."""
    tcp = Shown(active=frozenset({V1, V2}), tcp=(V1,))
    world = World(a=then(2.0, tcp, Shown(active=frozenset({V1, V2}), tcp=(V2,))))
    assert await world.wait(ClusterUnreferenced(V1)) >= 2.0


async def test_an_absence_needs_two_readings_that_agree() -> None:
    """One empty look proves nothing; between the two only a moment passes."""
    world = World(a=always(NEW))
    await world.wait(ClusterAbsent(V1))
    readings = [at for at, _, path in world.proxies.asked if "dynamic_active_clusters" in path]
    assert len(readings) == 2
    assert readings[1] - readings[0] < 0.1


async def test_a_moved_route_is_seen_at_its_domain() -> None:
    """The virtual host is looked for with any port."""
    world = World(a=then(2.0, BOTH, MOVED))
    assert await world.wait(RouteRefers(REVIEWS, V2)) >= 2.0


@pytest.mark.parametrize(
    "silence",
    [
        None,
        Shown(broken=b"{}"),
        Shown(broken=b"Failed to convert protobuf message to JSON string"),
        Shown(broken=b'{"configs": [{"dynamic_active_clus'),
        Shown(broken=b""),
    ],
)
async def test_what_cannot_be_read_never_opens_a_barrier(silence: Shown | None) -> None:
    """Unreachable, empty, text, truncated: each is unknown, and the barrier ends by its deadline."""
    world = World(a=always(NEW), b=lambda _: silence)
    with pytest.raises(BarrierTimeoutError, match=r"b\.default: cannot be re(ad|ached)"):
        await world.wait(ClusterAbsent(V1), patience=5.0)


async def test_a_route_configuration_that_has_not_arrived_is_unknown() -> None:
    """A restarted Envoy has no routes yet, and the ones on their way may name the cluster."""
    restarted = Shown(active=frozenset({V1, V2}), awaited=("9080",))
    world = World(a=then(2.0, restarted, MOVED))
    assert await world.wait(ClusterUnreferenced(V1)) >= 2.0


async def test_the_deadline_names_who_is_behind_and_why() -> None:
    """A true sentence for the operator: which proxies, what is missing, and that it is safe to go on."""
    world = World(a=always(BOTH), b=always(OLD))
    with pytest.raises(BarrierTimeoutError) as caught:
        await world.wait(ClusterActive(V2), patience=5.0)
    assert str(caught.value) == (
        "the barrier before step 1 did not open within 5 s; the mesh is in a safe state, and the same command "
        "goes on from here; a proxy that does not count is left out with --exclude default/b. "
        f"1 of 2 proxies are behind:\n  b.default: has no cluster {V2} yet"
    )


async def test_a_proxy_whose_first_answer_is_due_has_not_answered() -> None:
    """It was asked, so it would be wrong to say that it was not; and the sentence says what to do about it."""
    world = World(a=always(BOTH), b=always(OLD))
    answer = world.proxies.ask

    async def ask(proxy: Proxy, path: str, *, deadline: float) -> Answer:
        if proxy.pod == "b":
            await world.clock.sleep(deadline)
        return await answer(proxy, path, deadline=deadline)

    world.proxies.ask = ask  # type: ignore[method-assign]
    with pytest.raises(
        BarrierTimeoutError,
        match=r"--exclude default/b\.(.|\n)*b\.default: cannot be read: it has not answered yet$",
    ):
        await world.wait(ClusterActive(V2), patience=5.0)


async def test_a_pod_that_appears_has_to_satisfy_the_barrier() -> None:
    """The list of pods is followed while waiting."""
    world = World(a=then(3.0, OLD, BOTH), late=then(9.0, OLD, BOTH))
    pods = world.cluster.pods
    world.cluster.running = lambda: pods if world.clock.now() > 1.0 else pods[:1]
    assert await world.wait(ClusterActive(V2)) >= 9.0


async def test_a_pod_that_goes_is_waited_for_no_longer() -> None:
    """A deleted straggler does not hold up the rest."""
    world = World(a=always(BOTH), gone=always(OLD))
    pods = world.cluster.pods
    world.cluster.running = lambda: pods[:1] if world.clock.now() > 1.0 else pods
    assert await world.wait(ClusterActive(V2)) < 5.0
    assert "gone" in world.proxies.released


async def test_a_pod_that_is_not_ready_counts_for_removals_only() -> None:
    """It gets no traffic, so nothing must arrive; but it may serve with what it has, so what goes must be gone."""
    world = World(a=then(2.0, OLD, MOVED))
    world.cluster.running = lambda: [pod("a", ready=False)]
    assert await world.wait(ClusterActive(V2)) < 1.0
    assert await world.wait(ClusterUnreferenced(V1)) >= 2.0


async def test_a_pod_that_becomes_ready_has_to_satisfy_the_barrier() -> None:
    """While it started, nothing had to arrive there; now it gets traffic."""
    world = World(a=then(3.0, OLD, BOTH), late=then(9.0, OLD, BOTH))
    world.cluster.running = lambda: [pod("a"), pod("late", ready=world.clock.now() > 1.0)]
    assert await world.wait(ClusterActive(V2)) >= 9.0


async def test_an_envoy_that_was_started_anew_has_to_show_everything_again() -> None:
    """Same pod, same uid: only the count of restarts tells."""
    world = World(a=lambda now: BOTH if now < 1.0 or now > 6.0 else OLD, b=then(4.0, OLD, BOTH))
    world.cluster.running = lambda: [pod("a", restarts=int(world.clock.now() > 1.0)), pod("b")]
    assert await world.wait(ClusterActive(V2)) >= 6.0


async def test_pods_are_watched_and_not_listed_over_and_over() -> None:
    """One list to begin with, one to be sure before the barrier opens."""
    world = World(a=then(20.0, OLD, BOTH))
    await world.wait(ClusterActive(V2))
    assert (world.cluster.watching, world.cluster.listed) == (1, 2)


async def test_no_barrier_opens_while_the_api_server_is_silent() -> None:
    """A pod may have appeared meanwhile; when the server is back, the barrier opens."""
    world = World(a=always(BOTH))
    world.cluster.silent = lambda: world.clock.now() < 7.0
    assert 7.0 <= await world.wait(ClusterActive(V2)) < 12.0


async def test_an_api_server_that_stays_silent_is_named() -> None:
    """Nobody knows who would have to be asked."""
    world = World(a=always(BOTH))
    world.cluster.silent = lambda: True
    with pytest.raises(BarrierTimeoutError, match="The API server does not tell which pods run"):
        await world.wait(ClusterActive(V2), patience=5.0)


async def test_a_watch_that_has_died_hides_no_pod() -> None:
    """What the watch has not told, the list before the opening shows."""
    world = World(a=always(BOTH), hidden=then(9.0, OLD, BOTH))
    pods = world.cluster.pods
    world.cluster.watched = lambda: pods[:1] if world.cluster.watching < 2 else pods
    assert await world.wait(ClusterActive(V2)) >= 9.0


async def test_only_the_classes_concerned_are_waited_for() -> None:
    """A class that never sees the cluster is exempt by computation, not by patience."""
    elsewhere = frozenset({ProxyClass(Role.SIDECAR, Namespace("elsewhere"))})
    world = World(a=always(OLD))
    assert await world.wait(ClusterActive(V2, elsewhere)) < 1.0
    assert world.proxies.asked == []


async def test_a_mesh_without_proxies_is_said_to_be_one() -> None:
    """Nothing can be waited for, and that is told rather than passed over."""
    world = World()
    await world.wait(ClusterActive(V2))
    assert any(isinstance(event, NoProxies) for event in world.events)


async def test_connections_are_given_back() -> None:
    """A proxy that has converged is not kept open while others are waited for."""
    world = World(a=always(BOTH), b=then(5.0, OLD, BOTH))
    await world.wait(ClusterActive(V2))
    assert world.proxies.released[0] == "a"


async def test_questions_begin_at_once_and_back_off() -> None:
    """The first second costs a few questions, and no gap grows past the slowest pace."""
    world = World(a=then(5.0, OLD, BOTH))
    await world.wait(ClusterActive(V2))
    times = [at for at, _, _ in world.proxies.asked]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert times[0] < 0.2
    assert gaps[0] < 0.1
    assert max(gaps) < 0.5
    assert len(times) < 5.0 / 0.2 + 15


async def test_a_refused_update_is_told_at_once() -> None:
    """It will not arrive later, so nobody should have to wait for the end of the barrier to learn of it."""
    refused = Shown(active=OLD.active, rejected={b"cluster_manager.cds": 3})
    world = World(a=then(1.5, Shown(active=OLD.active, rejected={b"cluster_manager.cds": 2}), refused))
    with pytest.raises(BarrierTimeoutError, match=rf"a\.default: rejected CDS; has no cluster {re.escape(V2)} yet"):
        await world.wait(ClusterActive(V2), patience=4.0)


async def test_an_old_refusal_explains_nothing() -> None:
    """The counters are those of a whole life."""
    world = World(a=always(Shown(active=OLD.active, rejected={b"cluster_manager.cds": 2})))
    with pytest.raises(BarrierTimeoutError, match=r"a\.default: has no cluster"):
        await world.wait(ClusterActive(V2), patience=4.0)


async def test_while_one_route_configuration_is_waited_for_no_other_is_asked_for() -> None:
    """Large meshes have many; only when that one has let go all are looked at again."""
    routes = {str(port): (V2,) for port in range(100, 120)}
    before = Shown(active=BOTH.active, routes={**routes, "9080": (V1,)})
    after = Shown(active=BOTH.active, routes={**routes, "9080": (V2,)})
    world = World(a=then(3.0, before, after))
    assert 3.0 <= await world.wait(ClusterUnreferenced(V1)) < 3.6
    asked = [path for _, _, path in world.proxies.asked if "last_updated" in path and "route_configs" in path]
    assert sum(path.endswith("name_regex=9080") for path in asked) > len(asked) / 2


async def test_a_reference_that_turns_up_elsewhere_is_seen() -> None:
    """While one is waited for, another route configuration may begin to name the cluster."""
    first, second = Shown(routes={"9080": (V1,), "80": (V2,)}), Shown(routes={"9080": (V2,), "80": (V1,)})
    world = World(a=lambda now: first if now < 2.0 else second if now < 4.0 else MOVED)
    assert await world.wait(ClusterUnreferenced(V1)) >= 4.0
