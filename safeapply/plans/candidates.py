"""All versions of an object that a plan may write on its way: the joins, and wider ones where those do not do.

A DestinationRule may hold every subset that any rule of its hosts has: what it has and will have, what it shadows,
and what it reveals. It may stand at its old host or at its new one, and be seen as before, as after, or by both. A
VirtualService may be seen by all that see it before or after (DESIGN 4.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from safeapply.istio.declarations import declare
from safeapply.istio.hosts import overlap
from safeapply.istio.kinds import DESTINATION_RULE, NEWEST, VIRTUAL_SERVICE, Declaration
from safeapply.plans.changes import Change
from safeapply.plans.joins import joined_scope, united_subsets
from safeapply.plans.transition import Transition
from safeapply.plans.versions import Stage
from safeapply.resources.objects import Document, Resource, ResourceId
from safeapply.xds.names import Host

__all__ = ["Candidate", "joins", "wide"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version of an object, as it would be written and as Istio would read it."""

    resource: Resource | None
    """None for the version that is live, and for an object that is not there."""
    declaration: Declaration | None


def joins(transition: Transition, one: ResourceId) -> tuple[Candidate, ...]:
    """Return the versions of an object: live, desired, and the bridges that every plan knows."""
    stages, between = transition.stages[one], transition.bridges[one]
    ends = (Candidate(None, stages[Stage.LIVE]), Candidate(None, stages[Stage.DESIRED]))
    return (*ends, *(Candidate(resource, stages[stage]) for stage, resource in between.items()))


def wide(transition: Transition, one: ResourceId, near: Iterable[ResourceId]) -> tuple[Candidate, ...]:
    """Return more versions than ``joins``, each once.

    Args:
        transition: from live to desired.
        one: a changed object.
        near: the DestinationRules whose subsets it may hold in between.
    """
    known = joins(transition, one)
    change, mesh = transition.changes[one], transition.mesh.mesh
    created = change.live.created if change.live else NEWEST
    found = {candidate.declaration: candidate for candidate in known}
    for spec in _specs(transition, change, near):
        resource = _written(change, spec)
        declaration = declare(resource, created=created, mesh=mesh)
        if declaration is not None and declaration not in found:
            found[declaration] = Candidate(resource, declaration)
    return (*known[:2], *(one for one in found.values() if one not in known[:2]))


def _specs(transition: Transition, change: Change, near: Iterable[ResourceId]) -> Iterator[Document]:
    ends = [resource.spec for resource in (change.live, change.manifest) if resource is not None]
    joined = joined_scope(*transition.mesh.mesh.said(change.id.group_kind, ends[0], ends[-1]))
    scopes = [*({"exportTo": spec.get("exportTo")} for spec in ends), joined]
    if change.id.group_kind == VIRTUAL_SERVICE:
        yield from ({**spec, **joined} for spec in ends)
    elif change.id.group_kind == DESTINATION_RULE:
        hosts = [declared.host for declared in transition.mesh.rule_versions(change.id) if declared is not None]
        others = [spec for rule in near if rule != change.id for spec in _rules(transition, rule, hosts)]
        for spec, scope in product(ends, scopes):
            # Of subsets with one name the own one stays, and of the own ones the desired one.
            yield {**spec, **scope, "subsets": united_subsets(*others, *ends)}


def _rules(transition: Transition, rule: ResourceId, hosts: Iterable[Host]) -> Iterator[Document]:
    """Yield the versions of a DestinationRule that stands at one of these hosts."""
    listed = list(hosts)
    for declared in transition.mesh.rule_versions(rule):
        if declared is not None and any(overlap(declared.host, host) for host in listed):
            subsets = [{"name": one.name, "labels": dict(one.labels)} for one in declared.subsets]
            yield {"subsets": subsets}


def _written(change: Change, spec: Document) -> Resource:
    """Return a version as it is written: like the user's manifest, or where the object goes as little as can be."""
    if change.manifest is not None:
        return replace(change.manifest, document={**change.manifest.document, "spec": spec})
    kept: dict[str, Any] = dict(change.live.document) if change.live else {}
    metadata = {key: kept["metadata"][key] for key in ("name", "namespace") if key in kept["metadata"]}
    document = {"apiVersion": kept["apiVersion"], "kind": kept["kind"], "metadata": metadata, "spec": spec}
    return Resource(change.id, document)
