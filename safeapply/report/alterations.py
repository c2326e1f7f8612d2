"""What each write of a plan changes, against the version that the writes before it leave behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from safeapply.plans.plan import Action, Operation, Plan
from safeapply.plans.references import values
from safeapply.report.differences import Difference, Sign, differences
from safeapply.resources.objects import Document, Resource, ResourceId
from safeapply.resources.secrets import SECRET, masked_pair

__all__ = ["Alteration", "alterations"]

MOST = 6
"""How many differences of one object are told."""

Mark: TypeAlias = Literal["+", "~", "-"]


@dataclass(frozen=True, slots=True)
class Alteration:
    """One write as a diff line."""

    id: ResourceId
    sign: Mark
    """``+`` created, ``~`` changed, ``-`` deleted."""
    text: str


def alterations(
    plan: Plan, live: Mapping[ResourceId, Resource], desired: Mapping[ResourceId, Resource]
) -> tuple[tuple[Alteration, ...], ...]:
    """Return the diff lines of each step.

    Args:
        plan: what is written.
        live: what is there before.
        desired: what the API server makes of the manifests, so that its defaults do not look like removals.
    """
    known: dict[ResourceId, Document] = {one: resource.document for one, resource in live.items()}
    last = {o.resource.id: o.resource.document for step in (*plan.steps, *plan.left) for o in step.operations}
    last |= {one: resource.document for one, resource in desired.items()}
    told: list[tuple[Alteration, ...]] = []
    for step in plan.steps:
        told.append(tuple(_alteration(operation, known, last) for operation in step.operations))
        known |= {operation.resource.id: operation.resource.document for operation in step.operations}
    return tuple(told)


def _alteration(
    operation: Operation, known: Mapping[ResourceId, Document], last: Mapping[ResourceId, Document]
) -> Alteration:
    resource = operation.resource
    before = known.get(resource.id)
    if operation.action is Action.DELETE:
        return Alteration(resource.id, "-", "deleted")
    if before is None:
        return Alteration(resource.id, "+", _created(resource))
    after, secret = last[resource.id], resource.id.group_kind == SECRET
    if operation.bridge:
        return Alteration(resource.id, "~", _bridged(before, resource.document, after))
    old, new = masked_pair(before, after) if secret else (before, after)
    return Alteration(resource.id, "~", _listed(differences(old, new)) or "as before")


def _bridged(before: Document, bridge: Document, desired: Document) -> str:
    """Tell what a bridge adds, and what it still holds that the desired version drops."""
    # A bridge removes nothing: what it leaves out are fields of the server and of other writers.
    added = [one for one in differences(before, bridge) if one.sign is not Sign.REMOVED]
    kept = [one.text for one in differences(bridge, desired) if one.sign is Sign.REMOVED]
    return f"{_listed(added) or 'as before'} (bridge{': keeps ' if kept else ''}{', '.join(kept[:MOST])})"


def _listed(found: Iterable[Difference]) -> str:
    """Join the first few differences, naming each list once: ``subsets +v2 -v1``."""
    told: dict[str, list[str]] = {}
    everything = list(found)
    for one in everything[:MOST]:
        key = one.path if one.sign is not Sign.CHANGED else str(one)
        told.setdefault(key, []).append("" if one.sign is Sign.CHANGED else f"{one.sign.value}{one.text}")
    sentences = [f"{path} {' '.join(parts)}".rstrip() for path, parts in told.items()]
    more = len(everything) - MOST
    return "; ".join([*sentences, *([f"and {more} more"] if more > 0 else [])])


def _created(resource: Resource) -> str:
    """Tell of a new object what makes it worth a look."""
    spec = resource.spec
    hosts = [*values(spec, ("hosts", "[]"))] or [*values(spec, ("host",))]
    parts = [f"host{'s' if len(hosts) > 1 else ''} {', '.join(map(str, hosts[:MOST]))}"] if hosts else []
    subsets = [*map(str, values(spec, ("subsets", "[]", "name")))]
    parts += [f"subset{'s' if len(subsets) > 1 else ''} {', '.join(subsets[:MOST])}"] if subsets else []
    return ", ".join(["new", *parts])
