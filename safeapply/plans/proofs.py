"""What a barrier has to show beside what the next writes need: that the writes before them have arrived (DESIGN 6).

A step follows another because some write must be seen before some other. What the next step needs usually shows
that: a cluster is active only after the rule that brings it. Where it holds already while an earlier write is
still on its way, a barrier would open too early, so what that write changes is expected as well. A write that
changes nothing that an Envoy shows can only be asked of istiod.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from safeapply.istio.kinds import Declaration
from safeapply.istio.proxies import ProxyClass
from safeapply.istio.reach import hosts_in_reach, routes_in_reach
from safeapply.istio.routes import Reference
from safeapply.istio.snapshot import Snapshot
from safeapply.istio.view import Stance, Views
from safeapply.plans.barriers import settled
from safeapply.plans.transition import Transition
from safeapply.plans.versions import Stage
from safeapply.plans.writes import Write
from safeapply.resources.objects import ResourceId
from safeapply.xds.expectations import (
    ClusterAbsent,
    ClusterActive,
    ClusterSends,
    ClusterUnreferenced,
    Expectation,
    InboundAccepts,
    OriginGone,
    RouteRefers,
    RouteReleased,
    concerns,
)
from safeapply.xds.names import ClusterName, Host, parse_cluster

__all__ = ["proofs"]


def proofs(
    transition: Transition,
    now: Snapshot,
    awaited: Mapping[Write, Stage],
    needs: Iterable[Expectation],
) -> tuple[Expectation, ...]:
    """Return what shows that earlier writes have arrived, as far as the needs of the next step do not.

    Args:
        transition: from live to desired.
        now: the mesh as it should be by now.
        awaited: writes that the next step must follow, each with the stage of its object before.
        needs: what the next step expects already.
    """
    everybody, by_host = Views(transition.mesh), _by_host(needs)
    found: dict[Expectation, None] = {}
    for write, stage in awaited.items():
        around = _around(transition, write)
        alike = _alike(around, everybody)
        local = replace(around, classes=tuple(alike))
        concerned = [need for host in _hosts(around) for need in by_host.get(host, ())]
        lacking = now.where({write.id: (transition.stages[write.id][stage],)})
        for change, classes in _shown(local, lacking, now, concerned):
            found[replace(change, classes=frozenset(o for one in classes for o in alike[one]))] = None
    return tuple(found)


def _by_host(needs: Iterable[Expectation]) -> Mapping[Host, list[Expectation]]:
    hosts: dict[Host, list[Expectation]] = defaultdict(list)
    for need in needs:
        parts = parse_cluster(need.cluster)
        if parts is not None:
            hosts[parts.host].append(need)
    return hosts


def _around(transition: Transition, write: Write) -> Transition:
    """Return the transition as far as one object can touch it."""
    index, versions = transition.mesh.index, _versions(transition, write)
    return replace(transition, routes=routes_in_reach(index, versions), hosts=hosts_in_reach(index, versions))


def _versions(transition: Transition, write: Write) -> list[Declaration]:
    return [one for one in transition.stages[write.id].values() if one is not None]


def _hosts(around: Transition) -> Iterable[Host]:
    """Return the hosts whose clusters, or the references to whose clusters, a write can touch."""
    routes = (v for route in around.routes for v in around.mesh.route_versions(route) if v is not None)
    named = (d.host for route in routes for rule in route.rules for d in (*rule.destinations, *rule.mirrors))
    return dict.fromkeys((*around.hosts, *named))


def _alike(around: Transition, everybody: Views) -> Mapping[ProxyClass, list[ProxyClass]]:
    """Return the classes that a write can tell apart, each with those that are like it."""
    groups: dict[tuple[Stance, ...], list[ProxyClass]] = defaultdict(list)
    subjects: tuple[Host | ResourceId, ...] = (*around.routes, *around.hosts)
    for one in around.classes:
        groups[tuple(everybody.stance(one, subject) for subject in subjects)].append(one)
    return {several[0]: several for several in groups.values()}


def _shown(
    local: Transition, lacking: Snapshot, now: Snapshot, needs: Sequence[Expectation]
) -> Iterator[tuple[Expectation, frozenset[ProxyClass]]]:
    """Yield what one write changes, with the classes for which all needs hold without it."""
    views = Views(lacking)
    for change in settled(local, lacking, now):
        classes = frozenset(local.classes) if change.classes is None else change.classes
        unproven = frozenset(one for one in classes if all(_holds(need, one, views) for need in needs))
        if unproven:
            yield change, unproven


def _holds(expectation: Expectation, one: ProxyClass, views: Views) -> bool:  # noqa: PLR0911  one for each kind
    """Tell whether a class shows what is expected in a state of the mesh, or is not concerned."""
    cluster, parts = expectation.cluster, parse_cluster(expectation.cluster)
    if parts is None or not concerns(expectation, one):
        return True
    match expectation:
        case ClusterActive():
            return cluster in views.clusters(one, parts.host)
        case ClusterAbsent():
            return cluster not in views.clusters(one, parts.host)
        case ClusterUnreferenced():
            return not any(_naming(views, one, cluster))
        case RouteRefers(host=host):
            return any(reference.domain == host for reference in _naming(views, one, cluster))
        case RouteReleased(host=host):
            return all(reference.domain != host for reference in _naming(views, one, cluster))
        case ClusterSends() | InboundAccepts() | OriginGone():
            # The first two show writes of their own (plans.tls_proofs), the last is asked for by scripts alone.
            return True
        case _:
            assert_never(expectation)


def _naming(views: Views, one: ProxyClass, cluster: ClusterName) -> Iterator[Reference]:
    """Yield the references of a class to a cluster."""
    parts, index = parse_cluster(cluster), views.snapshot.index
    for route in index.referring.get(parts.host, ()) if parts else ():
        for root in (route, *index.roots.get(route, ())):
            yield from (found for found in views.references(one, root) if found.cluster == cluster)
