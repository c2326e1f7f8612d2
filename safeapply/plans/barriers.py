"""What has to be seen on the Envoys before a step, and after the last one (DESIGN 5).

Computed from two states of the mesh, the one before the writes and the one after, so it holds for any kind of
object, and for a run that goes on where a killed one stopped: what is needed is asked of the proxies each time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from safeapply.istio.localities import Locality
from safeapply.istio.proxies import ProxyClass
from safeapply.istio.registry import clusters_of, service_options
from safeapply.istio.routes import Reference
from safeapply.istio.snapshot import Snapshot
from safeapply.istio.subsets import effective_subsets, rules_in_path
from safeapply.istio.view import View, Views
from safeapply.plans.pins import is_mark
from safeapply.plans.transition import Transition
from safeapply.xds.expectations import (
    ClusterAbsent,
    ClusterActive,
    ClusterUnreferenced,
    Expectation,
    RouteRefers,
    RouteReleased,
)
from safeapply.xds.names import ClusterName, Host, parse_cluster

__all__ = ["preconditions", "settled"]


@dataclass(frozen=True, slots=True)
class _Effect:
    """What a step does in one locality to all classes that nothing there tells apart."""

    classes: frozenset[ProxyClass]

    named: frozenset[Reference]
    """References to clusters that are there, and that no route named before; mirrors only beside others, for a
    missing mirror costs its caller nothing (ISTIO.md 1.3)."""
    moved: frozenset[Reference]
    """References that a domain did not have before."""
    released: frozenset[Reference]
    """References that a domain has no more, of domains that have no other instead."""
    added: frozenset[ClusterName]
    removed: frozenset[ClusterName]
    """Clusters that go, and that no route names afterwards."""
    held: frozenset[ClusterName]
    """Clusters that routes name before: some name what they miss, or what no request needs, to the end."""


def preconditions(transition: Transition, before: Snapshot, after: Snapshot) -> tuple[Expectation, ...]:
    """Return what must hold before the writes that lead from one state to the other."""
    effects = _effects(transition, before, after)
    named = _by_cluster((effect.classes, {r.cluster for r in effect.named}) for effect in effects)
    # Nothing ever names the mark of a pin.
    gone_from = ((e.classes, {name for name in e.removed - e.held if not is_mark(name)}) for e in effects)
    removed = _by_cluster(gone_from)
    views, held = Views(before), frozenset(name for effect in effects for name in effect.held)
    active: Iterable[Expectation] = (
        ClusterActive(name, classes, ready_endpoint=_has_pods(transition, after, name, classes))
        for name, classes in named
    )
    gone: Iterable[Expectation] = (
        ClusterUnreferenced(name, classes if name in held else _everywhere(transition, views, name, classes))
        for name, classes in removed
    )
    return (*active, *gone)


def settled(transition: Transition, before: Snapshot, after: Snapshot) -> tuple[Expectation, ...]:
    """Return what the proxies show once the last writes have reached them."""
    effects = _effects(transition, before, after)
    added = _by_cluster((e.classes, {name for name in e.added if not is_mark(name)}) for e in effects)
    removed = _by_cluster((effect.classes, effect.removed) for effect in effects)
    return (
        *(ClusterActive(name, classes) for name, classes in added),
        *_moves(effects),
        *_releases(effects),
        *(ClusterAbsent(name, classes) for name, classes in removed),
    )


def _effects(transition: Transition, before: Snapshot, after: Snapshot) -> list[_Effect]:
    old, new, live = Views(before), Views(after), Views(transition.live)
    return [
        _effect(locality, one, classes, old, new, live)
        for locality in transition.localities()
        for one, classes in locality.crowds.items()
    ]


def _effect(
    locality: Locality, one: ProxyClass, classes: frozenset[ProxyClass], before: Views, after: Views, live: Views
) -> _Effect:
    old = before.of(one, locality.routes, locality.hosts)
    new = after.of(one, locality.routes, locality.hosts)
    named_before = {reference.cluster for reference in old.references if reference.hard}
    named_after = {reference.cluster for reference in new.references}
    shown_before, shown_after = _shown(old.references), _shown(new.references)
    # That a route has named a cluster says nothing where the cluster was missing.
    fresh = {r for r in new.references if r.cluster not in named_before or _was_missing(r, old, live, one)}
    # What comes with the step itself cannot be waited for: a Sidecar that lets a route in brings its clusters.
    named = {r for r in fresh if r.cluster in new.clusters and r.cluster in before.clusters(one, r.host)}
    moved = frozenset(r for r in new.references if (r.domain, r.cluster) not in shown_before)
    turned = {reference.domain for reference in moved}
    return _Effect(
        classes=classes,
        named=frozenset(r for r in named if r.hard or any(o.hard for o in named)),
        moved=moved,
        released=frozenset(
            r
            for r in old.references
            if (r.domain, r.cluster) not in shown_after and r.domain not in turned and not _of_default_route(r)
        ),
        added=new.clusters - old.clusters - _of_same_hosts(before, one, new.clusters),
        removed=old.clusters - new.clusters - _of_same_hosts(after, one, old.clusters) - named_after,
        held=frozenset(reference.cluster for reference in old.references),
    )


def _was_missing(reference: Reference, old: View, live: Views, one: ProxyClass) -> bool:
    return reference not in old.references and reference.cluster not in live.clusters(one, reference.host)


def _shown(references: Iterable[Reference]) -> set[tuple[Host | None, ClusterName]]:
    return {(reference.domain, reference.cluster) for reference in references}


def _of_default_route(reference: Reference) -> bool:
    """Tell whether istiod names this cluster for the domain when no VirtualService does (ISTIO.md 4.4)."""
    return not reference.subset and reference.domain in {None, reference.host}


def _of_same_hosts(views: Views, one: ProxyClass, names: Iterable[ClusterName]) -> frozenset[ClusterName]:
    """Return all clusters of the hosts of these clusters, whether or not a route asked for them."""
    hosts = {parts.host for name in names if (parts := parse_cluster(name)) is not None}
    return frozenset(name for host in hosts for name in views.clusters(one, host))


def _by_cluster(
    found: Iterable[tuple[frozenset[ProxyClass], Iterable[ClusterName]]],
) -> Iterator[tuple[ClusterName, frozenset[ProxyClass]]]:
    classes: dict[ClusterName, set[ProxyClass]] = defaultdict(set)
    for several, names in found:
        for name in names:
            classes[name].update(several)
    for name in sorted(classes):
        yield name, frozenset(classes[name])


def _moves(effects: Iterable[_Effect]) -> Iterator[RouteRefers]:
    for domain, name, classes in _by_route((effect.classes, effect.moved) for effect in effects):
        yield RouteRefers(domain, name, classes)


def _releases(effects: Iterable[_Effect]) -> Iterator[RouteReleased]:
    for domain, name, classes in _by_route((effect.classes, effect.released) for effect in effects):
        yield RouteReleased(domain, name, classes)


def _by_route(
    found: Iterable[tuple[frozenset[ProxyClass], Iterable[Reference]]],
) -> Iterator[tuple[Host | None, ClusterName, frozenset[ProxyClass]]]:
    classes: dict[tuple[Host | None, ClusterName], set[ProxyClass]] = defaultdict(set)
    for several, references in found:
        for reference in references:
            classes[reference.domain, reference.cluster].update(several)
    for domain, name in sorted(classes, key=lambda key: (key[0] or "", key[1])):
        yield domain, name, frozenset(classes[domain, name])


def _everywhere(
    transition: Transition, views: Views, name: ClusterName, losing: frozenset[ProxyClass]
) -> frozenset[ProxyClass] | None:
    """Return None, for every proxy, where no class keeps the cluster: then no class needs to be told apart."""
    parts = parse_cluster(name)
    holders = {one for one in transition.classes if parts is not None and name in views.clusters(one, parts.host)}
    return None if holders <= losing else losing


def _has_pods(transition: Transition, after: Snapshot, name: ClusterName, classes: frozenset[ProxyClass]) -> bool:
    """Tell whether some ready pod, or a workload that is to run, stands behind a cluster."""
    parts = parse_cluster(name)
    if parts is None:
        return False
    clusters = clusters_of(after, parts.host)
    return any(
        set(service.selector) | _labels(after, one, parts.host, parts.subset) <= set(workload.labels)
        for one in classes
        for service in service_options(after, one, parts.host)
        if service is not None and service.selector
        for workload in transition.mesh.index.workloads
        if workload.id.namespace == service.namespace and workload.id.cluster in clusters
    )


def _labels(after: Snapshot, one: ProxyClass, host: Host, subset: str) -> set[tuple[str, str]]:
    after = after.seen_by(one.revision)
    for service in service_options(after, one, host):
        if service is not None:
            path = rules_in_path(after, one, service)
            rules = [rule for r in path for rule in after.rule_versions(r) if rule is not None]
            for known in effective_subsets(rules, one, service, after.mesh):
                if known.name == subset:
                    return set(known.labels)
    return set()
