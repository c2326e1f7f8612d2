"""Proxies that no istiod knows, proxies that do not count, and pods without an Envoy."""

from __future__ import annotations

import pytest

from safeapply.errors import BarrierTimeoutError
from safeapply.istio.proxies import Traits, proxy_of_pod, proxyless_of_pod
from safeapply.resources.objects import Resource
from safeapply.rollout.events import Event, LeftOut, Straggler
from safeapply.rollout.poller import Poller
from safeapply.rollout.strangers import is_excluded
from safeapply.xds.expectations import ClusterActive, ClusterUnreferenced, Expectation
from tests.rollout.istiods import MemoryIstiods, istiod
from tests.rollout.memory import JumpingClock, MemoryCluster, MemoryProxies, Shown, always, pod, proxy
from tests.rollout.test_oversight import GONE, MOVED, V1, V2, write

STRANGER = "is connected to no replica of istiod, so nothing is removed; restart or delete the pod, or say "


class World:
    """Two proxies, a and b, of which b is not connected to istiod at first; and one replica."""

    def __init__(self, b: Shown = MOVED) -> None:
        self.clock = JumpingClock()
        self.cluster = MemoryCluster(["a", "b"])
        self.cluster.pods.append(istiod("istiod0"))
        self.istiods = MemoryIstiods(self.clock, {"istiod0": lambda _: {"reviews": "8"}})
        self.proxies = MemoryProxies(self.clock, {"a": always(MOVED), "b": always(b)})
        self.events: list[Event] = []

    async def wait(self, expected: Expectation = GONE, *, exclude: tuple[str, ...] = ()) -> float:
        """Wait for a barrier of a minute and return how long it took."""
        poller = Poller(
            self.cluster,
            self.proxies,
            self.clock,
            self.events.append,
            Traits(),
            istiods=self.istiods,
            exclude=exclude,
        )
        await poller.wait(1, (expected,), patience=60.0, writes=[write("reviews", "8")])
        return self.clock.now()

    @property
    def left_out(self) -> tuple[Straggler, ...]:
        """Who was told not to count."""
        return tuple(one for event in self.events if isinstance(event, LeftOut) for one in event.proxies)


async def test_a_proxy_that_no_replica_knows_keeps_a_removal_closed() -> None:
    """It shows what it shall, and will get who knows what when it is back; the way out is in the message."""
    with pytest.raises(BarrierTimeoutError) as caught:
        await World().wait()
    assert caught.value.behind == "the proxies are ready, but istiod does not know all of them"
    assert caught.value.stragglers == (f"b.default: {STRANGER}--exclude default/b if it does not count",)


async def test_a_proxy_that_connects_in_the_end_opens_it() -> None:
    """It is given as much time as any other."""
    world = World()
    world.istiods.connected = {"a.default", "b.default"}
    assert await world.wait() < 5.0


async def test_it_keeps_nothing_closed_but_removals() -> None:
    """What only has to arrive is shown by the proxies themselves."""
    assert await World().wait(ClusterActive(V2)) < 5.0


async def test_a_silent_replica_may_know_it() -> None:
    """What was not heard proves nothing against a proxy."""
    world = World()
    world.cluster.pods.append(istiod("istiod1"))
    world.istiods.silent = {"istiod1"}
    assert await world.wait() < 15.0


async def test_an_excluded_proxy_is_not_asked_and_is_named() -> None:
    """Neither what it shows counts, nor that no istiod knows it."""
    world = World(b=Shown(active=frozenset({V1, V2}), routes={"9080": (V1,)}))
    await world.wait(ClusterUnreferenced(V1), exclude=("default/b*",))
    assert {who for _, who, _ in world.proxies.asked} == {"a"}
    assert world.left_out == (Straggler(proxy("b").id, "excluded"),)


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("default/b", True),
        ("default/*", True),
        ("*/b", True),
        ("default/?", True),
        ("other/b", False),
        ("default/B", False),
    ],
)
def test_names_match_as_in_a_shell(pattern: str, *, matches: bool) -> None:
    """Namespace and pod, with wildcards; capitals count."""
    assert is_excluded(proxy("b"), [pattern]) is matches


@pytest.mark.parametrize("templates", ["grpc-agent", "grpc-simple", "spire, grpc-agent"])
async def test_a_pod_that_speaks_xds_itself_is_not_asked_and_is_named(templates: str) -> None:
    """It has a container of the sidecar's name, and no Envoy in it."""
    world = World()
    grpc = pod("b")
    metadata = {**grpc.metadata, "annotations": {"inject.istio.io/templates": templates}}
    world.cluster.pods[1] = Resource(grpc.id, {**grpc.document, "metadata": metadata})
    assert proxy_of_pod(world.cluster.pods[1]) is None
    assert proxyless_of_pod(world.cluster.pods[1]) == "b.default"
    await world.wait()
    assert world.left_out == (Straggler(proxy("b").id, "runs gRPC without an Envoy, and is not checked"),)
