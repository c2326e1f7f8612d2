"""LDS for gateways: one listener per port of the servers that select the pod. Pure.

A server that terminates TLS has its filter chain and its routes, as in Istio, but no certificate: it is there to be
read, and serves nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from safeapply.sandbox.controlplane.translation.filters import chain, http_filter, listener, tcp_filter
from safeapply.sandbox.controlplane.translation.gateway_routes import service_for
from safeapply.sandbox.controlplane.translation.gateways import Server, common_hosts
from safeapply.sandbox.controlplane.translation.http_routes import cluster_at
from safeapply.sandbox.controlplane.translation.matches import Client, l4_applies
from safeapply.sandbox.controlplane.translation.metadata import Json, origin
from safeapply.sandbox.controlplane.translation.scope import Scope
from safeapply.sandbox.controlplane.translation.virtualservices import applicable
from safeapply.sandbox.controlplane.translation.world import Node, World

__all__ = ["gateway_listeners"]


def gateway_listeners(world: World, scope: Scope, node: Node, servers: Iterable[Server]) -> dict[str, Json]:
    """Return the listeners of a gateway by name; a port for which there is no route yet has none."""
    by_port: dict[int, list[Server]] = {}
    for server in servers:
        by_port.setdefault(server.port, []).append(server)
    found = {}
    for port, sharing in by_port.items():
        chains = list(_distinct(_chains(world, scope, node, sharing)))
        if chains:
            reads_sni = sharing[0].protocol in {"HTTPS", "TLS"}
            made = listener("", port, chains, reads_sni=reads_sni)
            found[made["name"]] = made
    return found


def _chains(world: World, scope: Scope, node: Node, servers: Sequence[Server]) -> Iterator[Json]:
    for server in servers:
        match server.protocol:
            case "HTTP":
                yield chain(http_filter(server.route_name, f"outbound_0.0.0.0_{server.port}"))
            case "HTTPS":
                names = [host.rpartition("/")[2] for host in server.hosts]
                filter_ = http_filter(server.route_name, f"outbound_0.0.0.0_{server.port}")
                yield chain(filter_, [] if "*" in names else names)
            case _:
                yield from _l4_chains(world, scope, node, server)


def _l4_chains(world: World, scope: Scope, node: Node, server: Server) -> Iterator[Json]:
    client = Client(node.namespace, dict(node.labels), {server.gateway}, server.port)
    for service in applicable(world.virtual_services, node.namespace, server.gateway):
        hosts = set(common_hosts(server, service.namespace, service.hosts))
        if not hosts:
            continue
        cluster_of = cluster_at(server.port, service_for(world, scope, node, service.namespace))
        for route in service.tls if server.protocol == "TLS" else service.tcp:
            matches: Sequence[Json] = route.get("match") or ({},)
            for match in matches:
                if route.get("route") and l4_applies(match, client):
                    filter_ = tcp_filter(route["route"], cluster_of)
                    yield chain(filter_, match.get("sniHosts") or (), origin(service.document))


def _distinct(chains: Iterable[Json]) -> Iterator[Json]:
    """Yield the first of the chains that match the same: Envoy refuses a listener with two."""
    seen: list[Json | None] = []
    for each in chains:
        if each.get("filter_chain_match") not in seen:
            seen.append(each.get("filter_chain_match"))
            yield each
