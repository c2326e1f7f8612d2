"""Look up an ApplySet: its parent, which members it has, and which of them the files hold no more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from safeapply.errors import UsageError
from safeapply.plans.applyset import (
    IS_PARENT_TYPE,
    MANAGER,
    PARENT_KINDS,
    ApplySet,
    Extent,
    extent_of_members,
    labelled,
    refuse_foreign_members,
    refuse_owned,
    refuse_parent,
    told_extent,
    with_parent,
)
from safeapply.plans.estimates import overlaid
from safeapply.plans.plan import Plan, Refusal
from safeapply.ports import Cluster
from safeapply.resources.objects import GroupKind, Namespace, Resource, ResourceId

__all__ = ["Lookup", "Membership", "Reference", "check_parent", "known_parent", "look_up"]

_SHORT = {"secret": 0, "secrets": 0, "configmap": 1, "configmaps": 1, "cm": 1}
_DEFINITION = GroupKind("apiextensions.k8s.io", "CustomResourceDefinition")


class Lookup(Protocol):
    """The part of a cluster in which sets are looked up."""

    async def get(self, resource_id: ResourceId) -> Resource | None:
        """Return one object, or None where it does not exist."""
        ...

    async def select(
        self, kinds: Collection[GroupKind], namespaces: Collection[Namespace], selector: str
    ) -> tuple[Resource, ...]:
        """Return the objects of these kinds that a label selector finds, cluster-wide kinds without a namespace."""
        ...


@dataclass(frozen=True, slots=True)
class Reference:
    """A parent as ``--applyset`` names it."""

    resource: str
    """``secrets``, ``configmaps``, or ``plural.group`` of a custom resource."""
    name: str
    namespace: Namespace
    """What ``-n`` says; empty without it."""


@dataclass(frozen=True, slots=True)
class Membership:
    """A set as it is, and as the files want it."""

    applyset: ApplySet
    parent: Resource | None
    """The live one."""
    manifests: tuple[Resource, ...]
    """What shall be in the set, with its label."""
    doomed: tuple[Resource, ...] = ()
    """The members that the files hold no more."""
    refusals: tuple[Refusal, ...] = ()
    """Why the set may not be touched at all."""

    def carried(self, plan: Plan, *, version: str) -> Plan:
        """Return the plan with the writes of the parent around it; a refused one as it is."""
        if plan.refusals:
            return plan
        wide, last = self.parents(version=version)
        return with_parent(plan, self.parent, wide, last)

    def parents(self, *, version: str) -> tuple[Resource, Resource]:
        """Return the parent while members come and go, and the parent in the end."""
        extent = extent_of_members(self.applyset, self.manifests)
        now = told_extent(self.applyset, self.parent)
        served = self.parent.api_version if self.parent else "v1"

        def told(one: Extent) -> Resource:
            return self.applyset.told(one, api_version=served, version=version)

        return told(extent | now), told(extent)

    def desired(self, *, version: str) -> Mapping[ResourceId, Resource]:
        """Return the parent as it will be, with what others wrote into it."""
        last = self.parents(version=version)[1]
        return {last.id: overlaid(self.parent, last) if self.parent else last}

    def refuse(self, live: Mapping[ResourceId, Resource]) -> tuple[Refusal, ...]:
        """Return what stands against the set once the live objects are known."""
        if self.refusals:
            return self.refusals
        return (
            *refuse_foreign_members(self.applyset, self.manifests, live),
            *refuse_owned(self.applyset, self.parent, self.doomed),
        )


async def look_up(cluster: Lookup, reference: Reference, manifests: Iterable[Resource]) -> Membership:
    """Return the set that a reference names.

    Raises:
        UsageError: the reference names nothing that could be a parent.
        ManifestsError: some manifests claim to be members.
    """
    applyset = ApplySet(await _parent_id(cluster, reference))
    parent = await cluster.get(applyset.parent)
    wanted = labelled(applyset, manifests)
    refusals = tuple(refuse_parent(applyset, parent))
    if refusals:
        return Membership(applyset, parent, wanted, refusals=refusals)
    extent = told_extent(applyset, parent)
    members = await cluster.select(extent.kinds, extent.namespaces, applyset.selector)
    kept = {one.id for one in wanted}
    return Membership(applyset, parent, wanted, tuple(one for one in members if one.id not in kept))


async def check_parent(cluster: Cluster, membership: Membership, *, version: str) -> None:
    """Let the server dry-run the parent, so that a write that it would refuse is an error before the first one.

    Raises:
        RejectedError: it would.
    """
    await cluster.apply(membership.parents(version=version)[0], dry_run=True, manager=MANAGER)


def known_parent(resource: str) -> GroupKind | None:
    """Return the kind of a parent by what kubectl's users call it; None for one that needs a definition."""
    number = _SHORT.get(resource.lower())
    return None if number is None else PARENT_KINDS[number]


async def _parent_id(cluster: Lookup, reference: Reference) -> ResourceId:
    known = known_parent(reference.resource)
    kind, namespaced = (known, True) if known else await _custom(cluster, reference)
    if namespaced and not reference.namespace:
        raise UsageError(
            f"--applyset {reference.resource}/{reference.name}: it stands in a namespace; name that one with -n, "
            "so that the set does not depend on the context of whoever runs this"
        )
    return ResourceId(kind.group, kind.kind, reference.namespace if namespaced else Namespace(""), reference.name)


async def _custom(cluster: Lookup, reference: Reference) -> tuple[GroupKind, bool]:
    name = reference.resource
    definition = await cluster.get(ResourceId(_DEFINITION.group, _DEFINITION.kind, Namespace(""), name))
    if definition is None:
        raise UsageError(
            f"--applyset {name}/{reference.name}: an apply set's parent is a secret, a configmap, or a custom "
            f"resource as PLURAL.GROUP, and the cluster defines no {name}"
        )
    if IS_PARENT_TYPE not in definition.labels:
        raise UsageError(
            f"--applyset {name}/{reference.name}: {name} may not be the parent of an apply set; to allow it: "
            f"kubectl label {_DEFINITION.kind.lower()} {name} {IS_PARENT_TYPE}=true"
        )
    kind = str((definition.spec.get("names") or {}).get("kind"))
    group = str(definition.spec.get("group"))
    return GroupKind(group, kind), definition.spec.get("scope") != "Cluster"
