"""ApplySets: objects that were applied together, so that ``--prune`` knows which of them are wanted no more. Pure.

The format is that of KEP-3659 and of kubectl (``pkg/cmd/apply/applyset.go``): each member bears a label with the
set's id, and a parent object says, in annotations, in which kinds and namespaces members are to be looked for. The
id is a hash of the parent's name, so no other object can pass for it; and a set belongs to the tool that its parent
names: nobody else may change it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from safeapply.errors import Fault, ManifestsError
from safeapply.plans.plan import Action, Operation, Phase, Plan, Refusal, Step
from safeapply.resources.objects import Document, FieldPath, GroupKind, Namespace, Resource, ResourceId

__all__ = [
    "IS_PARENT_TYPE",
    "MANAGER",
    "PARENT_KINDS",
    "PART_OF",
    "ApplySet",
    "Extent",
    "extent_of_members",
    "labelled",
    "refuse_foreign_members",
    "refuse_owned",
    "refuse_parent",
    "told_extent",
    "with_parent",
]

PART_OF: Final = "applyset.kubernetes.io/part-of"
IS_PARENT_TYPE: Final = "applyset.kubernetes.io/is-parent-type"
"""The label of a definition whose objects may be parents."""
MANAGER: Final = "safeapply-applyset"
"""Who owns the parent's fields; not ``safeapply``, which may apply the same object as a member."""
PARENT_KINDS: Final = (GroupKind("", "Secret"), GroupKind("", "ConfigMap"))
"""The kinds of parents that need no definition; the first is the default."""

_ID: Final = "applyset.kubernetes.io/id"
_TOOLING: Final = "applyset.kubernetes.io/tooling"
_KINDS: Final = "applyset.kubernetes.io/contains-group-kinds"
_NAMESPACES: Final = "applyset.kubernetes.io/additional-namespaces"
_TOOL: Final = "safeapply"


@dataclass(frozen=True, slots=True)
class Extent:
    """Where the members of a set are looked for."""

    kinds: frozenset[GroupKind] = frozenset()
    namespaces: frozenset[Namespace] = frozenset()
    """Those of the namespaced kinds, the parent's own among them."""

    def __or__(self, other: Extent) -> Extent:
        """Return what covers both."""
        return Extent(self.kinds | other.kinds, self.namespaces | other.namespaces)


@dataclass(frozen=True, slots=True)
class ApplySet:
    """One set, by its parent."""

    parent: ResourceId

    @property
    def id(self) -> str:
        """The value of the labels on parent and members."""
        one = self.parent
        hashed = hashlib.sha256(f"{one.name}.{one.namespace}.{one.kind}.{one.group}".encode()).digest()
        return f"applyset-{base64.urlsafe_b64encode(hashed).decode().rstrip('=')}-v1"

    @property
    def selector(self) -> str:
        """What selects the members."""
        return f"{PART_OF}={self.id}"

    def told(self, extent: Extent, *, api_version: str, version: str) -> Resource:
        """Return the parent's own fields for an extent, as the tool of this version writes them."""
        kinds = ",".join(sorted(_name_of(kind) for kind in extent.kinds))
        others = ",".join(sorted(extent.namespaces - {self.parent.namespace}))
        metadata: dict[str, Any] = {
            "name": self.parent.name,
            **({"namespace": self.parent.namespace} if self.parent.namespace else {}),
            "labels": {_ID: self.id},
            "annotations": {_TOOLING: f"{_TOOL}/v{version}", _KINDS: kinds, _NAMESPACES: others},
        }
        return Resource(self.parent, {"apiVersion": api_version, "kind": self.parent.kind, "metadata": metadata})


def labelled(applyset: ApplySet, manifests: Iterable[Resource]) -> tuple[Resource, ...]:
    """Return the manifests as members of the set.

    Raises:
        ManifestsError: some bear the label already, which only the tool may set (KEP-3659).
    """
    given = tuple(manifests)
    faults = tuple(_claimed(one) for one in given if PART_OF in one.labels)
    if faults:
        raise ManifestsError(faults)
    return tuple(_with_label(one, applyset.id) for one in given)


def extent_of_members(applyset: ApplySet, members: Iterable[Resource]) -> Extent:
    """Return the extent that these members need."""
    ids = [one.id for one in members]
    own = frozenset({applyset.parent.namespace} - {""})
    spaces = frozenset(one.namespace for one in ids if one.namespace)
    return Extent(frozenset(one.group_kind for one in ids), spaces | own)


def told_extent(applyset: ApplySet, parent: Resource | None) -> Extent:
    """Return the extent that a parent tells; of one that does not exist yet, the empty one."""
    if parent is None:
        return Extent()
    kinds = parent.annotations.get(_KINDS, "").split(",")
    others = parent.annotations.get(_NAMESPACES, "").split(",")
    spaces = {*map(Namespace, others), applyset.parent.namespace} - {Namespace("")}
    return Extent(frozenset(_kind_of(kind) for kind in kinds if kind), frozenset(spaces))


