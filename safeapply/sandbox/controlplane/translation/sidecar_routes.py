"""RDS for sidecars: one route configuration per HTTP port, named by its number (ISTIO.md 1.4). Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from safeapply.sandbox.controlplane.translation.actions import default_route
from safeapply.sandbox.controlplane.translation.clusters import PASSTHROUGH
from safeapply.sandbox.controlplane.translation.hosts import DOMAIN, is_wild, most_specific, overlap
from safeapply.sandbox.controlplane.translation.http_routes import (
    cluster_at,
    http_routes,
    route_configuration,
    virtual_host,
)
from safeapply.sandbox.controlplane.translation.matches import Client
from safeapply.sandbox.controlplane.translation.metadata import Json
from safeapply.sandbox.controlplane.translation.scope import Scope
from safeapply.sandbox.controlplane.translation.services import Service
from safeapply.sandbox.controlplane.translation.virtualservices import MESH, VirtualService
from safeapply.sandbox.controlplane.translation.world import Node
from safeapply.xds.names import Host, outbound_cluster

__all__ = ["sidecar_routes"]

OUTSIDE_PORT = 80
"""The one port on which istiod routes hosts that no service declares (ISTIO.md 2.5)."""

REFUSING = {"status": 502}


def sidecar_routes(scope: Scope, node: Node) -> dict[str, Json]:
    """Return the route configurations of a sidecar by name."""
    by_port: defaultdict[int, dict[str, Service]] = defaultdict(dict)
    for service in scope.called.values():
        for port in service.ports:
            if port.protocol.is_http:
                by_port[port.number][service.host] = service
    owners = _owners(scope)
    return {
        str(port): route_configuration(str(port), _virtual_hosts(scope, node, port, services, owners))
        for port, services in sorted(by_port.items())
    }


def _owners(scope: Scope) -> dict[str, VirtualService]:
    """Return, for each service, the VirtualService whose host is nearest to it; the first of equals."""
    by_host: dict[str, VirtualService] = {}
    for service in scope.virtual_services:
        for host in service.hosts:
            by_host.setdefault(host, service)
    nearest = ((host, most_specific(host, by_host)) for host in scope.called)
    return {host: by_host[pattern] for host, pattern in nearest if pattern is not None}


def _virtual_hosts(
    scope: Scope, node: Node, port: int, services: Mapping[str, Service], owners: Mapping[str, VirtualService]
) -> list[Json]:
    table = _Table(port, node.namespace)
    client = Client(node.namespace, dict(node.labels), {MESH}, port)
    routed: set[str] = set()
    aliases: defaultdict[str, list[Service]] = defaultdict(list)
    for each in scope.called.values():
        aliases[each.alias].append(each)
    # A destination's service is looked up among those that own the listener's port, trimmed to that port, so an
    # unsaid port is always the listener's (ISTIO.md 1.2).
    owning = {s.host: s.with_ports((port,)) for s in scope.services.values() if s.port(port) is not None}
    cluster_of = cluster_at(port, owning.get)
    for virtual_service in scope.virtual_services:
        routes = http_routes(virtual_service, client, cluster_of)
        if routes:
            for host in _hosts_on(virtual_service, port, services, owners):
                routed.add(host)
                table.add(host, services.get(host), routes, aliases[host])
    for host, service in sorted(services.items()):
        if host not in routed and not service.alias:
            table.add(host, service, [default_route(outbound_cluster(Host(host), port))], aliases[host])
    return [*table.sorted(), _catch_all(allows_any=scope.allows_any)]


class _Table:
    """The virtual hosts of one route configuration; Envoy refuses it if two have a name or a domain in common."""

    def __init__(self, port: int, namespace: str) -> None:
        self._port = port
        self._namespace = namespace
        self._hosts: dict[str, Json] = {}
        self._taken: set[str] = set()

    def add(
        self, host: str, service: Service | None, routes: Sequence[Json], aliases: Sequence[Service] = ()
    ) -> None:
        """Add a host, unless an earlier one has its name or all of its domains: sidecars do not merge (4.2).

        It is called by its aliases, too (istio ``generateVirtualHostDomains``).
        """
        named = [(host, service), *((alias.host, alias) for alias in aliases)]
        known = (each for name, one in named for each in _domains(name, one, self._namespace))
        domains = [each for each in known if each not in self._taken]
        if host not in self._hosts and domains:
            self._taken.update(domains)
            self._hosts[host] = virtual_host(host, self._port, domains, list(routes))

    def sorted(self) -> list[Json]:
        """Return them as istiod orders them."""
        return [self._hosts[host] for host in sorted(self._hosts)]


def _hosts_on(
    virtual_service: VirtualService,
    port: int,
    services: Mapping[str, Service],
    owners: Mapping[str, VirtualService],
) -> Iterator[str]:
    """Yield the hosts that a VirtualService speaks for on a port (istio ``separateVSHostsAndServices``)."""
    outside: list[str] = []
    inside: list[str] = []
    for host in virtual_service.hosts:
        if not is_wild(host):
            (inside if host in services else outside).append(host)
            continue
        matching = [service for service in services if overlap(service, host)]
        inside += [service for service in matching if owners.get(service) is virtual_service]
        if not matching:
            outside.append(host)
    if inside or port == OUTSIDE_PORT:
        yield from dict.fromkeys((*outside, *inside))


def _domains(host: str, service: Service | None, client: str) -> Sequence[str]:
    """Return the names by which a client may call a host: in full, and the short forms of its namespace."""
    if service is None or service.is_entry:
        return (host, service.address) if service is not None and service.address else (host,)
    name, namespace = host.removesuffix(f".{DOMAIN}").split(".", 1)
    short = (name,) if namespace == client else ()
    address = (service.address,) if service.address else ()
    return (host, *short, f"{name}.{namespace}.svc", f"{name}.{namespace}", *address)


def _catch_all(*, allows_any: bool) -> Json:
    """Return what becomes of hosts that nobody declares."""
    match = {"prefix": "/"}
    if allows_any:
        route = {"name": "allow_any", "match": match, "route": {"cluster": PASSTHROUGH, "timeout": "0s"}}
        return {"name": "allow_any", "domains": ["*"], "routes": [route]}
    refusal = {"name": "block_all", "match": match, "direct_response": REFUSING}
    return {"name": "block_all", "domains": ["*"], "routes": [refusal]}
