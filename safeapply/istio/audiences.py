"""Which classes of proxies can be told apart for a host, or for a route.

A namespace matters only if some object in the look-up path lives there or names it; labels matter only if some
selector in the path reads them. Everything here may name too many, and never too few.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from safeapply.istio.hosts import overlap
from safeapply.istio.kinds import Service, Services, VirtualService
from safeapply.istio.snapshot import Snapshot
from safeapply.resources.objects import Namespace, ResourceId
from safeapply.xds.names import Host

__all__ = ["Audience", "host_audience", "route_audience", "surely_scoped"]


@dataclass(frozen=True, slots=True)
class Audience:
    """What can tell two classes apart."""

    spaces: frozenset[Namespace]
    """The namespaces that may get something else than strangers do."""
    labels: bool
    """Whether the labels of the pod are read."""


def host_audience(snapshot: Snapshot, host: Host) -> Audience:
    """Return what decides about the clusters of a host."""
    spaces: set[Namespace] = {
        snapshot.mesh.root_namespace,
        *_service_spaces(snapshot, host),
        *_scoped_spaces(snapshot, host),
    }
    labels = snapshot.index.scoped_by_labels
    for one in snapshot.index.rules_for(host):
        spaces.add(one.namespace)
        for rule in snapshot.rule_versions(one):
            if rule is not None:
                spaces.update(map(Namespace, rule.export_to or ()))
                labels = labels or rule.selector is not None
    return Audience(frozenset(spaces), labels)


def route_audience(snapshot: Snapshot, route: ResourceId) -> Audience:
    """Return what decides about the references of a route."""
    spaces: set[Namespace] = set(_loosely_scoped(snapshot))
    labels = snapshot.index.scoped_by_labels
    for one in _together(snapshot, route):
        spaces.add(one.id.namespace)
        spaces.update(space for host in one.hosts for space in _importers(snapshot, one.id.namespace, host))
        spaces.update(map(Namespace, one.export_to or ()))
        for host in _called(snapshot, one):
            spaces.update(_service_spaces(snapshot, host))
            spaces.update(_scoped_spaces(snapshot, host))
        for match in (match for rule in one.rules for match in rule.matches):
            spaces.add(Namespace(match.source_namespace))
            labels = labels or bool(match.source_labels)
    return Audience(frozenset(spaces), labels)


def _called(snapshot: Snapshot, route: VirtualService) -> Iterator[Host]:
    """Yield the hosts that a route serves or sends requests to."""
    for host in route.hosts:
        yield from snapshot.index.hosts_under(host)
    for rule in route.rules:
        for destination in (*rule.destinations, *rule.mirrors):
            yield destination.host
            yield from snapshot.index.aliases.get(destination.host, ())


def _together(snapshot: Snapshot, route: ResourceId) -> Iterator[VirtualService]:
    """Yield all versions of a route, of its delegates, and of its rivals."""
    for version in filter(None, snapshot.route_versions(route)):
        yield version
        for rule in version.rules:
            if rule.delegate is not None:
                yield from filter(None, snapshot.route_versions(rule.delegate))
        for host in version.hosts:
            for name in {host, *snapshot.index.hosts_under(host)}:
                for rival in snapshot.index.routes_for(name):
                    if rival != route:
                        yield from filter(None, snapshot.route_versions(rival))


def _scoped_spaces(snapshot: Snapshot, host: Host) -> Iterator[Namespace]:
    """Yield where a Sidecar, or a route that names the host, decides about its import (ISTIO.md 9.1)."""
    index = snapshot.index
    if not index.sidecars:
        return
    yield from _loosely_scoped(snapshot)
    for one in index.registry.get(host, ()):
        yield from _importers(snapshot, one.namespace, host)
    for one in index.importing.get(host, ()):
        for root in (one, *index.roots.get(one, ())):
            yield root.namespace
            for version in filter(None, snapshot.route_versions(root)):
                yield from map(Namespace, version.export_to or ())
                yield from (space for name in version.hosts for space in _importers(snapshot, root.namespace, name))


def _importers(snapshot: Snapshot, owner: Namespace, host: Host) -> Iterator[Namespace]:
    """Yield the namespaces of which some Sidecar may import a host, or a route for it, from its owner's.

    The root's Sidecar speaks for every namespace that has none, where ``.`` is the owner's own: it is named anyway.
    """
    egress = snapshot.index.egress
    for space, pattern in (*egress.get(owner, ()), *egress.get(Namespace("*"), ())):
        if overlap(pattern, host) is not None:
            yield space


def _loosely_scoped(snapshot: Snapshot) -> Iterator[Namespace]:
    """Yield the namespaces that have a Sidecar, but not one for all that is surely there."""
    return (space for space in snapshot.index.sidecars if not surely_scoped(snapshot, space))


def surely_scoped(snapshot: Snapshot, space: Namespace) -> bool:
    """Tell whether sidecars in a namespace surely import only what some Sidecar there says.

    Those that none of the namespace's Sidecars lets see a host are strangers to it, and others than those in
    namespaces without a Sidecar.
    """
    return space in snapshot.index.scoped and space != snapshot.mesh.root_namespace


def _service_spaces(snapshot: Snapshot, host: Host) -> Iterator[Namespace]:
    for one in snapshot.index.registry.get(host, ()):
        yield one.namespace
        for version in snapshot.versions.get(one, ()):
            if isinstance(version, Services):
                yield from (Namespace(name) for service in version.services for name in _exported(service))


def _exported(service: Service) -> frozenset[str]:
    return service.export_to or frozenset()
