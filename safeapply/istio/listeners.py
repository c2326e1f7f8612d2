"""Where a route would be installed, whether it wins there, and which of its rules apply (ISTIO.md 2, 4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from safeapply.istio.hosts import covers, is_wild, most_specific
from safeapply.istio.kinds import MESH, Port, Service, VirtualService
from safeapply.istio.proxies import ProxyClass
from safeapply.istio.registry import called_options
from safeapply.istio.route_rules import Match, Rule, Traffic
from safeapply.istio.scopes import Certainty, imports_route
from safeapply.istio.snapshot import PLAIN_PORT, Snapshot
from safeapply.istio.visibility import exported_to, publicity
from safeapply.resources.objects import Namespace
from safeapply.xds.names import Host

__all__ = ["Listener", "applies", "is_visible", "match_applies", "may_win", "sidecar_listeners"]


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a rule would be installed."""

    gateways: frozenset[str]
    """The gateway names that this listener answers to."""
    host: Host
    domain: Host
    port: Port
    service: Service | None
    """The service called; None on gateways and for hosts that nobody declares."""


def is_visible(route: VirtualService, proxy_class: ProxyClass) -> bool:
    """Tell whether a route is exported to a class."""
    return exported_to(route.export_to, owner=route.id.namespace, viewer=proxy_class.namespace)


def sidecar_listeners(snapshot: Snapshot, proxy_class: ProxyClass, route: VirtualService) -> Iterator[Listener]:
    """Yield one listener for each port of each service that the hosts cover, and for other hosts beside them.

    A host that is not in the registry is installed where another of the route's hosts is, and on port 80 (ISTIO.md
    2.5; istio ``separateVSHostsAndServices``). Left out is that istiod does so on port 80 for hosts that have only
    other ports: nobody calls them there, and where the destination names no port there is no such cluster.
    """
    inside = [one for host in route.hosts for one in _registered(snapshot, proxy_class, host)]
    yield from inside
    ports = {one.port.number for one in inside if one.port.http and _is_owner(snapshot, proxy_class, route, one)}
    if _has_plain_listener(snapshot, proxy_class):
        ports.add(PLAIN_PORT)
    outside = [host for host in route.hosts if not any(covers(host, one.host) for one in inside)]
    for number, host in product(sorted(ports), outside):
        port = Port(number, http=True, tcp=False)
        yield Listener(frozenset({MESH}), host, host, port, None)


def _registered(snapshot: Snapshot, proxy_class: ProxyClass, host: Host) -> Iterator[Listener]:
    """Yield the ports of the services that a host covers."""
    for name in snapshot.index.hosts_under(host):
        for service in filter(None, called_options(snapshot, proxy_class, name)):
            yield from (Listener(frozenset({MESH}), name, name, port, service) for port in service.ports)


def _is_owner(snapshot: Snapshot, proxy_class: ProxyClass, route: VirtualService, listener: Listener) -> bool:
    """Tell whether a route may speak for a service: by its own name, or as the nearest of all wildcards."""
    return listener.host in route.hosts or may_win(snapshot, proxy_class, route, listener)


def _has_plain_listener(snapshot: Snapshot, proxy_class: ProxyClass) -> bool:
    """Tell whether a sidecar may listen where hosts are routed that are not in the registry (ISTIO.md 2.5)."""
    if proxy_class.namespace not in snapshot.index.sidecars and not snapshot.index.revisions:
        return bool(snapshot.index.plain)
    options = (one for host in snapshot.index.plain for one in called_options(snapshot, proxy_class, host))
    return any(one is not None and one.port(PLAIN_PORT) is not None for one in options)


def may_win(snapshot: Snapshot, proxy_class: ProxyClass, route: VirtualService, listener: Listener) -> bool:
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


def _comes_first(rival: VirtualService, route: VirtualService, proxy_class: ProxyClass, listener: Listener) -> bool:
    if MESH not in rival.gateways or not is_visible(rival, proxy_class):
        return False
    own, other, space = _nearest(route, listener), _nearest(rival, listener), proxy_class.namespace
    if own is None or other is None:
        return False
    if own != other:
        # A wildcard speaks for the services that no other route is nearer to (ISTIO.md 2.4).
        return most_specific([own, other], listener.host) == other
    # The first of equals; of those that name the host itself, the first that has a rule for this proxy.
    taken = is_wild(own) or any(applies(rule, proxy_class, listener) for rule in rival.rules)
    return taken and _rank(rival, space) < _rank(route, space)


def _nearest(route: VirtualService, listener: Listener) -> Host | None:
    """Return the host of a route that meets a listener; one outside the registry is met by its name alone."""
    if listener.service is None:
        return listener.host if listener.host in route.hosts else None
    return most_specific(list(route.hosts), listener.host)


def _rank(route: VirtualService, viewer: Namespace) -> tuple[int, tuple[str, str, str]]:
    """Order routes as istiod does for a sidecar: private, exported by name, public; then age (ISTIO.md 4.2)."""
    return (publicity(route.export_to, owner=route.id.namespace, viewer=viewer), route.age)


def applies(rule: Rule, proxy_class: ProxyClass, listener: Listener) -> bool:
    """Tell whether a rule is installed in a place at all."""
    if not (listener.port.http if rule.traffic is Traffic.HTTP else listener.port.tcp):
        return False
    return not rule.matches or any(match_applies(match, proxy_class, listener) for match in rule.matches)


def match_applies(match: Match, proxy_class: ProxyClass, listener: Listener) -> bool:
    """Tell whether a match concerns a proxy at all (ISTIO.md 4.4, 4.5)."""
    if match.port is not None and match.port != listener.port.number:
        return False
    if match.gateways:
        return bool(match.gateways & listener.gateways)
    if match.source_namespace and match.source_namespace != proxy_class.namespace:
        return False
    return proxy_class.labels.match(dict(match.source_labels))
