"""The proof that a plan is safe: every state that can be reached is checked (DESIGN 4.5).

It knows the plan as data and the mesh as ``istio`` evaluates it, and shares nothing else with the planner: not
its graph, not its scope, not its idea of what touches what. Within a step each object may be seen old or new,
independently, by each proxy, and clusters and routes of one proxy may stem from different moments; so each
reference that some mixture shows must find its cluster in every mixture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

from safeapply.istio.declarations import declare
from safeapply.istio.handshakes import Conflict, Handshakes
from safeapply.istio.kinds import NEWEST, Declaration, Gateway, VirtualService
from safeapply.istio.localities import localities, met
from safeapply.istio.proxies import ProxyClass, Role
from safeapply.istio.reach import hosts_met, routes_in_reach
from safeapply.istio.registry import is_declared, service_options
from safeapply.istio.routes import Reference
from safeapply.istio.serving import Request, is_served, served
from safeapply.istio.snapshot import Declarations, MeshSettings, Snapshot, snapshot_of
from safeapply.istio.view import Views
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
        one: declare(resource, created=resource.created, domain=mesh.domain) for one, resource in live.items()
    }
    now.update(assumed)
    writes = [{op.resource.id: _declared(op, ages, mesh) for op in step.operations} for step in steps]
    everything = snapshot_of(_all_versions(now, writes), mesh)
    now = {one: now.get(one) for step in writes for one in step}
    start, checked = Views(_at(everything, now)), tuple(classes)
    final = dict(item for step in writes for item in step.items())
    kept = _kept(start, Views(_at(everything, final)), checked)
    handshakes = _Handshakes(everything, Handshakes(start), _at(everything, final), checked)
    for number, after in enumerate(writes):
        mixture = everything.where({one: (now[one], after[one]) if one in after else (now[one],) for one in now})
        touched = [v for one in after for v in (now[one], after[one]) if v is not None]
        found = (
            _race(mixture, touched, everything, start, checked)
            or _lost(mixture, touched, kept)
            or handshakes.refused(mixture, touched)
        )
        if found is not None:
            proxy_class, request = found
            return Counterexample(number, proxy_class, request, tuple(after))
        now.update(after)
    return None


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
    touched: Iterable[Declaration],
    everything: Snapshot,
    start: Views,
    classes: Iterable[ProxyClass],
) -> tuple[ProxyClass, Reference] | None:
    """Return a class, and a reference that it may show without the cluster, while these writes are under way."""
    routes, views = routes_in_reach(mixture.index, touched), Views(mixture)
    for locality in localities(everything, classes, routes):
        for one in locality.crowds:
            dangling = [reference for reference in views.of(one, locality.routes).dangling() if reference.hard]
            before = start.of(one, locality.routes).dangling() if dangling else ()
            known = {_request(reference) for reference in before if reference.hard}
            for reference in dangling:
                if _request(reference) not in known and _served(start, one, reference):
                    return one, reference
    return None


def _served(start: Views, one: ProxyClass, reference: Reference) -> bool:
    """Tell whether a request was answered before the first write; one that was not is not the plan's to keep.

    A host that nobody declared has no route on a sidecar, and one that no route served is a 404 on a gateway.
    """
    domain, port = reference.domain, reference.port
    if domain is None:
        return True
    if one.role is not Role.GATEWAY:
        options = service_options(start.snapshot, one, domain)
        if any(service is not None and service.port(port) is not None for service in options):
            return True
    routes = start.snapshot.index.routes_for(domain)
    return any((ref.domain, ref.port) == (domain, port) for r in routes for ref in start.references(one, r))


def _declared(operation: Operation, ages: Mapping[ResourceId, str], mesh: MeshSettings) -> Declaration | None:
    if operation.action is Action.DELETE:
        return None
    resource = operation.resource
    return declare(resource, created=ages.get(resource.id, NEWEST), domain=mesh.domain)


def _request(reference: Reference) -> tuple[object, ...]:
    """Return what makes two references the same failing request to a user."""
    return (reference.domain, reference.port, reference.cluster)
