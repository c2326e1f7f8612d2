"""The static half of an Envoy's configuration, as Istio's agent writes it for a pod. Pure.

Everything is a unix socket, named relative to the Envoy's own working directory, so that all Envoys of one class
get the very same bytes. Like Istio's, it has a static listener with an inline route (15090, the metrics), limits
the statistics, and lets long regular expressions into the admin interface (ENVOY.md 3).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safeapply.resources.objects import Document
from safeapply.sandbox.names import PROXY_CONTAINER, SDS_CLUSTER, cluster_id, service_account
from safeapply.sandbox.sockets import listener_name

__all__ = ["ADMIN_FILE", "bootstrap", "node_id", "role_of_pod"]

ADMIN_FILE = "admin.sock"
METRICS_PORT = 15090
TYPE = "type.googleapis.com/envoy."
HCM = TYPE + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"

STATS_PREFIXES = ("cluster_manager", "listener_manager", "server", "cluster.xds-grpc", "wasm")
"""What Istio's stats_matcher lets through by default (ENVOY.md 2)."""


def role_of_pod(pod: Document) -> str | None:
    """Return ``sidecar`` or ``router`` for a pod that runs an Envoy, None for any other.

    Istio's container is named ``istio-proxy``, among the containers or, as a native sidecar, the init containers.
    """
    spec = pod.get("spec") or {}
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        if container.get("name") == PROXY_CONTAINER:
            return "router" if "router" in (container.get("args") or ()) else "sidecar"
    return None


def node_id(pod: Document) -> str:
    """Return ``sidecar~<podIP>~<pod>.<ns>~<ns>.svc.cluster.local`` (ENVOY.md 7)."""
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    address = (pod.get("status") or {}).get("podIP") or "0.0.0.0"  # noqa: S104 - what the agent says without one
    return f"{role_of_pod(pod) or 'sidecar'}~{address}~{name}.{namespace}~{namespace}.svc.cluster.local"


def bootstrap(pod: Document, *, xds_socket: Path, ports: Mapping[str, int] | None = None) -> Mapping[str, Any]:
    """Return the bootstrap of a pod's Envoy, which gets the rest from one replica of the control plane.

    Args:
        pod: which the Envoy stands in.
        xds_socket: where the replica serves.
        ports: the ports of the pod by name, for an Envoy that has certificates; None for one without.
    """
    found = _bootstrap(pod, xds_socket)
    return found if ports is None else {**found, **_mutual_tls(pod, found, xds_socket, ports)}


def _mutual_tls(
    pod: Document, without: Mapping[str, Any], xds_socket: Path, ports: Mapping[str, int]
) -> Mapping[str, Any]:
    """Return what an Envoy with certificates has besides: whom to ask for them, and connections inside itself."""
    node, resources = without["node"], without["static_resources"]
    told = [{"name": name, "containerPort": number} for name, number in sorted(ports.items())]
    own = {"SERVICE_ACCOUNT": service_account(pod), "POD_PORTS": json.dumps(told)}
    internal = TYPE + "extensions.bootstrap.internal_listener.v3.InternalListener"
    return {
        "node": {**node, "metadata": {**node["metadata"], **own}},
        "static_resources": {
            **resources,
            "clusters": [*resources["clusters"], _grpc_cluster(SDS_CLUSTER, xds_socket)],
        },
        "bootstrap_extensions": [
            {"name": "envoy.bootstrap.internal_listener", "typed_config": {"@type": internal}}
        ],
    }


def _bootstrap(pod: Document, xds_socket: Path) -> dict[str, Any]:
    return {
        "node": _node(pod),
        "admin": {"address": {"pipe": {"path": ADMIN_FILE}}},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
            },
            # Istio waits for ever for its first configuration (ENVOY.md 7).
            "cds_config": {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"},
            "lds_config": {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"},
        },
        "static_resources": {
            "clusters": [_cluster("prometheus_stats", ADMIN_FILE), _grpc_cluster("xds-grpc", xds_socket)],
            "listeners": [_metrics_listener()],
        },
        "layered_runtime": {
            "layers": [{"name": "static", "static_layer": {"re2.max_program_size.error_level": 32768}}]
        },
        "stats_config": {
            "use_all_default_tags": False,
            "stats_matcher": {"inclusion_list": {"patterns": [{"prefix": prefix} for prefix in STATS_PREFIXES]}},
        },
    }


def _node(pod: Document) -> Mapping[str, Any]:
    metadata = pod["metadata"]
    labels = metadata.get("labels") or {}
    return {
        "id": node_id(pod),
        "cluster": f"{labels.get('app', metadata['name'])}.{metadata['namespace']}",
        "metadata": {
            "NAME": metadata["name"],
            "NAMESPACE": metadata["namespace"],
            "LABELS": dict(labels),
            "CLUSTER_ID": cluster_id(pod),
        },
    }


def _grpc_cluster(name: str, socket: Path) -> Mapping[str, Any]:
    http2: Mapping[str, Any] = {"explicit_http_config": {"http2_protocol_options": {}}}
    options = {"@type": TYPE + "extensions.upstreams.http.v3.HttpProtocolOptions", **http2}
    return {
        **_cluster(name, str(socket)),
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
    }


def _cluster(name: str, path: str) -> Mapping[str, Any]:
    endpoint = {"endpoint": {"address": {"pipe": {"path": path}}}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _metrics_listener() -> Mapping[str, Any]:
    route = {"match": {"prefix": "/stats/prometheus"}, "route": {"cluster": "prometheus_stats"}}
    hosts = [{"name": "backend", "domains": ["*"], "routes": [route]}]
    router = {"@type": TYPE + "extensions.filters.http.router.v3.Router"}
    manager = {
        "@type": HCM,
        "stat_prefix": "stats",
        "route_config": {"name": "metrics", "virtual_hosts": hosts},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {
        "name": "metrics",
        "address": {"pipe": {"path": listener_name(METRICS_PORT)}},
        "filter_chains": [{"filters": filters}],
    }
