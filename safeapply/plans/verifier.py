"""The proof that a plan is safe: every state that can be reached is checked (DESIGN 4.5).

It knows the plan as data and the mesh as ``istio`` evaluates it, and shares nothing else with the planner: not
its graph, not its scope, not its idea of what touches what. Within a step each object may be seen old or new,
independently, by each proxy, and clusters and routes of one proxy may stem from different moments; so each
reference that some mixture shows must find its cluster in every mixture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from safeapply.istio.declarations import declare
from safeapply.istio.kinds import NEWEST, Declaration, VirtualService
from safeapply.istio.proxies import ProxyClass
from safeapply.istio.routes import Reference
from safeapply.istio.snapshot import MeshSettings, Snapshot, snapshot_of
from safeapply.istio.view import view
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
    broken = {one: _broken(_at_rest(now, mesh), one) for one in classes}
    for number, step in enumerate(steps):
        after = {op.resource.id: _declared(op, ages, mesh) for op in step.operations}
        mixture = snapshot_of(
            {one: tuple(dict.fromkeys((now.get(one), after.get(one, now.get(one))))) for one in {*now, *after}},
            mesh,
        )
        for one, known in broken.items():
            for reference in _dangling(mixture, one):
                if _request(reference) not in known:
                    return Counterexample(number, one, reference, tuple(after))
        now.update(after)
    return None


def _at_rest(now: Mapping[ResourceId, Declaration | None], mesh: MeshSettings) -> Snapshot:
    return snapshot_of({one: (declaration,) for one, declaration in now.items()}, mesh)


def _declared(operation: Operation, ages: Mapping[ResourceId, str], mesh: MeshSettings) -> Declaration | None:
    if operation.action is Action.DELETE:
        return None
    resource = operation.resource
    return declare(resource, created=ages.get(resource.id, NEWEST), domain=mesh.domain)


def _dangling(snapshot: Snapshot, one: ProxyClass) -> Iterator[Reference]:
    routes = [
        route
        for route, versions in snapshot.versions.items()
        if any(isinstance(version, VirtualService) and version.hosts for version in versions)
    ]
    return (reference for reference in view(snapshot, one, routes).dangling() if reference.hard)


def _broken(snapshot: Snapshot, one: ProxyClass) -> set[tuple[object, ...]]:
    return {_request(reference) for reference in _dangling(snapshot, one)}


def _request(reference: Reference) -> tuple[object, ...]:
    """Return what makes two references the same failing request to a user."""
    return (reference.domain, reference.port, reference.cluster)
