"""Which services a sidecar imports: the egress hosts of its Sidecar, and what its routes name (ISTIO.md 9.1).

A proxy whose scope leaves a host out never gets its clusters, so nobody may wait for them there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum

from safeapply.istio.delegation import handed_over
from safeapply.istio.hosts import covers, overlap
from safeapply.istio.kinds import MESH, Service, Sidecar, VirtualService
from safeapply.istio.proxies import ProxyClass, Role
from safeapply.istio.route_rules import Destination, Rule, Traffic
from safeapply.istio.snapshot import Snapshot
from safeapply.istio.visibility import exported_to
from safeapply.resources.objects import Namespace, ResourceId
from safeapply.xds.names import Host

__all__ = ["DEFAULT", "Certainty", "Scopes", "imports_route", "infers", "scope_of", "scopes", "takes_in"]

Scopes = tuple[Sidecar | None, ...]
"""The Sidecars that may be the one of a class, over all versions; None for the default, which imports all."""

DEFAULT: Scopes = (None,)


class Certainty(IntEnum):
    """Whether something is so whichever versions a proxy sees."""

    NEVER = 0
    MAYBE = 1
    ALWAYS = 2


def scopes(snapshot: Snapshot, proxy_class: ProxyClass) -> Scopes:
    """Return the Sidecars that can decide for a class: its namespace's, by selector first, then the root's."""
    if proxy_class.role is not Role.SIDECAR or not snapshot.index.sidecars:
        return DEFAULT
    found: list[Sidecar | None] = []
    for candidates in _candidates(snapshot, proxy_class):
        found.extend(one for one in candidates if one is not None)
        if None not in candidates:
            return tuple(dict.fromkeys(found))
    return tuple(dict.fromkeys((*found, None)))


def takes_in(scope: Sidecar | None, service: Service, viewer: Namespace) -> bool:
    """Tell whether a scope names a service, so that clients can call it: its clusters are there, and its routes."""
    return scope is None or (
        any(covers(pattern, service.host) for pattern in _patterns(scope, service.namespace, viewer))
        and not _excludes(scope, service.namespace, service.host, viewer)
    )


def infers(
    snapshot: Snapshot, proxy_class: ProxyClass, service: Service, port: int, scope: Sidecar | None
) -> Certainty:
    """Tell whether some imported VirtualService names a port of a host, at any weight (ISTIO.md 9.1, 9.3).

    Its clusters are there then, although clients cannot call it.
    """
    index = snapshot.index
    naming = index.importing.get(service.host, ())
    roots = dict.fromkeys(root for one in naming for root in (one, *index.roots.get(one, ())))
    found = (_route_names(snapshot, proxy_class, root, (service.host, port), scope) for root in roots)
    return max(found, default=Certainty.NEVER)


def imports_route(snapshot: Snapshot, proxy_class: ProxyClass, route: VirtualService) -> Certainty:
    """Tell whether a class takes a VirtualService into account at all."""
    space = proxy_class.namespace
    return _overall(
        Certainty.ALWAYS if _reaches(one, route, space) else Certainty.NEVER
        for one in scopes(snapshot, proxy_class)
    )


def scope_of(snapshot: Snapshot, proxy_class: ProxyClass, host: Host) -> Iterator[ResourceId]:
    """Yield the objects that decide whether a class imports a host: Sidecars, and VirtualServices that name it."""
    snapshot = snapshot.seen_by(proxy_class.revision)
    possible = scopes(snapshot, proxy_class)
    if possible != DEFAULT:
        yield from (one.id for one in possible if one is not None)
        yield from snapshot.index.importing.get(host, ())


def _candidates(snapshot: Snapshot, proxy_class: ProxyClass) -> Iterator[tuple[Sidecar | None, ...]]:
    """Yield the versions of each Sidecar that could apply, in the order in which istiod asks."""
    own, root = proxy_class.namespace, snapshot.mesh.root_namespace
    for space in dict.fromkeys((own, root)):
        known = (snapshot.sidecar_versions(one) for one in snapshot.index.sidecars.get(space, ()))
        listed = [versions for versions in known if any(versions)]
        for selecting in (True, False) if space == own else (False,):
            for versions in sorted(listed, key=_age):
                yield tuple(one if _applies(one, proxy_class, selecting=selecting) else None for one in versions)


def _age(versions: Iterable[Sidecar | None]) -> tuple[str, str, str]:
    return min(one.age for one in versions if one is not None)


def _applies(one: Sidecar | None, proxy_class: ProxyClass, *, selecting: bool) -> bool:
    if one is None or (one.selector is not None) is not selecting:
        return False
    return proxy_class.labels.match(dict(one.selector or ()))


def _patterns(scope: Sidecar, owner: Namespace, viewer: Namespace) -> Iterator[Host]:
    """Yield the host patterns that a scope allows for objects of a namespace."""
    return (pattern for space, pattern in scope.egress if _means(space, owner, viewer))


def _excludes(scope: Sidecar, owner: Namespace, host: Host, viewer: Namespace) -> bool:
    return any(_means(space, owner, viewer) and covers(pattern, host) for space, pattern in scope.excluded)


def _means(space: str, owner: Namespace, viewer: Namespace) -> bool:
    # "." is the namespace of the proxy, also where the Sidecar is that of the root namespace.
    return space in {"*", owner} or (space == "." and owner == viewer)


def _reaches(scope: Sidecar | None, route: VirtualService, viewer: Namespace) -> bool:
    """Tell whether a scope takes in a VirtualService: some of its hosts, in its own namespace."""
    if scope is None:
        return True
    owner = route.id.namespace
    patterns = tuple(_patterns(scope, owner, viewer))
    return any(
        overlap(pattern, host) is not None and not _excludes(scope, owner, host, viewer)
        for pattern in patterns
        for host in route.hosts
    )


def _route_names(
    snapshot: Snapshot,
    proxy_class: ProxyClass,
    root: ResourceId,
    wanted: tuple[Host, int],
    scope: Sidecar | None,
) -> Certainty:
    space = proxy_class.namespace
    return _overall(
        Certainty.ALWAYS
        if version is not None and _taken(version, scope, space) and _names(snapshot, version, wanted, space)
        else Certainty.NEVER
        for version in snapshot.route_versions(root)
    )


def _taken(route: VirtualService, scope: Sidecar | None, space: Namespace) -> bool:
    """Tell whether a version of a route is for sidecars, visible and imported."""
    visible = exported_to(route.export_to, owner=route.id.namespace, viewer=space)
    return MESH in route.gateways and visible and _reaches(scope, route, space)


def _names(snapshot: Snapshot, route: VirtualService, wanted: tuple[Host, int], space: Namespace) -> bool:
    host, port = wanted
    return any(d.host == host and d.port in {None, port} for d in _destinations(snapshot, route, space))


def _destinations(snapshot: Snapshot, route: VirtualService, space: Namespace) -> Iterator[Destination]:
    """Yield what a route and its delegates name; of a delegate, what all its versions name."""
    for rule in _for_clients_in(space, route.rules):
        yield from rule.named
        if rule.delegate is not None:
            versions = [
                tuple(handed_over(rule, v.rules)) if v else () for v in snapshot.route_versions(rule.delegate)
            ]
            several = [
                {(d.host, d.port): d for r in _for_clients_in(space, rules) for d in r.named} for rules in versions
            ]
            yield from (d for key, d in several[0].items() if all(key in other for other in several))


def _for_clients_in(space: Namespace, rules: Iterable[Rule]) -> Iterator[Rule]:
    """Yield the rules but those that are for other source namespaces alone."""
    for rule in rules:
        sources = {match.source_namespace for match in rule.matches} - {""}
        if not sources or space in sources or rule.traffic is not Traffic.HTTP:
            yield rule


def _overall(found: Iterable[Certainty]) -> Certainty:
    """Return ALWAYS or NEVER where all agree."""
    seen = set(found)
    return seen.pop() if len(seen) == 1 else Certainty.MAYBE
