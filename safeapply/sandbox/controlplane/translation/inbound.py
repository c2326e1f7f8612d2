"""What a sidecar accepts: istiod's ``virtualInbound``, with the chains that policies ask for (ISTIO.md 6.1). Pure.

In a cluster, connections to a pod are led to port 15006, and the listener there reads from the socket which port
was meant. Unix sockets have no ports. So each port of the pod has an *entrance* here: a socket that hands on
connections inside the Envoy and says their port, which ``virtualInbound`` reads by the same filter as in Istio.
Filter chains therefore match by ``destination_port``, as istiod's do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from safeapply.sandbox.controlplane.translation.authentication import Mode
from safeapply.sandbox.controlplane.translation.filters import (
    TLS_INSPECTOR,
    TYPE,
    chain,
    inline_http_filter,
    tcp_filter_to,
)
from safeapply.sandbox.controlplane.translation.metadata import Json, labels_match
from safeapply.sandbox.controlplane.translation.mutual_tls import IN_MESH, PLAIN_SOCKET, downstream
from safeapply.sandbox.controlplane.translation.services import Protocol, Service
from safeapply.sandbox.controlplane.translation.world import Node, World
from safeapply.sandbox.sockets import application_name, entrance_name
from safeapply.xds.names import INBOUND_LISTENER

__all__ = ["inbound_clusters", "inbound_listeners"]

PASSTHROUGH = "InboundPassthroughCluster"
ORIGINAL_DESTINATION = "envoy.filters.listener.original_dst"
ANY = "0.0.0.0"  # noqa: S104 - nothing is bound to it
INTERNAL = "type.googleapis.com/envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport"
SIDECARS = (*IN_MESH, "istio-http/1.0", "istio-http/1.1", "istio-h2")
"""The application protocols by which a PERMISSIVE port knows the mesh's own mTLS (istio ``allIstioMtlsALPNs``)."""


@dataclass(frozen=True, slots=True)
class _Port:
    """One port of the pod."""

    number: int
    protocol: Protocol
    mode: Mode

    @property
    def cluster(self) -> str:
        """Istio's name of what stands behind it."""
        return f"inbound|{self.number}||"

    @property
    def entrance(self) -> str:
        """What leads to it."""
        return f"entrance|{self.number}"


def inbound_listeners(world: World, node: Node) -> dict[str, Json]:
    """Return the listeners of a sidecar that its pod's clients reach; none in a mesh without mutual TLS."""
    if node.ports is None:
        return {}
    ports = tuple(_ports(world, node))
    inspect = {
        "name": ORIGINAL_DESTINATION,
        "typed_config": {"@type": f"{TYPE}listener.original_dst.v3.OriginalDst"},
    }
    whole = {
        "name": INBOUND_LISTENER,
        "internal_listener": {},
        "listener_filters": [inspect, TLS_INSPECTOR],
        "filter_chains": [*(made for port in ports for made in _chains(port)), *_catch_all(world, node)],
        "traffic_direction": "INBOUND",
    }
    return {INBOUND_LISTENER: whole, **{port.entrance: _entrance(port) for port in ports}}


def inbound_clusters(world: World, node: Node) -> dict[str, Json]:
    """Return the clusters of those listeners."""
    if node.ports is None:
        return {}
    found = {made["name"]: made for port in _ports(world, node) for made in (_application(port), _inward(port))}
    return found | {PASSTHROUGH: {"name": PASSTHROUGH, "type": "STATIC", "connect_timeout": "10s"}}


def _ports(world: World, node: Node) -> Iterator[_Port]:
    """Yield the ports that the pod has or a Service gives to it; the oldest Service says what is spoken.

    In Istio a port that istiod has not heard of yet falls to the catch-all; here it is closed for as long.
    """
    named, labels = dict(node.ports or ()), dict(node.labels)
    spoken: dict[int, Protocol] = {}
    for service in world.registry:
        if service.namespace == node.namespace and _selects(service, labels):
            for port in service.ports:
                number = port.target if isinstance(port.target, int) else named.get(port.target)
                if number is not None:
                    spoken.setdefault(number, port.protocol)
    for number in named.values():
        spoken.setdefault(number, Protocol.TCP)
    for number, protocol in sorted(spoken.items()):
        yield _Port(number, protocol, world.authentication.of_workload(node.namespace, labels, number))


