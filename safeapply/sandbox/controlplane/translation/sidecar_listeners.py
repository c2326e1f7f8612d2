"""LDS for sidecars: one listener per HTTP port, and one per TCP or TLS service port (ISTIO.md 1.4). Pure.

There is no iptables here to send everything to 15001, so each listener is bound. TCP services without an address
share the port's listener on all addresses: HTTP keeps it where both want it, of TCP services the oldest has it, and
TLS services share it by SNI. A headless service is one without an address.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from safeapply.sandbox.controlplane.translation.filters import (
    any_address,
    chain,
    http_filter,
    listener,
    tcp_filter,
    tcp_filter_to,
)
from safeapply.sandbox.controlplane.translation.hosts import overlap
from safeapply.sandbox.controlplane.translation.http_routes import cluster_at
from safeapply.sandbox.controlplane.translation.matches import Client, l4_applies
from safeapply.sandbox.controlplane.translation.metadata import Json, origin
from safeapply.sandbox.controlplane.translation.scope import Scope
from safeapply.sandbox.controlplane.translation.services import Port, Protocol, Service
from safeapply.sandbox.controlplane.translation.virtualservices import MESH, VirtualService
from safeapply.sandbox.controlplane.translation.world import Node
from safeapply.xds.names import Host, outbound_cluster

__all__ = ["sidecar_listeners"]


def sidecar_listeners(scope: Scope, node: Node) -> dict[str, Json]:
    """Return the listeners of a sidecar by name."""
    found: dict[str, Json] = {}
    for _, port in _ports(scope, http=True):
        name = any_address(port.number)
        if name not in found:
            found[name] = listener("", port.number, [chain(http_filter(str(port.number), f"outbound_{name}"))])
    for service, port in _ports(scope, http=False):
        _add(
            found, listener(service.address, port.number, _chains(scope, node, service, port), reads_sni=_tls(port))
        )
    return found


def _ports(scope: Scope, *, http: bool) -> Iterator[tuple[Service, Port]]:
    for service in scope.called.values():
        for port in service.ports:
            if port.protocol.is_http is http and not service.alias:
                yield service, port


def _add(found: dict[str, Json], new: Json) -> None:
    """Add a listener; one for TLS joins another for TLS, anything else finds its place taken."""
    old = found.setdefault(new["name"], new)
    if old is not new and "listener_filters" in old and "listener_filters" in new:
        known = [each.get("filter_chain_match") for each in old["filter_chains"]]
        old["filter_chains"] += [
            each for each in new["filter_chains"] if each.get("filter_chain_match") not in known
        ]


def _tls(port: Port) -> bool:
    return port.protocol is Protocol.TLS


def _chains(scope: Scope, node: Node, service: Service, port: Port) -> Sequence[Json]:
    client = Client(node.namespace, dict(node.labels), {MESH}, port.number)
    speaking = [each for each in scope.virtual_services if any(overlap(host, service.host) for host in each.hosts)]
    cluster_of = cluster_at(port.number, scope.services.get)
    whole = tcp_filter_to(outbound_cluster(Host(service.host), port.number))
    if _tls(port):
        by_name: dict[tuple[str, ...], Json] = {}
        for virtual_service, route, names in _tls_routes(speaking, client):
            filter_ = tcp_filter(route["route"], cluster_of)
            by_name.setdefault(names, chain(filter_, names, origin(virtual_service.document)))
        return list(by_name.values()) or [chain(whole, () if service.address else (service.host,))]
    for virtual_service, route in _tcp_routes(speaking, client):
        return [chain(tcp_filter(route["route"], cluster_of), metadata=origin(virtual_service.document))]
    return [chain(whole)]


def _tls_routes(
    services: Sequence[VirtualService], client: Client
) -> Iterator[tuple[VirtualService, Json, tuple[str, ...]]]:
    for service in services:
        for route in service.tls:
            for match in route.get("match") or ():
                if route.get("route") and l4_applies(match, client):
                    yield service, route, tuple(match.get("sniHosts") or ())


def _tcp_routes(services: Sequence[VirtualService], client: Client) -> Iterator[tuple[VirtualService, Json]]:
    for service in services:
        for route in service.tcp:
            matches: Sequence[Json] = route.get("match") or ({},)
            if route.get("route") and any(l4_applies(match, client) for match in matches):
                yield service, route
