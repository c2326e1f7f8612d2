"""Conditions that a script waits for, and what they come to in a live mesh: expectations of its proxies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias, assert_never

from safeapply.istio.hosts import service_host
from safeapply.istio.kinds import DESTINATION_RULE, VIRTUAL_SERVICE, Services
from safeapply.istio.mesh_settings import MeshSettings
from safeapply.istio.proxies import Proxy, ProxyClass, Traits
from safeapply.istio.registry import service_options
from safeapply.istio.snapshot import Snapshot
from safeapply.istio.view import Views
from safeapply.plans.barriers import settled
from safeapply.plans.changes import Change
from safeapply.plans.transition import Transition, transition_of
from safeapply.resources.objects import GroupKind, Namespace, Resource, ResourceId
from safeapply.xds.expectations import ClusterActive, ClusterUnreferenced, Expectation, OriginGone, RouteRefers
from safeapply.xds.names import ClusterName, Host, Origin, outbound_cluster, parse_cluster

__all__ = ["Condition", "Deleted", "Meaning", "RoutesShown", "RuleShown", "SubsetReady", "SubsetUnused", "meaning"]


@dataclass(frozen=True, slots=True)
class SubsetReady:
    """Every proxy that gets the subset can send requests to it."""

    host: str
    """As the user wrote it: ``reviews``, ``reviews.default``, or in full."""
    subset: str
    namespace: Namespace
    """Where a short name is looked for."""


@dataclass(frozen=True, slots=True)
class SubsetUnused:
    """No proxy sends requests to the subset any more, so it may be removed."""

    host: str
    subset: str
    namespace: Namespace


@dataclass(frozen=True, slots=True)
class RoutesShown:
    """Every proxy that gets a VirtualService shows the destinations that it names."""

    id: ResourceId


@dataclass(frozen=True, slots=True)
class RuleShown:
    """Every proxy that gets a DestinationRule has the subsets that it declares."""

    id: ResourceId


@dataclass(frozen=True, slots=True)
class Deleted:
    """An object is gone, and what it did is gone from the proxies."""

    id: ResourceId


Condition: TypeAlias = SubsetReady | SubsetUnused | RoutesShown | RuleShown | Deleted


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a condition asks of the proxies; or what the cluster lacks, so that nothing can be asked yet."""

    expectations: tuple[Expectation, ...] = ()
    lacks: str = ""
    unknown_host: bool = False
    """Nobody declares the host, so its ports, and with them its clusters, are not known."""
    traits: Traits = Traits()  # noqa: RUF009  frozen
    """What tells the classes of the expectations apart."""


def meaning(
    condition: Condition, live: Mapping[ResourceId, Resource], proxies: tuple[Proxy, ...], mesh: MeshSettings
) -> Meaning:
    """Return what a condition comes to in a mesh as it is live."""
    if isinstance(condition, Deleted):
        return _deletion(condition.id, live, proxies, mesh)
    now = transition_of(live, (), proxies, mesh=mesh, offline=False)
    return replace(_meaning(condition, now), traits=now.traits)


def _meaning(condition: SubsetReady | SubsetUnused | RoutesShown | RuleShown, now: Transition) -> Meaning:
    match condition:
        case SubsetReady(subset=subset):
            host = _host(now.mesh, condition.host, condition.namespace)
            return _ready(now, host, frozenset({subset}))
        case SubsetUnused(subset=subset):
            return _unused(now, _host(now.mesh, condition.host, condition.namespace), subset)
        case RoutesShown(id=one):
            return _routes(now, one)
        case RuleShown(id=one):
            return _rule(now, one)
        case _:
            assert_never(condition)


def _host(snapshot: Snapshot, name: str, namespace: Namespace) -> Host:
    """Return the host that a user means: as it stands, or a Service by its name with or without its namespace."""
    domain = snapshot.mesh.domain
    short, _, space = name.partition(".")
    full, service = Host(name), service_host(short, Namespace(space or namespace), domain=domain)
    if full in snapshot.index.registry or "." in space:
        return full
    return service


