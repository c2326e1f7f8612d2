"""Which clusters the routes of a proxy name: the look-up of VirtualServices (ISTIO.md 1.2, 1.3, 4).

Where an object has several versions (``istio.snapshot``), every reference that *some* mixture of versions can
show is returned: the verifier asks what a proxy may do, not what it will do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from safeapply.istio.hosts import covers, is_wild, overlap
from safeapply.istio.kinds import (
    MESH,
    Destination,
    Gateway,
    Match,
    Port,
    Rule,
    Server,
    Service,
    Traffic,
    VirtualService,
)
from safeapply.istio.proxies import ProxyClass, Role
from safeapply.istio.registry import called_options, service_options
from safeapply.istio.scopes import Certainty, imports_route
from safeapply.istio.snapshot import PLAIN_PORT, Snapshot
from safeapply.istio.visibility import exported_to, is_private
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


@dataclass(frozen=True, slots=True)
class _Listener:
    """Where a rule would be installed."""

    gateways: frozenset[str]
    """The gateway names that this listener answers to."""
    host: Host
    domain: Host
    port: Port
    service: Service | None
    """The service called; None on gateways and for hosts that nobody declares."""


def _on_sidecar(snapshot: Snapshot, proxy_class: ProxyClass, routes: Iterable[ResourceId]) -> Iterator[Reference]:
    for route in routes:
        for version in snapshot.route_versions(route):
            if version is None or not _visible(version, proxy_class) or MESH not in version.gateways:
                continue
            if imports_route(snapshot, proxy_class, version) is Certainty.NEVER:
                continue
            for listener in _sidecar_listeners(snapshot, proxy_class, version):
                if _may_win(snapshot, proxy_class, version, listener):
                    yield from _rules(snapshot, proxy_class, version, listener)


def _visible(route: VirtualService, proxy_class: ProxyClass) -> bool:
    return exported_to(route.export_to, owner=route.id.namespace, viewer=proxy_class.namespace)


def _sidecar_listeners(snapshot: Snapshot, proxy_class: ProxyClass, route: VirtualService) -> Iterator[_Listener]:
    """Yield one listener for each port of each service that the route's hosts cover."""
    mesh = frozenset({MESH})
    for host in route.hosts:
        found = False
        for name in snapshot.index.hosts_under(host):
            for service in filter(None, called_options(snapshot, proxy_class, name)):
                found = True
                yield from (_Listener(mesh, name, name, port, service) for port in service.ports)
        if not found and not is_wild(host) and _has_plain_listener(snapshot, proxy_class):
            yield _Listener(mesh, host, host, Port(PLAIN_PORT, http=True, tcp=False), None)


def _has_plain_listener(snapshot: Snapshot, proxy_class: ProxyClass) -> bool:
    """Tell whether a sidecar may listen where hosts are routed that are not in the registry (ISTIO.md 2.5)."""
    if proxy_class.namespace not in snapshot.index.sidecars:
        return bool(snapshot.index.plain)
    options = (one for host in snapshot.index.plain for one in called_options(snapshot, proxy_class, host))
    return any(one is not None and one.port(PLAIN_PORT) is not None for one in options)


def _may_win(snapshot: Snapshot, proxy_class: ProxyClass, route: VirtualService, listener: _Listener) -> bool:
    """Tell whether a route can be the one that a sidecar takes for a host (ISTIO.md 4.2).

    The first applicable one wins; it may lose to another only where *every* version of that other comes first.
    """
    rivals = {rival for rival in snapshot.index.routes_for(listener.host) if rival != route.id}
    return not any(
        all(
            version is not None
            and _comes_first(version, route, proxy_class, listener)
            and imports_route(snapshot, proxy_class, version) is Certainty.ALWAYS
            for version in snapshot.route_versions(rival)
        )
        for rival in rivals
    )


def _comes_first(
    rival: VirtualService, route: VirtualService, proxy_class: ProxyClass, listener: _Listener
) -> bool:
    return (
        MESH in rival.gateways
        and _visible(rival, proxy_class)
        and any(covers(host, listener.host) for host in rival.hosts)
        and _rank(rival) < _rank(route)
        and any(_applies(rule, proxy_class, listener) for rule in rival.rules)
    )


