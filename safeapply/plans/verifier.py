"""The proof that a plan is safe: every state that can be reached is checked (DESIGN 4.5).

It knows the plan as data and the mesh as ``istio`` evaluates it, and shares nothing else with the planner: not
its graph, not its scope, not its idea of what touches what. Within a step each object may be seen old or new,
independently, by each proxy, and clusters and routes of one proxy may stem from different moments; so each
reference that some mixture shows must find its cluster in every mixture.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from safeapply.istio.declarations import declare
from safeapply.istio.kinds import NEWEST, Declaration
from safeapply.istio.proxies import ProxyClass, Role
from safeapply.istio.reach import routes_in_reach
from safeapply.istio.registry import service_options
from safeapply.istio.routes import Reference
from safeapply.istio.snapshot import MeshSettings, snapshot_of
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
    reference: Reference
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
    start = Views(snapshot_of({one: (declaration,) for one, declaration in now.items()}, mesh))
    checked = tuple(classes)
    for number, step in enumerate(steps):
        after = {op.resource.id: _declared(op, ages, mesh) for op in step.operations}
        found = _race(now, after, start, checked)
        if found is not None:
            proxy_class, reference = found
            return Counterexample(number, proxy_class, reference, tuple(after))
        now.update(after)
    return None


def _race(
    now: Mapping[ResourceId, Declaration | None],
    after: Mapping[ResourceId, Declaration | None],
    start: Views,
    classes: Iterable[ProxyClass],
) -> tuple[ProxyClass, Reference] | None:
    """Return a class, and a reference that it may show without the cluster, while these writes are under way."""
    versions = {one: (declaration,) for one, declaration in now.items()}
    mixed = {**versions, **{one: (now.get(one), declaration) for one, declaration in after.items()}}
    mixture = snapshot_of(mixed, start.snapshot.mesh)
    touched = [v for one in after for v in mixed[one] if v is not None]
    routes, views = routes_in_reach(mixture.index, touched), Views(mixture)
    for one in classes:
        dangling = [reference for reference in views.of(one, routes).dangling() if reference.hard]
        known = {_request(reference) for reference in start.of(one, routes).dangling()} if dangling else set()
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