def _ready(now: Transition, host: Host, subsets: frozenset[str]) -> Meaning:
    views, found = Views(now.mesh), defaultdict[ClusterName, set[ProxyClass]](set)
    for one in now.classes:
        for name in views.clusters(one, host):
            parts = parse_cluster(name)
            if parts is not None and parts.subset in subsets:
                found[name].add(one)
    if not found:
        named = " or ".join(sorted(subsets))
        unknown = host not in now.mesh.index.registry
        lacks = f"nobody declares {host}" if unknown else f"no DestinationRule gives {host} a subset {named}"
        return Meaning(lacks=lacks, unknown_host=unknown)
    return Meaning(
        tuple(
            ClusterActive(name, frozenset(classes), ready_endpoint=_selects_pods(now.mesh, host, classes))
            for name, classes in sorted(found.items())
        )
    )


def _selects_pods(snapshot: Snapshot, host: Host, classes: set[ProxyClass]) -> bool:
    """Tell whether pods stand behind a host, so that a cluster of it without one is of no use."""
    options = (service for one in classes for service in service_options(snapshot, one, host))
    return any(service is not None and service.selector for service in options)


def _unused(now: Transition, host: Host, subset: str) -> Meaning:
    ports = sorted(set(_ports(now.mesh, host)))
    if not ports:
        return Meaning(lacks=f"nobody declares {host}", unknown_host=True)
    return Meaning(tuple(ClusterUnreferenced(outbound_cluster(host, port, subset)) for port in ports))


def _ports(snapshot: Snapshot, host: Host) -> Iterator[int]:
    for declaring in snapshot.index.registry.get(host, ()):
        for version in snapshot.versions.get(declaring, ()):
            for service in version.services if isinstance(version, Services) else ():
                if service.host == host:
                    yield from (port.number for port in service.ports)


def _routes(now: Transition, route: ResourceId) -> Meaning:
    if not any(now.mesh.route_versions(route)):
        return Meaning(lacks=f"there is no {route}")
    views, found = Views(now.mesh), defaultdict[tuple[Host | None, ClusterName], set[ProxyClass]](set)
    roots = now.mesh.index.roots.get(route, ())
    for one in now.classes:
        for shown in (route, *roots):
            for reference in views.references(one, shown):
                if route in reference.chain:
                    found[reference.domain, reference.cluster].add(one)
    ordered = sorted(found.items(), key=lambda item: (item[0][0] or "", item[0][1]))
    return Meaning(tuple(RouteRefers(domain, name, frozenset(classes)) for (domain, name), classes in ordered))


def _rule(now: Transition, rule: ResourceId) -> Meaning:
    version = next((one for one in now.mesh.rule_versions(rule) if one is not None), None)
    if version is None:
        return Meaning(lacks=f"there is no {rule}")
    return _ready(now, version.host, frozenset({"", *(subset.name for subset in version.subsets)}))


MARKS: Final[Mapping[GroupKind, Literal["virtual-service", "destination-rule"]]] = {
    VIRTUAL_SERVICE: "virtual-service",
    DESTINATION_RULE: "destination-rule",
}


def _already_gone(one: ResourceId) -> Meaning:
    """Return what shows on proxies that an object was there, when nobody can tell any more what it said."""
    kind = MARKS.get(one.group_kind)
    return Meaning((OriginGone(Origin(kind, one.namespace, one.name)),)) if kind else Meaning()


def _deletion(
    one: ResourceId, live: Mapping[ResourceId, Resource], proxies: tuple[Proxy, ...], mesh: MeshSettings
) -> Meaning:
    if one not in live:
        return _already_gone(one)
    gone = transition_of(live, (Change(one, live[one], None, None),), proxies, mesh=mesh, offline=False)
    before, after = gone.live, gone.desired
    return Meaning(settled(gone, before, after), lacks=f"{one} is still there", traits=gone.traits)
