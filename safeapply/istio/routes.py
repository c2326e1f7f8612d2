"""Which clusters the routes of a proxy name: the look-up of VirtualServices (ISTIO.md 1.2, 1.3, 4).

Where an object has several versions (``istio.snapshot``), every reference that *some* mixture of versions can
show is returned: the verifier asks what a proxy may do, not what it will do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from safeapply.istio.hosts import overlap
from safeapply.istio.kinds import MESH, Destination, Gateway, Port, Rule, Server, Traffic, VirtualService
from safeapply.istio.listeners import Listener, is_visible, may_win, sent, sidecar_listeners
from safeapply.istio.proxies import ProxyClass, Role
from safeapply.istio.registry import service_options
from safeapply.istio.scopes import Certainty, imports_route
from safeapply.istio.snapshot import Snapshot
from safeapply.istio.visibility import exported_to
from safeapply.resources.objects import FieldPath, ResourceId
from safeapply.xds.names import ClusterName, Host, outbound_cluster

__all__ = ["Reference", "references"]


@dataclass(frozen=True, slots=True)
class Reference:
    """One cluster that a route names, and which field of which object made it do so."""

    cluster: ClusterName
    host: Host
    """The destination's host."""
    subset: str
    domain: Host | None
    """The domain of the virtual host; None for TCP and TLS."""
    port: int
    """The port that the client calls."""
    hard: bool
    """False for mirrors: the caller never notices (ISTIO.md 1.3)."""
    chain: tuple[ResourceId, ...]
    """The VirtualService, and the delegate that its rule hands over to."""
    path: FieldPath
    """The field, in the last object of the chain."""

    def __str__(self) -> str:
        """Return the request that follows this reference: ``HTTP reviews...:9080``."""
        return f"{self.domain}:{self.port}" if self.domain else f"port {self.port} (TCP)"


def references(snapshot: Snapshot, proxy_class: ProxyClass, routes: Iterable[ResourceId]) -> Iterator[Reference]:
    """Yield the references that some of these VirtualServices may put on proxies of a class."""
    if proxy_class.role is Role.GATEWAY:
        yield from _on_gateway(snapshot, proxy_class, routes)
    else:
        yield from _on_sidecar(snapshot, proxy_class, routes)


def _on_sidecar(snapshot: Snapshot, proxy_class: ProxyClass, routes: Iterable[ResourceId]) -> Iterator[Reference]:
    for route in routes:
        for version in snapshot.route_versions(route):
            if version is None or not is_visible(version, proxy_class) or MESH not in version.gateways:
                continue
            if imports_route(snapshot, proxy_class, version) is Certainty.NEVER:
                continue
            for listener in sidecar_listeners(snapshot, proxy_class, version):
                if may_win(snapshot, proxy_class, version, listener):
                    yield from _rules(snapshot, proxy_class, version, listener)


def _on_gateway(snapshot: Snapshot, proxy_class: ProxyClass, routes: Iterable[ResourceId]) -> Iterator[Reference]:
    """Gateways merge all routes of a host, so each may always show (ISTIO.md 4.1)."""
    bound = list(_bound_gateways(snapshot, proxy_class))
    for route in routes:
        for version in snapshot.route_versions(route):
            if version is None or not is_visible(version, proxy_class):
                continue
            for gateway in bound:
                if gateway.name in version.gateways:
                    yield from _bound(snapshot, proxy_class, version, gateway)


def _bound_gateways(snapshot: Snapshot, proxy_class: ProxyClass) -> Iterator[Gateway]:
    for gateway in snapshot.index.gateways:
        for version in snapshot.gateway_versions(gateway):
            if version is not None and proxy_class.labels.match(dict(version.selector)):
                yield version


def _bound(
    snapshot: Snapshot, proxy_class: ProxyClass, route: VirtualService, gateway: Gateway
) -> Iterator[Reference]:
    for server in gateway.servers:
        for domain in _served(route, server):
            port = Port(server.port, http=server.http, tcp=not server.http)
            listener = Listener(frozenset({gateway.name}), domain, domain, port, None)
            yield from _rules(snapshot, proxy_class, route, listener)


def _served(route: VirtualService, server: Server) -> Iterator[Host]:
    for host in route.hosts:
        for answered in server.hosts:
            common = overlap(host, answered)
            if common is not None:
                yield common


def _rules(
    snapshot: Snapshot, proxy_class: ProxyClass, route: VirtualService, listener: Listener
) -> Iterator[Reference]:
    """Yield what the rules that a proxy is sent name: none behind one that lets everything through."""
    for rule in sent(route.rules, proxy_class, listener):
        if rule.delegate is None:
            yield from _named(snapshot, proxy_class, rule, listener, (route.id,))
            continue
        yield from _delegated(snapshot, proxy_class, rule.delegate, listener, route)


def _delegated(
    snapshot: Snapshot,
    proxy_class: ProxyClass,
    delegate: ResourceId,
    listener: Listener,
    root: VirtualService,
) -> Iterator[Reference]:
    """Yield what a delegate adds; a missing or invisible one drops the rule (ISTIO.md 4.6)."""
    for version in snapshot.route_versions(delegate):
        if version is None or version.hosts:
            continue
        if exported_to(version.export_to, owner=delegate.namespace, viewer=root.id.namespace):
            for rule in sent(version.rules, proxy_class, listener):
                yield from _named(snapshot, proxy_class, rule, listener, (root.id, delegate))


def _named(
    snapshot: Snapshot,
    proxy_class: ProxyClass,
    rule: Rule,
    listener: Listener,
    chain: tuple[ResourceId, ...],
) -> Iterator[Reference]:
    targets = [(d, True) for d in rule.destinations] + [(d, False) for d in rule.mirrors]
    for destination, hard in targets:
        for port in _ports(snapshot, proxy_class, rule, destination, listener):
            yield Reference(
                cluster=outbound_cluster(destination.host, port, destination.subset),
                host=destination.host,
                subset=destination.subset,
                domain=listener.domain if rule.traffic is Traffic.HTTP else None,
                port=listener.port.number,
                hard=hard,
                chain=chain,
                path=destination.path,
            )


def _ports(
    snapshot: Snapshot, proxy_class: ProxyClass, rule: Rule, destination: Destination, listener: Listener
) -> set[int]:
    """Return the port numbers that the cluster's name may carry (ISTIO.md 1.2)."""
    if destination.port is not None:
        return {destination.port}
    if rule.traffic is Traffic.HTTP and proxy_class.role is not Role.GATEWAY:
        # A sidecar looks only at services that own the called port, so the called port it is.
        return {listener.port.number}
    options = service_options(snapshot, proxy_class, destination.host)
    return {
        service.ports[0].number if service is not None and len(service.ports) == 1 else listener.port.number
        for service in options
    }
