"""What a reading of one Envoy means for an expectation."""

from __future__ import annotations

from safeapply.xds.configdump import Clusters
from safeapply.xds.expectations import ClusterUnreferenced
from safeapply.xds.names import ClusterName
from safeapply.xds.references import Listeners, RouteConfig
from safeapply.xds.verdicts import Holds, Reading, StillRefers, judge

DEFAULT = ClusterName("outbound|80||web.shop.svc.cluster.local")
SUBSET = ClusterName("outbound|80|v1|web.shop.svc.cluster.local")
OWN = frozenset({"web.shop.svc.cluster.local", "web.shop", "web"})


def reading(domains: frozenset[str], named: ClusterName, *, listener: bool = False) -> Reading:
    """Return an Envoy whose one virtual host, and perhaps one listener, names a cluster."""
    routes = (RouteConfig("80", "", ((domains, frozenset({named})),)),)
    listeners = Listeners({named: "10.0.0.1_80"} if listener else {}, frozenset({"80"}))
    return Reading(Clusters(frozenset(), frozenset()), {}, routes, listeners)


def test_a_hosts_own_route_to_its_default_cluster_is_no_reference() -> None:
    """Istiod gives it to every host and takes it with the cluster: one would wait for its end for ever."""
    assert judge(ClusterUnreferenced(DEFAULT), reading(OWN, DEFAULT, listener=True)) == Holds()


def test_another_hosts_route_to_a_default_cluster_is_one() -> None:
    """A request to that other host would meet no cluster."""
    verdict = judge(ClusterUnreferenced(DEFAULT), reading(frozenset({"shop.example"}), DEFAULT))
    assert verdict == StillRefers(DEFAULT, "route configuration 80")


def test_any_route_to_a_subset_is_one() -> None:
    """The host's own, too: it is a VirtualService that made it."""
    assert isinstance(judge(ClusterUnreferenced(SUBSET), reading(OWN, SUBSET)), StillRefers)
