"""Which clusters routes and listeners name, of those that are of interest."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from safeapply.xds import references
from safeapply.xds.listeners import listeners
from safeapply.xds.names import ClusterName, Host
from safeapply.xds.references import Interest

V1 = ClusterName("outbound|9080|v1|reviews.default.svc.cluster.local")
V10 = ClusterName("outbound|9080|v10|reviews.default.svc.cluster.local")
NAMES = st.text(max_size=12).map(ClusterName)


def body(*configs: object) -> bytes:
    """Return a dump of these configs, laid out as Envoy does."""
    return json.dumps({"configs": configs}, indent=1).encode()


def routes_to(*names: str, domain: str = "reviews") -> dict[str, object]:
    """Return a virtual host that routes to these clusters."""
    return {"domains": [domain], "routes": [{"route": {"cluster": name}} for name in names]}


def test_every_way_to_name_a_cluster_in_a_route_counts() -> None:
    """Plain, weighted, mirrored; at the route, the virtual host and the whole configuration."""
    routes = [
        {"route": {"cluster": "plain"}},
        {"route": {"weighted_clusters": {"clusters": [{"name": "half", "weight": 50}, {"name": "rest"}]}}},
        {"route": {"cluster": "plain", "request_mirror_policies": [{"cluster": "mirror"}]}},
        {"redirect": {"path_redirect": "/"}},
    ]
    hosts = [{"name": "reviews", "domains": ["a", "a:80"], "routes": routes}]
    hosts.append({"domains": ["b"], "request_mirror_policies": [{"cluster": "host-mirror"}]})
    config = {"name": "80", "virtual_hosts": hosts, "request_mirror_policies": [{"cluster": "all-mirror"}]}
    (read,) = references.route_configs(200, body({"route_config": config, "last_updated": "now"}))
    assert read.name == "80"
    assert read.last_updated == "now"
    assert read.references == {"plain", "half", "rest", "mirror", "host-mirror", "all-mirror"}
    assert read.virtual_hosts[0][0] == {"a", "a:80"}


def test_listeners_name_clusters_in_every_state() -> None:
    """TCP proxies, weighted ones, inline routes of waypoints; draining ones still serve connections."""

    def state(config: object) -> object:
        return {"listener": {"filter_chains": [{"filters": [{"typed_config": config}]}]}}

    read = listeners(
        200,
        body(
            {"name": "tcp", "active_state": state({"stat_prefix": "never", "cluster": "active"})},
            {"name": "old", "draining_state": state({"weighted_clusters": {"clusters": [{"name": "draining"}]}})},
            {"name": "new", "warming_state": state({"rds": {"route_config_name": "9080"}})},
            {
                "name": "waypoint",
                "active_state": state({"route_config": {"virtual_hosts": [{"cluster": "inline"}]}}),
            },
        ),
    )
    assert read.references == {"active": "tcp", "draining": "old (draining)", "inline": "waypoint"}
    assert read.route_configs == {"9080"}


def test_only_what_is_of_interest_is_decoded() -> None:
    """A virtual host that speaks of nothing in play may be anything."""
    hosts = [routes_to(V10), {"domains": "broken"}, routes_to("other"), routes_to("x", domain="ratings:80")]
    read = references.route_configs(
        200,
        body({"route_config": {"name": "80", "virtual_hosts": hosts}}),
        Interest(frozenset({V10}), frozenset({Host("ratings")})),
    )
    assert read[0].virtual_hosts == (
        (frozenset({"reviews"}), frozenset({V10})),
        (frozenset({"ratings:80"}), frozenset()),
    )


def test_a_name_that_begins_like_another_is_not_that_other() -> None:
    """Subset v1 is not named where v10 is."""
    dump = body({"route_config": {"virtual_hosts": [routes_to(V10)]}})
    (read,) = references.route_configs(200, dump, Interest(frozenset({V1})))
    assert read.references == frozenset()
    listener = body({"name": "l", "active_state": {"listener": {"cluster": V10}}})
    assert listeners(200, listener, Interest(frozenset({V1}))).references == {}


@given(st.sets(NAMES, max_size=4), st.sets(NAMES, max_size=4))
def test_the_search_overlooks_nothing(named: set[ClusterName], asked: set[ClusterName]) -> None:
    """Whatever is in a name, quotes and escapes included, searching and decoding agree."""
    config = {"route_config": {"virtual_hosts": [routes_to(*sorted(named))]}}
    (read,) = references.route_configs(200, body(config), Interest(frozenset(asked)))
    assert read.references == named & asked
    state = {"active_state": {"listener": {"routes": [{"cluster": name} for name in sorted(named)]}}}
    assert listeners(200, body(state), Interest(frozenset(asked))).references.keys() == named & asked


def tcp(cluster: str, *, config: str = "", subnet: str = "") -> dict[str, object]:
    """Return a filter chain, perhaps from a VirtualService, perhaps for a subnet."""
    proxy = {"cluster": cluster, "access_log": [{"grpc_service": {"envoy_grpc": {"cluster_name": "logs"}}}]}
    chain: dict[str, object] = {"filters": [{"name": "tcp_proxy", "typed_config": proxy}]}
    if config:
        chain["metadata"] = {"filter_metadata": {"istio": {"config": config}}}
    if subnet:
        chain["filter_chain_match"] = {"prefix_ranges": [{"address_prefix": subnet, "prefix_len": 24}]}
    return chain


def listening(name: str, address: str, *chains: object) -> dict[str, object]:
    """Return a listener."""
    at = {"socket_address": {"address": address, "port_value": 3306}}
    return {"name": name, "active_state": {"listener": {"address": at, "filter_chains": chains}}}


def test_a_chain_that_a_virtual_service_made_is_told_from_a_services_own() -> None:
    """By its metadata; one for destination subnets has none, and stands where no Service's own has a prefix."""
    path = "/apis/networking.istio.io/v1/namespaces/default/virtual-service/db"
    dump = body(
        listening("own", "10.0.0.1", tcp("own")),
        listening("cidr", "0.0.0.0", tcp("cidr", subnet="10.1.0.0")),
        listening("db", "10.0.0.2", tcp("routed", config=path), tcp("own of db")),
        listening("web", "10.0.0.3", tcp("by subnet", subnet="10.2.0.0"), tcp("own of web")),
    )
    assert listeners(200, dump).routed == {"routed": "db", "by subnet": "web"}
    assert listeners(200, dump, has_defaults=False).routed.keys() == {
        *("own", "cidr", "routed", "own of db", "by subnet", "own of web")
    }


def test_an_inline_route_of_a_waypoint_says_where_it_comes_from() -> None:
    """Istiod's own to the same cluster does not."""
    metadata = {"filter_metadata": {"istio": {"config": "/apis/..."}}}
    routes = [{"route": {"cluster": "own"}}, {"route": {"cluster": "routed"}, "metadata": metadata}]
    manager = {"route_config": {"virtual_hosts": [{"domains": ["*"], "routes": routes}]}}
    dump = body(listening("main_internal", "", {"filters": [{"typed_config": manager}]}))
    assert listeners(200, dump).routed == {"routed": "main_internal"}