def _rank(route: VirtualService) -> tuple[int, tuple[str, str, str]]:
    """Order routes as istiod does for a sidecar: private, exported by name, public; then age (ISTIO.md 4.2)."""
    if is_private(route.export_to, route.id.namespace):
        privacy = 0
    else:
        privacy = 2 if route.export_to is None or "*" in route.export_to else 1
    return (privacy, route.age)


def _on_gateway(snapshot: Snapshot, proxy_class: ProxyClass, routes: Iterable[ResourceId]) -> Iterator[Reference]:
    """Gateways merge all routes of a host, so each may always show (ISTIO.md 4.1)."""
    bound = list(_bound_gateways(snapshot, proxy_class))
    for route in routes:
        for version in snapshot.route_versions(route):
            if version is None or not _visible(version, proxy_class):
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
            listener = _Listener(frozenset({gateway.name}), domain, domain, port, None)
            yield from _rules(snapshot, proxy_class, route, listener)


def _served(route: VirtualService, server: Server) -> Iterator[Host]:
    for host in route.hosts:
        for answered in server.hosts:
            common = overlap(host, answered)
            if common is not None:
                yield common


def _applies(rule: Rule, proxy_class: ProxyClass, listener: _Listener) -> bool:
    if not (listener.port.http if rule.traffic is Traffic.HTTP else listener.port.tcp):
        return False
    return not rule.matches or any(_match_applies(match, proxy_class, listener) for match in rule.matches)


def _match_applies(match: Match, proxy_class: ProxyClass, listener: _Listener) -> bool:
    """Tell whether a match concerns a proxy at all (ISTIO.md 4.4, 4.5)."""
    if match.port is not None and match.port != listener.port.number:
        return False
    if match.gateways:
        return bool(match.gateways & listener.gateways)
    if match.source_namespace and match.source_namespace != proxy_class.namespace:
        return False
    return proxy_class.labels.match(dict(match.source_labels))


def _rules(
    snapshot: Snapshot, proxy_class: ProxyClass, route: VirtualService, listener: _Listener
) -> Iterator[Reference]:
    """Yield what the rules that a proxy is sent name: none behind one that lets everything through."""
    for rule in _sent(route.rules, proxy_class, listener):
        if rule.delegate is None:
            yield from _named(snapshot, proxy_class, rule, listener, (route.id,))
            continue
        yield from _delegated(snapshot, proxy_class, rule.delegate, listener, route)


def _sent(rules: Iterable[Rule], proxy_class: ProxyClass, listener: _Listener) -> Iterator[Rule]:
    ended: set[Traffic] = set()
    for rule in rules:
        if rule.traffic not in ended and _applies(rule, proxy_class, listener):
            yield rule
            if _ends(rule, proxy_class, listener):
                ended.add(rule.traffic)


def _ends(rule: Rule, proxy_class: ProxyClass, listener: _Listener) -> bool:
    # What is left over by a rule that delegates is its delegate's to say, and that may be missing.
    return rule.delegate is None and (
        any(match.all and _match_applies(match, proxy_class, listener) for match in rule.matches)
        or (not rule.matches and rule.traffic is not Traffic.TLS)
    )


def _delegated(
    snapshot: Snapshot,
    proxy_class: ProxyClass,
    delegate: ResourceId,
    listener: _Listener,
    root: VirtualService,
) -> Iterator[Reference]:
    """Yield what a delegate adds; a missing or invisible one drops the rule (ISTIO.md 4.6)."""
    for version in snapshot.route_versions(delegate):
        if version is None or version.hosts:
            continue
        if exported_to(version.export_to, owner=delegate.namespace, viewer=root.id.namespace):
            for rule in _sent(version.rules, proxy_class, listener):
                yield from _named(snapshot, proxy_class, rule, listener, (root.id, delegate))


def _named(
    snapshot: Snapshot,
    proxy_class: ProxyClass,
    rule: Rule,
    listener: _Listener,
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
    snapshot: Snapshot, proxy_class: ProxyClass, rule: Rule, destination: Destination, listener: _Listener
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
