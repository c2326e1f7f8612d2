"""The versions that objects go through, write by write: what ``safeapply diff`` lays side by side. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from safeapply.plans.changes import Change
from safeapply.plans.estimates import estimated
from safeapply.plans.plan import Action, Operation, Plan
from safeapply.resources.objects import Resource, ResourceId

__all__ = ["Versions", "versions_by_step", "versions_of"]


@dataclass(frozen=True, slots=True)
class Versions:
    """One object before and after; None where it is not there."""

    before: Resource | None
    after: Resource | None


def versions_of(changes: Iterable[Change], live: Mapping[ResourceId, Resource]) -> tuple[Versions, ...]:
    """Return what each change makes of an object; what nobody asked the server is estimated."""
    return tuple(Versions(one.live, _made(one.desired, one.manifest, live)) for one in changes)


def versions_by_step(
    plan: Plan, live: Mapping[ResourceId, Resource], desired: Mapping[ResourceId, Resource]
) -> tuple[tuple[Versions, ...], ...]:
    """Return what the writes of each step make of objects, one after the other; bridges are estimated.

    Args:
        plan: its steps.
        live: every object as it is.
        desired: what the API server says that objects will be in the end.
    """
    now = dict(live)
    steps: list[tuple[Versions, ...]] = []
    for step in plan.steps:
        found = tuple(_written(one, now, desired) for one in step.operations)
        for operation, versions in zip(step.operations, found, strict=True):
            now.pop(operation.resource.id, None)
            if versions.after is not None:
                now[operation.resource.id] = versions.after
        steps.append(found)
    return tuple(steps)


def _written(
    operation: Operation, now: Mapping[ResourceId, Resource], desired: Mapping[ResourceId, Resource]
) -> Versions:
    one = operation.resource
    if operation.action is Action.DELETE:
        return Versions(now.get(one.id), None)
    end = None if operation.bridge else desired.get(one.id)
    return Versions(now.get(one.id), _made(end, one, now))


def _made(
    desired: Resource | None, manifest: Resource | None, live: Mapping[ResourceId, Resource]
) -> Resource | None:
    if manifest is None or (desired is not None and desired is not manifest):
        return desired
    return estimated((manifest,), live).get(manifest.id, manifest)
