"""Envoy's listeners and the filters in them, in the shapes that istiod gives them. Pure.

Every listener is a unix socket in the Envoy's own directory. One thing is added to what Istio sends: an answer that
an Envoy makes up itself says why, in a header, so that a client can count failures by response flag.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from safeapply.sandbox.controlplane.translation.actions import ClusterOf, live_destinations
from safeapply.sandbox.controlplane.translation.metadata import Json
from safeapply.sandbox.sockets import listener_name

__all__ = [
    "FLAGS_HEADER",
    "TLS_INSPECTOR",
    "TYPE",
    "any_address",
    "chain",
    "http_filter",
    "inline_http_filter",
    "listener",
    "tcp_filter",
    "tcp_filter_to",
]

FLAGS_HEADER = "x-envoy-response-flags"
TYPE = "type.googleapis.com/envoy.extensions.filters."

FAULT_FILTER = {
    "name": "envoy.filters.http.fault",
    "typed_config": {"@type": TYPE + "http.fault.v3.HTTPFault"},
}
ROUTER_FILTER = {
    "name": "envoy.filters.http.router",
    "typed_config": {"@type": TYPE + "http.router.v3.Router"},
}
TLS_INSPECTOR = {
    "name": "envoy.filters.listener.tls_inspector",
    "typed_config": {"@type": TYPE + "listener.tls_inspector.v3.TlsInspector"},
}
FLAGS_IN_LOCAL_REPLIES: Json = {
    "mappers": [
        {
            "filter": {
                "status_code_filter": {
                    "comparison": {"op": "GE", "value": {"default_value": 0, "runtime_key": "local_reply_status"}}
                }
            },
            "headers_to_add": [
                {
                    "header": {"key": FLAGS_HEADER, "value": "%RESPONSE_FLAGS%"},
                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                }
            ],
        }
    ]
}


def any_address(port: int) -> str:
    """Return istiod's name for the listener of a port on all addresses."""
    return f"0.0.0.0_{port}"


def listener(address: str, port: int, chains: Iterable[Json], *, reads_sni: bool = False) -> Json:
    """Return a listener with istiod's name; without an address it is the one for all addresses."""
    found: Json = {
        "name": f"{address}_{port}" if address else any_address(port),
        "address": {"pipe": {"path": listener_name(port, address)}},
        "filter_chains": list(chains),
        "traffic_direction": "OUTBOUND",
    }
    return found | ({"listener_filters": [TLS_INSPECTOR]} if reads_sni else {})


def chain(filter_: Json, server_names: Sequence[str] = (), metadata: Json | None = None) -> Json:
    """Return a filter chain, for some server names only where they are given."""
    found: Json = {"filters": [filter_]}
    if server_names:
        found["filter_chain_match"] = {"server_names": list(server_names)}
    return found | ({"metadata": metadata} if metadata else {})


def http_filter(route_name: str, stat_prefix: str) -> Json:
    """Return an HTTP connection manager that gets its routes by RDS."""
    source = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    return _manager(stat_prefix, {"rds": {"config_source": source, "route_config_name": route_name}})


def inline_http_filter(cluster: str, stat_prefix: str) -> Json:
    """Return an HTTP connection manager that sends everything to one cluster, as istiod's inbound ones do."""
    route = {"name": "default", "match": {"prefix": "/"}, "route": {"cluster": cluster, "timeout": "0s"}}
    hosts = [{"name": "inbound|http", "domains": ["*"], "routes": [route]}]
    return _manager(stat_prefix, {"route_config": {"name": cluster, "virtual_hosts": hosts}})


def _manager(stat_prefix: str, routes: Json) -> Json:
    manager = {
        "@type": TYPE + "network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": stat_prefix,
        **routes,
        "http_filters": [FAULT_FILTER, ROUTER_FILTER],
        "stream_idle_timeout": "0s",
        "normalize_path": True,
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "local_reply_config": FLAGS_IN_LOCAL_REPLIES,
    }
    return {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}


def tcp_filter(destinations: Sequence[Json], cluster_of: ClusterOf) -> Json:
    """Return a TCP proxy to the destinations of a TCP or TLS route."""
    live = live_destinations(list(destinations))
    if len(live) == 1:
        return tcp_filter_to(cluster_of(live[0]["destination"]))
    weighted = [{"name": cluster_of(each["destination"]), "weight": int(each["weight"])} for each in live]
    return _tcp_proxy({"stat_prefix": weighted[0]["name"], "weighted_clusters": {"clusters": weighted}})


def tcp_filter_to(cluster: str) -> Json:
    """Return a TCP proxy to one cluster."""
    return _tcp_proxy({"stat_prefix": cluster, "cluster": cluster})


def _tcp_proxy(proxy: Json) -> Json:
    typed = {"@type": TYPE + "network.tcp_proxy.v3.TcpProxy", **proxy}
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": typed}
