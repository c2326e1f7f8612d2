"""Envoy's clusters and their endpoints, with istiod's names (ISTIO.md 1.1). Pure.

In a mesh without mutual TLS, DestinationRules' ``tls`` and PeerAuthentication change nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from safeapply.resources.objects import Document
from safeapply.sandbox.controlplane.translation.actions import duration
from safeapply.sandbox.controlplane.translation.endpoints import Backend
from safeapply.sandbox.controlplane.translation.metadata import Json, origin
from safeapply.sandbox.controlplane.translation.mutual_tls import mark, upstream
from safeapply.sandbox.controlplane.translation.rules import Rule, Subset
from safeapply.sandbox.controlplane.translation.services import Port, Protocol, Resolution, Service
from safeapply.sandbox.controlplane.translation.world import Node, World
from safeapply.sandbox.sockets import backend_name
from safeapply.xds.names import CONTROL_CLUSTER, Host, outbound_cluster

__all__ = ["PASSTHROUGH", "assignments", "clusters"]

PASSTHROUGH = "PassthroughCluster"
"""Where requests to unknown hosts go. It asks the connection for its original destination, which a unix socket does
not have: such requests are answered 503 UH."""

WHOLE = Subset("", {}, {})
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
BALANCERS = {
    "ROUND_ROBIN": "ROUND_ROBIN", "RANDOM": "RANDOM",
    "LEAST_REQUEST": "LEAST_REQUEST", "LEAST_CONN": "LEAST_REQUEST",
}  # fmt: skip
UNLIMITED = 4294967295


def clusters(world: World, node: Node, services: Iterable[Service]) -> dict[str, Json]:
    """Return every cluster of a proxy by name."""
    found: dict[str, Json] = {
        CONTROL_CLUSTER: {"name": CONTROL_CLUSTER, "type": "STATIC", "connect_timeout": "10s"},
        PASSTHROUGH: {
            "name": PASSTHROUGH,
            "type": "ORIGINAL_DST",
            "lb_policy": "CLUSTER_PROVIDED",
            "connect_timeout": "10s",
        },
    }
    for service in services:
        rule = world.rule(service, node)
        for port, subset in _parts(service, rule):
            cluster = _cluster(world, service, port, subset, rule)
            if cluster is not None:
                found[cluster["name"]] = cluster
    return found


def assignments(world: World, node: Node, services: Iterable[Service]) -> dict[str, Json]:
    """Return the endpoints of every cluster that gets them by EDS."""
    found: dict[str, Json] = {}
    for service in services:
        if service.resolution is Resolution.EDS:
            for port, subset in _parts(service, world.rule(service, node)):
                name = _name(service, port, subset)
                backends = world.workloads.backends(service, port, subset.labels)
                found[name] = _assignment(name, backends, _marks(world, node, service, port, subset))
    return found


def _marks(world: World, node: Node, service: Service, port: Port, subset: Subset) -> Callable[[Backend], Json]:
    if not world.mutual_tls:
        return lambda _: {}
    return partial(mark, world.rule(service, node), subset, world.authentication, service, port)


def _parts(service: Service, rule: Rule | None) -> Iterator[tuple[Port, Subset]]:
    """Yield every port with every subset: istiod makes a cluster of each (ISTIO.md 1.1)."""
    for port in service.ports:
        yield port, WHOLE
        for subset in rule.subsets.values() if rule else ():
            yield port, subset


def _cluster(world: World, service: Service, port: Port, subset: Subset, rule: Rule | None) -> Json | None:
    name = _name(service, port, subset)
    cluster: Json = {"name": name, **_discovery(world, service, port, subset)}
    if service.resolution is Resolution.DNS and not cluster["load_assignment"]["endpoints"]:
        return None  # ISTIO.md 3.6, 17
    if rule is not None:
        cluster["metadata"] = origin(rule.document, **({"subset": subset.name} if subset.name else {}))
    if port.protocol is Protocol.HTTP2:
        options = {"explicit_http_config": {"http2_protocol_options": {"max_concurrent_streams": 1073741824}}}
        typed = {"@type": f"type.googleapis.com/{HTTP_OPTIONS}", **options}
        cluster["typed_extension_protocol_options"] = {HTTP_OPTIONS: typed}
    policy = _policy_for(port, subset, rule)
    if world.mutual_tls:
        cluster |= upstream(policy, world.authentication, service, port, subset)
    return cluster | _policy(policy, service.resolution)


def _discovery(world: World, service: Service, port: Port, subset: Subset) -> Json:
    match service.resolution:
        case Resolution.EDS:
            # Istio lets a cluster warm for ever until its endpoints arrive (ISTIO.md 0.5).
            source = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
            return {"type": "EDS", "eds_cluster_config": {"eds_config": source}}
        case Resolution.DNS:
            # The names of such hosts are names of sockets here, so there is nothing to resolve.
            name = _name(service, port, subset)
            backends = world.workloads.backends(service, port, subset.labels)
            return {"type": "STATIC", "load_assignment": _assignment(name, backends, lambda _: {})}
        case Resolution.NONE:
            return {"type": "ORIGINAL_DST"}


def _assignment(name: str, backends: Iterable[Backend], marks: Callable[[Backend], Json]) -> Json:
    endpoints = [_endpoint(each) | ({"metadata": said} if (said := marks(each)) else {}) for each in backends]
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}] if endpoints else []}


def _endpoint(backend: Backend) -> Json:
    path = f"../../b/{backend_name(backend.address, backend.port)}"
    return {"endpoint": {"address": {"pipe": {"path": path}}}}


def _name(service: Service, port: Port, subset: Subset) -> str:
    return outbound_cluster(Host(service.host), port.number, subset.name)


def _policy_for(port: Port, subset: Subset, rule: Rule | None) -> Document:
    """Return the policy in force: the subset's over the rule's; a port's replaces what it stands in (ISTIO.md 6.3).

    A subset's settings for the port replace everything (istio ``MergeTrafficPolicy``).
    """
    policy: Document = {}
    for said in (rule.policy if rule else {}, subset.policy):
        levels = said.get("portLevelSettings") or ()
        own = [level for level in levels if (level.get("port") or {}).get("number") == port.number]
        policy = own[0] if own else {**policy, **said}
    return policy


def _policy(policy: Document, resolution: Resolution) -> Json:
    pool = policy.get("connectionPool") or {}
    tcp, http = pool.get("tcp") or {}, pool.get("http") or {}
    limits = {
        "max_connections": int(tcp.get("maxConnections") or UNLIMITED),
        "max_pending_requests": int(http.get("http1MaxPendingRequests") or UNLIMITED),
        "max_requests": int(http.get("http2MaxRequests") or UNLIMITED),
        "max_retries": int(http.get("maxRetries") or UNLIMITED),
    }
    found: Json = {
        "connect_timeout": duration(tcp.get("connectTimeout") or "10s"),
        "circuit_breakers": {"thresholds": [limits]},
        "lb_policy": _balancer(policy.get("loadBalancer") or {}, resolution),
    }
    outliers = policy.get("outlierDetection")
    return found | ({"outlier_detection": _outliers(outliers)} if outliers else {})


def _balancer(said: Mapping[str, object], resolution: Resolution) -> str:
    if resolution is Resolution.NONE:
        return "CLUSTER_PROVIDED"
    return BALANCERS.get(str(said.get("simple")), "LEAST_REQUEST")


def _outliers(said: Document) -> Json:
    found: Json = {"enforcing_success_rate": 0}
    errors = said.get("consecutive5xxErrors", said.get("consecutiveErrors"))
    if errors is not None:
        found["consecutive_5xx"] = int(errors)
        found["enforcing_consecutive_5xx"] = 100 if int(errors) else 0
    for theirs, ours in (("interval", "interval"), ("baseEjectionTime", "base_ejection_time")):
        if said.get(theirs):
            found[ours] = duration(said[theirs])
    if said.get("maxEjectionPercent") is not None:
        found["max_ejection_percent"] = int(said["maxEjectionPercent"])
    return found
