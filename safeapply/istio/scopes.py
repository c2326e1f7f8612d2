"""Which services a sidecar imports: the egress hosts of its Sidecar, and what its routes name (ISTIO.md 9.1).

A proxy whose scope leaves a host out never gets its clusters, so nobody may wait for them there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum

from safeapply.istio.hosts import covers, overlap
from safeapply.istio.kinds import Destination, Service, Sidecar, VirtualService
from safeapply.istio.proxies import ProxyClass, Role
from safeapply.istio.snapshot import Snapshot
from safeapply.istio.visibility import exported_to
from safeapply.resources.objects import Namespace, ResourceId
from safeapply.xds.names import Host

__all__ = ["DEFAULT", "Certainty", "Scopes", "imports", "imports_route", "scope_of", "scopes"]

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


def imports(snapshot: Snapshot, proxy_class: ProxyClass, service: Service, port: int) -> Certainty:
    """Tell whether a class gets the clusters of one port of a service."""
    possible = scopes(snapshot, proxy_class)
    if possible == DEFAULT:
        return Certainty.ALWAYS
    named = _named(snapshot, proxy_class, service, port, possible)
    return _overall(
        Certainty.ALWAYS if _imported(one, service, proxy_class.namespace) else named for one in possible
    )


def _imported(scope: Sidecar | None, service: Service, viewer: Namespace) -> bool:
    return scope is None or any(
        covers(pattern, service.host) for pattern in _patterns(scope, service.namespace, viewer)
    )


def imports_route(snapshot: Snapshot, proxy_class: ProxyClass, route: VirtualService) -> Certainty:
    """Tell whether a class takes a VirtualService into account at all."""
    space = proxy_class.namespace
    return _overall(
        Certainty.ALWAYS if _reaches(one, route, space) else Certainty.NEVER
        for one in scopes(snapshot, proxy_class)
    )


def scope_of(snapshot: Snapshot, proxy_class: ProxyClass, host: Host) -> Iterator[ResourceId]:
    """Yield the objects that decide whether a class imports a host: Sidecars, and VirtualServices that name it."""
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
    for space, pattern in scope.egress:
        if space in {"*", owner} or (space == "." and owner == viewer):
            yield pattern


def _reaches(scope: Sidecar | None, route: VirtualService, viewer: Namespace) -> bool:
    """Tell whether a scope takes in a VirtualService: some of its hosts, in its own namespace."""
    if scope is None:
        return True
    patterns = tuple(_patterns(scope, route.id.namespace, viewer))
    return any(overlap(pattern, host) is not None for pattern in patterns for host in route.hosts)


def _named(snapshot: Snapshot, proxy_class: ProxyClass, service: Service, port: int, possible: Scopes) -> Certainty:
    """Tell whether some imported VirtualService names the host, at any weight (ISTIO.md 9.1, 9.3)."""
    index = snapshot.index
    naming = index.importing.get(service.host, ())
    roots = dict.fromkeys(root for one in naming for root in (one, *index.roots.get(one, ())))
    found = (_route_names(snapshot, proxy_class, root, service.host, port, possible) for root in roots)
    return max(found, default=Certainty.NEVER)


def _route_names(
    snapshot: Snapshot, proxy_class: ProxyClass, root: ResourceId, host: Host, port: int, possible: Scopes
) -> Certainty:
    return _overall(
        Certainty.ALWAYS
        if version is not None and taken and _names(snapshot, version, host, port)
        else Certainty.NEVER
        for version in snapshot.route_versions(root)
        for taken in _taken(version, proxy_class, possible)
    )


def _taken(route: VirtualService | None, proxy_class: ProxyClass, possible: Scopes) -> Iterator[bool]:
    """Yield, for each scope, whether a version of a route is visible and imported."""
    if route is None:
        yield False
        return
    space = proxy_class.namespace
    visible = exported_to(route.export_to, owner=route.id.namespace, viewer=space)
    yield from (visible and _reaches(one, route, space) for one in possible)


def _names(snapshot: Snapshot, route: VirtualService, host: Host, port: int) -> bool:
    return any(d.host == host and d.port in {None, port} for d in _destinations(snapshot, route))


def _destinations(snapshot: Snapshot, route: VirtualService) -> Iterator[Destination]:
    """Yield what a route and its delegates name; of a delegate, what all its versions name."""
    for rule in route.rules:
        yield from rule.named
        if rule.delegate is not None:
            versions = [v.rules if v else () for v in snapshot.route_versions(rule.delegate)]
            several = [{(d.host, d.port): d for r in rules for d in r.named} for rules in versions]
            yield from (d for key, d in several[0].items() if all(key in other for other in several))


def _overall(found: Iterable[Certainty]) -> Certainty:
    """Return ALWAYS or NEVER where all agree."""
    seen = set(found)
    return seen.pop() if len(seen) == 1 else Certainty.MAYBE
