"""A refusal that an Envoy does not tell is told by istiod."""

from __future__ import annotations

import pytest

from safeapply.errors import BarrierTimeoutError
from safeapply.istio.proxies import Traits
from safeapply.rollout.poller import Poller
from safeapply.xds.expectations import RouteRefers
from safeapply.xds.names import ClusterName, Host
from tests.rollout.istiods import MemoryIstiods, istiod
from tests.rollout.memory import JumpingClock, MemoryCluster, MemoryProxies, Script, Shown, always, pod

V2 = ClusterName("outbound|9080|v2|reviews.default.svc.cluster.local")
MOVED = RouteRefers(Host("reviews.default.svc.cluster.local"), V2)


async def complaint(script: Script, **refused: str) -> str:
    """Return what is said of a proxy that has not moved, where istiod has these words of it."""
    clock, cluster = JumpingClock(), MemoryCluster()
    cluster.pods = [pod("a"), istiod("istiod-0"), istiod("istiod-1")]
    istiods = MemoryIstiods(clock, {"istiod-0": lambda _: {}, "istiod-1": lambda _: {}})
    istiods.refused = {f"{name}.default": words for name, words in refused.items()}
    proxies = MemoryProxies(clock, {"a": script})
    poller = Poller(cluster, proxies, clock, lambda _: None, Traits(), istiods=istiods)
    with pytest.raises(BarrierTimeoutError) as caught:
        await poller.wait(1, (MOVED,), patience=5.0)
    (straggler,) = caught.value.stragglers
    return straggler


async def test_a_refused_route_is_told_in_envoys_words() -> None:
    """On one line, without what is random in them."""
    said = await complaint(always(Shown()), a="goo.gle/debugstr  Only a single wildcard domain\nis permitted")
    assert said == (
        "a.default: rejected RDS (Only a single wildcard domain is permitted); the route of "
        f"reviews.default.svc.cluster.local does not name {V2} yet"
    )


async def test_what_another_proxy_refused_says_nothing_of_this_one() -> None:
    """The page tells of all of them."""
    assert "rejected" not in await complaint(always(Shown()), b="no")


async def test_who_cannot_be_reached_is_not_explained_by_hearsay() -> None:
    """The refusal may be true, and is not why nobody knows what the proxy has."""
    assert (await complaint(lambda _: None, a="no")).startswith("a.default: cannot be reached")


async def test_refusals_that_were_counted_get_istiods_words() -> None:
    """Envoy counts a refused update of clusters, and keeps no word of it."""
    counted = {b"cluster_manager.cds": 1}
    said = await complaint(lambda now: Shown(rejected=counted if now > 1.0 else {}), a="no")
    assert said.startswith("a.default: rejected CDS and RDS (no); the route of")