def _selects(service: Service, labels: Mapping[str, str]) -> bool:
    return any(selector and labels_match(selector, labels) for selector in service.selected)


def _catch_all(world: World, node: Node) -> Iterator[Json]:
    """Yield the chains for ports that istiod knows nothing of; here no entrance leads to them."""
    mode = world.authentication.of_workload(node.namespace, dict(node.labels), 0)
    for made in _chains(_Port(0, Protocol.TCP, mode)):
        matched = {key: value for key, value in made["filter_chain_match"].items() if key != "destination_port"}
        yield made | {"filters": [tcp_filter_to(PASSTHROUGH)], "filter_chain_match": matched}


def _chains(port: _Port) -> Iterator[Json]:
    """Yield the chains of a port by its mode (istio ``getFilterChainMatchOptions``)."""
    match port.mode:
        case Mode.STRICT:
            yield _chain(port, "tls", mutual=True)
        case Mode.PERMISSIVE:
            yield _chain(port, "tls", SIDECARS, mutual=True)
            yield _chain(port, "raw_buffer")
            if not port.protocol.is_http:
                yield _chain(port, "tls")
        case Mode.DISABLE:
            yield _chain(port, "raw_buffer")
            if not port.protocol.is_http:
                yield _chain(port, "tls")


def _chain(port: _Port, transport: str, offered: tuple[str, ...] = (), *, mutual: bool = False) -> Json:
    if port.protocol.is_http:
        leads = inline_http_filter(port.cluster, f"inbound_{ANY}_{port.number}")
    else:
        leads = tcp_filter_to(port.cluster)
    matched = {"destination_port": port.number, "transport_protocol": transport}
    found = {
        **chain(leads),
        "filter_chain_match": matched | ({"application_protocols": offered} if offered else {}),
    }
    return found | ({"transport_socket": downstream(port.protocol)} if mutual else {})


def _application(port: _Port) -> Json:
    """Return the cluster of the application's own socket."""
    return _static(port.cluster, {"address": {"pipe": {"path": application_name(port.number)}}}) | _http2(port)


def _http2(port: _Port) -> Json:
    if port.protocol is not Protocol.HTTP2:
        return {}
    name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    options = {"@type": f"type.googleapis.com/{name}", "explicit_http_config": {"http2_protocol_options": {}}}
    return {"typed_extension_protocol_options": {name: options}}


def _inward(port: _Port) -> Json:
    """Return the cluster by which an entrance leads to ``virtualInbound``, with the port that was meant."""
    address = {
        "envoy_internal_address": {"server_listener_name": INBOUND_LISTENER, "endpoint_id": str(port.number)}
    }
    meant = {"filter_metadata": {ORIGINAL_DESTINATION: {"local": f"{ANY}:{port.number}"}}}
    socket = {
        "@type": INTERNAL,
        "passthrough_metadata": [{"name": ORIGINAL_DESTINATION, "kind": {"host": {}}}],
        "transport_socket": PLAIN_SOCKET,
    }
    return _static(port.entrance, {"address": address}, meant) | {
        "transport_socket": {"name": "envoy.transport_sockets.internal_upstream", "typed_config": socket}
    }


def _static(name: str, endpoint: Json, metadata: Json | None = None) -> Json:
    host = {"endpoint": endpoint} | ({"metadata": metadata} if metadata else {})
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "10s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [host]}]},
    }


def _entrance(port: _Port) -> Json:
    return {
        "name": port.entrance,
        "address": {"pipe": {"path": entrance_name(port.number)}},
        "filter_chains": [chain(tcp_filter_to(port.entrance))],
        "traffic_direction": "INBOUND",
    }
