"""The proof that a plan is safe: every state that can be reached is checked (DESIGN 4.5).

It knows the plan as data and the mesh as ``istio`` evaluates it, and shares nothing else with the planner: not
its graph, not its scope, not its idea of what touches what. Within a step each object may be seen old or new,
independently, by each proxy, and clusters and routes of one proxy may stem from different moments; so each
reference that some mixture shows must find its cluster in every mixture.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

from safeapply.istio.declarations import declare
from safeapply.istio.fates import Promise
from safeapply.istio.handshakes import Conflict, Handshakes
from safeapply.istio.kinds import NEWEST, Declaration, Gateway, VirtualService
from safeapply.istio.localities import localities, met
from safeapply.istio.mesh_settings import MeshSettings
from safeapply.istio.proxies import ProxyClass, Role
from safeapply.istio.reach import hosts_met, routes_in_reach
from safeapply.istio.registry import is_declared
from safeapply.istio.routes import Reference
from safeapply.istio.serving import Request, is_served, served
from safeapply.istio.snapshot import Declarations, Snapshot, snapshot_of
from safeapply.istio.view import Views
from safeapply.plans.lateness import Schedule, late
from safeapply.plans.plan import Action, Operation, Step
from safeapply.resources.objects import Resource, ResourceId

__all__ = ["Counterexample", "verify"]


@dataclass(frozen=True, slots=True)
class Counterexample:
    """A state in which a request that is served today would not be."""

    step: int
    """0-based."""
    proxy_class: ProxyClass
    request: Reference | Request | Conflict
    """The reference that would meet no cluster (503), the request that would meet no route (404), or the one whose
    server would refuse what its client sends (a reset)."""
    racing: tuple[ResourceId, ...]
    """The writes of the step."""


def verify(
    live: Mapping[ResourceId, Resource],
    steps: Iterable[Step],
    classes: Iterable[ProxyClass],
    *,
    mesh: MeshSettings,
    assumed: Mapping[ResourceId, Declaration | None],
) -> Counterexample | None:
    """Return a reachable state in which a route meets no cluster, or None: the plan is safe.

    Requests that meet no cluster before the first write are not the plan's to save.
    """
    ages = {one: resource.created for one, resource in live.items()}
    now: dict[ResourceId, Declaration | None] = {
        one: declare(resource, created=resource.created, mesh=mesh) for one, resource in live.items()
    }
    now.update(assumed)
    listed, live_versions = tuple(steps), dict(now)
    writes = [{op.resource.id: _declared(op, ages, mesh) for op in step.operations} for step in listed]
    everything = snapshot_of(_all_versions(now, writes), mesh)
    now = {one: now.get(one) for step in writes for one in step}
    start, checked = Views(_at(everything, now)), tuple(classes)
    final = dict(item for step in writes for item in step.items())
    promise = Promise(start, Views(_at(everything, final)))
    kept = _kept(promise.start, promise.end, checked)
    handshakes = _Handshakes(everything, Handshakes(start), _at(everything, final), checked)
    for number, after in enumerate(writes):
        mixture = everything.where({one: (now[one], after[one]) if one in after else (now[one],) for one in now})
        touched = [v for one in after for v in (now[one], after[one]) if v is not None]
        found = (
            _race(mixture, touched, everything, promise, checked)
            or _lost(mixture, touched, kept)
            or handshakes.refused(mixture, touched)
        )
        if found is not None:
            proxy_class, request = found
            return Counterexample(number, proxy_class, request, tuple(after))
        now.update(after)
    return _late(live_versions, listed, writes, everything, promise, checked)


def _late(
    live: Mapping[ResourceId, Declaration | None],
    steps: Sequence[Step],
    writes: Sequence[Mapping[ResourceId, Declaration | None]],
    everything: Snapshot,
    promise: Promise,
    classes: Sequence[ProxyClass],
) -> Counterexample | None:
    """Return a state that is reached because a barrier does not show that some write has arrived."""
    found = late(Schedule(everything, live, writes, [step.expectations for step in steps]), promise, classes)
    if found is None:
        return None
    step, proxy_class, request = found
    return Counterexample(step, proxy_class, request, tuple(writes[step]))


def _all_versions(
    live: Mapping[ResourceId, Declaration | None], writes: Iterable[Mapping[ResourceId, Declaration | None]]
) -> Declarations:
    """Return every version of every object, from the first state to the last."""
    versions: dict[ResourceId, tuple[Declaration | None, ...]] = {one: (d,) for one, d in live.items()}
    for step in writes:
        versions.update({one: (*versions.get(one, (None,)), declaration) for one, declaration in step.items()})
    return versions


def _at(everything: Snapshot, chosen: Mapping[ResourceId, Declaration | None]) -> Snapshot:
    """Return the state in which the objects that are written have these versions."""
    return everything.where({one: (declaration,) for one, declaration in chosen.items()})


Kept: TypeAlias = Mapping[ProxyClass, frozenset[Request]]


def _kept(start: Views, end: Views, classes: Iterable[ProxyClass]) -> Kept:
    """Return the requests that gateways serve before and after."""
    kept: dict[ProxyClass, frozenset[Request]] = {}
    for one in classes:
        if one.role is Role.GATEWAY:
            before, after = (served(v.snapshot, one, _all_routes(v.snapshot)) for v in (start, end))
            kept[one] = frozenset(request for request in before if is_served(request, after))
    return kept


def _lost(mixture: Snapshot, touched: Iterable[Declaration], kept: Kept) -> tuple[ProxyClass, Request] | None:
    """Return a request that a gateway may answer by 404 while these writes are under way."""
    if not any(isinstance(one, VirtualService | Gateway) for one in touched):
        return None
    for one, requests in kept.items():
        there = served(mixture, one, _all_routes(mixture))
        lost = sorted(request for request in requests if not is_served(request, there))
        if lost:
            return one, lost[0]
    return None


@dataclass(frozen=True, slots=True)
class _Handshakes:
    """What servers accept of their clients in every state, against what they do today (ISTIO.md 6.4)."""

    everything: Snapshot
    before: Handshakes
    end: Snapshot
    classes: tuple[ProxyClass, ...]

    def refused(self, mixture: Snapshot, touched: Iterable[Declaration]) -> tuple[ProxyClass, Conflict] | None:
        """Return a request that a server may reset while these writes are under way, and does not today."""
        hosts = hosts_met(mixture.index, touched, mixture.mesh.root_namespace)
        # Requests to a host that comes or goes are not the plan's to keep.
        ends = (self.before.views.snapshot, self.end)
        staying = [host for host in hosts if all(is_declared(end, host) for end in ends)]
        during = Handshakes(Views(mixture))
        for locality in met(self.everything, self.classes, staying):
            for host, one in product(locality.hosts, locality.crowds):
                for conflict in during.conflicts(one, host):
                    if conflict.pair not in {known.pair for known in self.before.conflicts(one, host)}:
                        return one, conflict
        return None


def _all_routes(snapshot: Snapshot) -> set[ResourceId]:
    return {route for several in snapshot.index.bound.values() for route in several}


def _race(
    mixture: Snapshot,
    touched: Collection[Declaration],
    everything: Snapshot,
    promise: Promise,
    classes: Iterable[ProxyClass],
) -> tuple[ProxyClass, Reference | Request] | None:
    """Return a class, and a reference that it may show without the cluster, or a request without a route."""
    routes, views = routes_in_reach(mixture.index, touched), Views(mixture)
    narrow = _narrow(mixture, routes) if any(isinstance(v, VirtualService) for v in touched) else frozenset()
    for locality in localities(everything, classes, routes):
        for one in locality.crowds:
            dangling = [reference for reference in views.of(one, locality.routes).dangling() if reference.hard]
            unmet = _unmet(promise, mixture, one, (route for route in locality.routes if route in narrow))
            found = next(_cut(promise, views, one, dangling), None) or next(unmet, None)
            if found is not None:
                return one, found
    return None


def _cut(promise: Promise, views: Views, one: ProxyClass, dangling: Iterable[Reference]) -> Iterator[Reference]:
    """Yield references without their clusters that requests take which have to be served."""
    by_route: dict[ResourceId, list[Reference]] = defaultdict(list)
    for reference in dangling:
        by_route[reference.chain[0]].append(reference)
    for route, several in by_route.items():
        missing = {reference.cluster for reference in several}
        needed = {
            (demand.domain, demand.port, name)
            for demand in promise.demands(views.snapshot, one, route)
            for name in missing & (demand.clusters or frozenset())
        }
        broken = {(r.port, r.cluster) for r in promise.start.of(one, (route,)).dangling()}
        for reference in several:
            request = (reference.domain, reference.port, reference.cluster)
            if request in needed or (reference.domain is None and request[1:] not in broken):
                yield reference


def _narrow(mixture: Snapshot, routes: Iterable[ResourceId]) -> frozenset[ResourceId]:
    """Return the routes that have no rule for all requests, in some version."""
    return frozenset(
        route
        for route in routes
        if any(
            version is not None and all(rule.matches or rule.delegate for rule in version.rules)
            for version in mixture.route_versions(route)
        )
    )


def _unmet(promise: Promise, mixture: Snapshot, one: ProxyClass, routes: Iterable[ResourceId]) -> Iterator[Request]:
    """Yield requests that a sidecar may answer by 404."""
    for route in routes:
        for demand in promise.demands(mixture, one, route):
            if demand.clusters is None:
                yield Request(demand.port, demand.domain, demand.text)


def _declared(operation: Operation, ages: Mapping[ResourceId, str], mesh: MeshSettings) -> Declaration | None:
    if operation.action is Action.DELETE:
        return None
    resource = operation.resource
    return declare(resource, created=ages.get(resource.id, NEWEST), mesh=mesh)