def refuse_parent(applyset: ApplySet, parent: Resource | None) -> Iterator[Refusal]:
    """Yield why a live parent may not be used: it is another tool's, or none at all (KEP-3659)."""
    if parent is None:
        if applyset.parent.group_kind not in PARENT_KINDS:
            yield _refusal(
                applyset,
                f"{applyset.parent} does not exist",
                "create it first: only Secrets and ConfigMaps are made for an apply set",
            )
        return
    tooling = parent.annotations.get(_TOOLING, "")
    tool = tooling.rpartition("/")[0] or tooling
    if tool != _TOOL:
        yield _belongs_elsewhere(applyset, tool)
    elif parent.labels.get(_ID) != applyset.id:
        yield _refusal(
            applyset,
            f"{applyset.parent} bears the label {_ID}={parent.labels.get(_ID, '')}, and its id is {applyset.id}",
            "find out who wrote it: another object's id gives it power over another set",
        )
    elif _KINDS not in parent.annotations:
        yield _refusal(
            applyset,
            f"{applyset.parent} does not say in which kinds its members are: the annotation {_KINDS} is missing",
            f"annotate it with the kinds, as in {_KINDS}=ConfigMap,Deployment.apps",
        )


def refuse_foreign_members(
    applyset: ApplySet, manifests: Iterable[Resource], live: Mapping[ResourceId, Resource]
) -> Iterator[Refusal]:
    """Yield a refusal for every object that is a member of another set: it can be in one alone."""
    for one in manifests:
        said = live[one.id].labels.get(PART_OF) if one.id in live else None
        if said is not None and said != applyset.id:
            yield Refusal(
                code="applyset",
                objects=(one.id, applyset.parent),
                proxy_class="none",
                request=f"{one.id} is a member of another apply set, {said}, which would lose it",
                remedy=f"take {one.id} out of one of them, or remove its label {PART_OF} if that set is gone",
            )


def refuse_owned(applyset: ApplySet, parent: Resource | None, doomed: Iterable[Resource]) -> Iterator[Refusal]:
    """Yield a refusal for every member to be pruned that something else than the parent owns (KEP-3659)."""
    own = parent.metadata.get("uid") if parent else None
    for one in doomed:
        others = [ref for ref in one.metadata.get("ownerReferences") or () if ref.get("uid") != own]
        if others:
            owner = f"{others[0].get('kind')} {others[0].get('name')}"
            yield Refusal(
                code="applyset",
                objects=(one.id, applyset.parent),
                proxy_class="none",
                request=f"{one.id} would be pruned, and {owner} owns it",
                remedy=f"leave it to {owner}: remove its label {PART_OF}, or its owner reference",
            )


def with_parent(plan: Plan, parent: Resource | None, wide: Resource, last: Resource) -> Plan:
    """Return the plan with the writes of the parent around it, as far as they change something.

    Before the first member is written the parent covers the old and the new ones, so that a run which is killed
    leaves no member behind that nobody finds; after the last removal it says what is left.

    Args:
        plan: what is done to the members.
        parent: the live one.
        wide: the parent that covers both.
        last: the parent of the desired members.
    """
    before = not _says(parent, wide)
    after = not _says(wide, last)
    first = _step(wide, Phase.WIDEN, bridge=after, why=_WIDE) if before else None
    then = _step(last, Phase.NARROW, bridge=False, why=_LAST) if after else None
    steps = tuple(step for step in (first, *plan.steps, then) if step is not None)
    seen = {parent.id: parent.resource_version} if parent is not None else {}
    return replace(plan, steps=steps, versions={**plan.versions, **seen})


_WIDE: Final = (
    "The apply set covers the members to come before they are there, so that none is ever lost from sight."
)
_LAST: Final = "The apply set covers what is left of it."


def _step(parent: Resource, phase: Phase, *, bridge: bool, why: str) -> Step:
    operation = Operation(Action.APPLY, parent, bridge=bridge, manager=MANAGER)
    return Step(phase, (operation,), (), 0.0, why)


def _says(parent: Resource | None, wanted: Resource) -> bool:
    """Tell whether a parent has the label and the extent that are wanted; the tool's version is no matter."""
    if parent is None:
        return False
    keys = (_KINDS, _NAMESPACES)
    same = all(parent.annotations.get(key, "") == wanted.annotations[key] for key in keys)
    return same and parent.labels.get(_ID) == wanted.labels[_ID]


def _with_label(one: Resource, value: str) -> Resource:
    metadata: Document = {**one.metadata, "labels": {**one.labels, PART_OF: value}}
    return Resource(one.id, {**one.document, "metadata": metadata}, one.origin)


def _claimed(one: Resource) -> Fault:
    file, line = (
        ("", 0)
        if one.origin is None
        else (one.origin.file, one.origin.line_of(FieldPath(f"metadata.labels.{PART_OF}")))
    )
    return Fault(file, line, f"{one.id} bears the label {PART_OF}, which only --applyset may set; remove it")


def _belongs_elsewhere(applyset: ApplySet, tool: str) -> Refusal:
    parent = applyset.parent
    where = f" -n {parent.namespace}" if parent.namespace else ""
    hand_over = f"kubectl annotate --overwrite{where} {parent.group_kind}/{parent.name} {_TOOLING}={_TOOL}/v1"
    if not tool:
        return _refusal(
            applyset,
            f"{parent} exists and is no apply set: it lacks the annotation {_TOOLING}",
            "give --applyset another name",
        )
    return _refusal(
        applyset,
        f"{parent} is an apply set of {tool}, and only {tool} may change it",
        f"prune with {tool}, or hand the set over for good: {hand_over}",
    )


def _refusal(applyset: ApplySet, request: str, remedy: str) -> Refusal:
    return Refusal("applyset", (applyset.parent,), "none", request, remedy)


def _name_of(kind: GroupKind) -> str:
    return f"{kind.kind}.{kind.group}" if kind.group else kind.kind


def _kind_of(text: str) -> GroupKind:
    kind, _, group = text.partition(".")
    return GroupKind(group, kind)
