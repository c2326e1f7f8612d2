"""RDS for gateways: a route configuration per plain port, and per terminated TLS server (ISTIO.md 1.4). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from safeapply.sandbox.controlplane.translation.gateways import Server, common_hosts
from safeapply.sandbox.controlplane.translation.http_routes import (
    cluster_at,
    http_routes,
    route_configuration,
    virtual_host,
)
from safeapply.sandbox.controlplane.translation.matches import Client, is_catch_all
from safeapply.sandbox.controlplane.translation.metadata import Json, exported
from safeapply.sandbox.controlplane.translation.scope import Scope
from safeapply.sandbox.controlplane.translation.services import Service
from safeapply.sandbox.controlplane.translation.virtualservices import VirtualService, applicable
from safeapply.sandbox.controlplane.translation.world import Node, World

__all__ = ["gateway_routes", "service_for"]


def gateway_routes(world: World, scope: Scope, node: Node, servers: Iterable[Server]) -> dict[str, Json]:
    """Return the route configurations of a gateway by name."""
    by_name: dict[str, list[Server]] = {}
    for server in servers:
        if server.protocol in {"HTTP", "HTTPS"}:
            by_name.setdefault(server.route_name, []).append(server)
    return {
        name: route_configuration(name, _virtual_hosts(world, scope, node, sharing))
        for name, sharing in by_name.items()
    }


def service_for(world: World, scope: Scope, node: Node, namespace: str) -> Callable[[str], Service | None]:
    """Return the gateways' look-up: a service in the VirtualService's namespace first (ISTIO.md 1.2)."""

    def find(host: str) -> Service | None:
        for service in world.registry:
            beside = service.host == host and service.namespace == namespace
            if beside and exported(service.export_to, service.namespace, node.namespace):
                return service
        return scope.services.get(host)

    return find


def _virtual_hosts(world: World, scope: Scope, node: Node, servers: Sequence[Server]) -> list[Json]:
    """Return the hosts of servers that share a name; VirtualServices of one host are merged (ISTIO.md 4.1)."""
    hosts: dict[str, Json] = {}
    port = servers[0].port
    done: set[tuple[str, VirtualService, str]] = set()
    for server in servers:
        for virtual_service in applicable(world.virtual_services, node.namespace, server.gateway):
            routes = _routes(world, scope, node, server, virtual_service)
            for host in common_hosts(server, virtual_service.namespace, virtual_service.hosts):
                if (server.gateway, virtual_service, host) not in done:
                    done.add((server.gateway, virtual_service, host))
                    hosts.setdefault(host, virtual_host(host, port, [host], []))["routes"].extend(routes)
        if server.redirects:
            _redirect(hosts, server)
    if not hosts:
        return [{"name": f"blackhole:{port}", "domains": ["*"], "routes": []}]
    for found in hosts.values():
        # Catch-alls go last, so that a younger VirtualService's narrower routes are not lost behind an older's.
        found["routes"].sort(key=lambda route: is_catch_all(route["match"]))
    return [hosts[host] for host in sorted(hosts)]


def _routes(world: World, scope: Scope, node: Node, server: Server, virtual_service: VirtualService) -> list[Json]:
    client = Client(node.namespace, dict(node.labels), {server.gateway}, server.port)
    find = service_for(world, scope, node, virtual_service.namespace)
    return http_routes(virtual_service, client, cluster_at(server.port, find))


def _redirect(hosts: dict[str, Json], server: Server) -> None:
    for offered in server.hosts:
        host = offered.rpartition("/")[2]
        hosts.setdefault(host, virtual_host(host, server.port, [host], []))["require_tls"] = "ALL"
