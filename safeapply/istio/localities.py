"""Parts of a mesh that have nothing to say to each other, and in each the classes that nothing there tells apart.

A change touches a host and the routes to it; what it does is the same for every class of proxies that is a
stranger to them. Asked locality by locality, for one class of each crowd, a mesh of many namespaces costs what
its objects cost, and not that times its classes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from safeapply.istio.audiences import Audience, host_audience, route_audience, surely_scoped
from safeapply.istio.hosts import is_wild, overlap
from safeapply.istio.kinds import VirtualService
from safeapply.istio.proxies import ProxyClass, Role
from safeapply.istio.revisions import Revision
from safeapply.istio.snapshot import Snapshot
from safeapply.resources.objects import Namespace, ResourceId
from safeapply.xds.names import Host

__all__ = ["Locality", "localities", "met"]


@dataclass(frozen=True, slots=True)
class Locality:
    """Routes and hosts that are connected, and who gets what of them."""

    routes: tuple[ResourceId, ...]
    hosts: tuple[Host, ...]
    """Those that were asked for; the routes may name more."""
    crowds: Mapping[ProxyClass, frozenset[ProxyClass]]
    """One class for each answer, with all that get the same."""


def localities(
    snapshot: Snapshot, classes: Iterable[ProxyClass], routes: Iterable[ResourceId], hosts: Iterable[Host] = ()
) -> Iterator[Locality]:
    """Yield the parts into which some routes and hosts fall: no host is named, or served, in two of them.

    Args:
        snapshot: with all versions that the parts will be evaluated for.
        classes: whose answers are asked for.
        routes: the VirtualServices to evaluate.
        hosts: more hosts whose clusters are wanted.
    """
    named = {route: dict.fromkeys(_hosts(snapshot, route)) for route in routes}
    wanted, people = dict.fromkeys(hosts), _People(snapshot, classes)
    for own_routes, own_hosts in _connected(named, wanted):
        yield Locality(
            routes=tuple(own_routes),
            hosts=tuple(host for host in own_hosts if host in wanted),
            crowds=people.told_apart(_audiences(snapshot, own_routes, own_hosts)),
        )


def met(snapshot: Snapshot, classes: Iterable[ProxyClass], hosts: Iterable[Host]) -> Iterator[Locality]:
    """Yield the parts into which some hosts fall, with all routes that lead to them or serve them."""
    index, wanted = snapshot.index, tuple(hosts)
    routes = dict.fromkeys(r for h in wanted for r in (*index.referring.get(h, ()), *index.routes_for(h)))
    roots = (root for route in routes for root in index.roots.get(route, ()))
    return localities(snapshot, classes, dict.fromkeys((*routes, *roots)), wanted)


def _connected(
    named: Mapping[ResourceId, Collection[Host]], wanted: Iterable[Host]
) -> Iterator[tuple[Collection[ResourceId], Collection[Host]]]:
    """Yield routes with all hosts that they name, so that no host is in two parts."""
    naming: dict[Host, list[ResourceId]] = defaultdict(list)
    for route, hosts in named.items():
        for host in hosts:
            naming[host].append(route)
    seen: set[Host] = set()
    for start in (*naming, *wanted):
        if start not in seen:
            routes, hosts = _reached(start, named, naming)
            seen.update(hosts)
            yield routes, hosts


def _reached(
    start: Host, named: Mapping[ResourceId, Iterable[Host]], naming: Mapping[Host, Iterable[ResourceId]]
) -> tuple[Collection[ResourceId], Collection[Host]]:
    routes, hosts, waiting = dict[ResourceId, None](), {start: None}, [start]
    while waiting:
        for route in naming.get(waiting.pop(), ()):
            if route not in routes:
                routes[route] = None
                waiting.extend(host for host in named[route] if host not in hosts)
                hosts.update(dict.fromkeys(named[route]))
    return routes, hosts


def _audiences(snapshot: Snapshot, routes: Iterable[ResourceId], hosts: Iterable[Host]) -> list[Audience]:
    return [*(route_audience(snapshot, one) for one in routes), *(host_audience(snapshot, one) for one in hosts)]


def _hosts(snapshot: Snapshot, route: ResourceId) -> Iterator[Host]:
    """Yield the hosts that any version of a route, or of its delegates, serves or sends requests to."""
    for version in filter(None, snapshot.route_versions(route)):
        for host in version.hosts:
            yield from _answering(snapshot, host)
        yield from _called(snapshot, version)
        for rule in version.rules:
            for delegate in snapshot.route_versions(rule.delegate) if rule.delegate else ():
                yield from _called(snapshot, delegate) if delegate else ()


def _answering(snapshot: Snapshot, host: Host) -> Iterator[Host]:
    """Yield a served host, and what else requests to it may be for: with a wildcard, all that it meets."""
    yield host
    index = snapshot.index
    if is_wild(host):
        yield from (other for other in (*index.routes, *index.registry) if overlap(host, other) is not None)


def _called(snapshot: Snapshot, route: VirtualService) -> Iterator[Host]:
    for destination in (d for rule in route.rules for d in (*rule.named, *rule.destinations, *rule.mirrors)):
        yield destination.host
        yield from snapshot.index.aliases.get(destination.host, ())


class _People:
    """The classes of a mesh, by what tells them apart."""

    def __init__(self, snapshot: Snapshot, classes: Iterable[ProxyClass]) -> None:
        self.classes = tuple(classes)
        self.gateways = [one for one in self.classes if one.role is Role.GATEWAY]
        self.others: dict[tuple[Role, bool, Revision | None], list[ProxyClass]] = defaultdict(list)
        """By what tells strangers apart: what they are, whether a Sidecar scopes them, and their revision."""
        self.by_space: dict[Namespace, list[ProxyClass]] = defaultdict(list)
        for one in self.classes:
            if one.role is not Role.GATEWAY:
                self.others[one.role, surely_scoped(snapshot, one.namespace), one.revision].append(one)
                self.by_space[one.namespace].append(one)
        self._crowds: dict[frozenset[Namespace], Mapping[ProxyClass, frozenset[ProxyClass]]] = {}

    def told_apart(self, audiences: Collection[Audience]) -> Mapping[ProxyClass, frozenset[ProxyClass]]:
        """Return one class of each crowd, with the crowd: whom none of these audiences tells apart."""
        if any(audience.labels for audience in audiences):
            return {one: frozenset({one}) for one in self.classes}
        spaces = frozenset(space for audience in audiences for space in audience.spaces)
        if spaces not in self._crowds:
            self._crowds[spaces] = self._crowds_of(spaces)
        return self._crowds[spaces]

    def _crowds_of(self, spaces: Iterable[Namespace]) -> Mapping[ProxyClass, frozenset[ProxyClass]]:
        known = {one for space in spaces for one in self.by_space.get(space, ())}
        crowds = {one: frozenset({one}) for one in (*self.gateways, *known)}
        for several in self.others.values():
            strangers = [one for one in several if one not in known]
            if strangers:
                crowds[strangers[0]] = frozenset(strangers)
        return crowds
