"""What a reading of one Envoy means for an expectation."""

from __future__ import annotations

from safeapply.xds.configdump import Clusters
from safeapply.xds.expectations import ClusterUnreferenced, RouteReleased
from safeapply.xds.listeners import Listeners
from safeapply.xds.names import ClusterName, Host
from safeapply.xds.references import RouteConfig
from safeapply.xds.shortfalls import Holds, StillRefers, Unknown
from safeapply.xds.verdicts import Reading, judge

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


def test_another_hosts_listener_that_names_a_default_cluster_is_one() -> None:
    """A connection to that other host would meet no cluster; what its own Service listens with is none."""
    shown = Listeners({DEFAULT: "10.0.0.1_80"}, frozenset(), {DEFAULT: "10.0.0.2_80"})
    named = Reading(Clusters(frozenset(), frozenset()), {}, (), shown)
    assert judge(ClusterUnreferenced(DEFAULT), named) == StillRefers(DEFAULT, "listener 10.0.0.2_80")


def test_any_route_to_a_subset_is_one() -> None:
    """The host's own, too: it is a VirtualService that made it."""
    assert isinstance(judge(ClusterUnreferenced(SUBSET), reading(OWN, SUBSET)), StillRefers)


def test_a_host_may_let_go_of_what_another_keeps_naming() -> None:
    """A mirror elsewhere keeps a cluster named, though every request that needs it has gone."""
    shown = reading(OWN, SUBSET)
    assert judge(RouteReleased(Host("shop.example"), SUBSET), shown) == Holds()
    assert judge(RouteReleased(Host("web.shop"), SUBSET), shown) == StillRefers(
        SUBSET, "the route of web.shop in route configuration 80"
    )


def test_a_connection_is_let_go_of_by_listeners() -> None:
    """TCP has no virtual host: any listener that names the cluster may still serve it."""
    released = RouteReleased(None, SUBSET)
    assert judge(released, reading(OWN, SUBSET)) == Holds()
    assert judge(released, reading(OWN, SUBSET, listener=True)) == StillRefers(SUBSET, "listener 10.0.0.1_80")


def test_routes_that_have_not_arrived_let_go_of_nothing() -> None:
    """What a listener waits for may name the cluster."""
    waiting = Reading(Clusters(frozenset(), frozenset()), {}, (), Listeners({}, frozenset({"80"})))
    assert judge(RouteReleased(Host("web.shop"), SUBSET), waiting) == Unknown(
        "route configuration 80 has not arrived"
    )
