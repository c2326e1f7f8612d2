"""The rules of every object's metadata (kubernetes ``apimachinery/pkg/api/validation/objectmeta.go``). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from safeapply.sandbox.apiserver.kinds import NAMESPACE, SERVICE, Kind
from safeapply.sandbox.apiserver.validation.faults import (
    IMMUTABLE,
    Fault,
    forbidden_field,
    invalid_value,
    required,
    spoken,
)
from safeapply.sandbox.apiserver.validation.names import (
    NameRule,
    dns_label,
    label_value,
    path_segment,
    qualified_name,
    subdomain,
)

__all__ = ["faults_of_change", "faults_of_metadata", "faults_of_name", "labels"]

_LARGEST_ANNOTATIONS: Final = 256 * 1024
_FREE_NAMES: Final = frozenset({"rbac.authorization.k8s.io"})
_LABELS: Final = frozenset({SERVICE, NAMESPACE})
_STANDARD_FINALIZERS: Final = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
_ORPHAN: Final = "orphan"
_FOREGROUND: Final = "foregroundDeletion"


def faults_of_name(kind: Kind, metadata: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what is wrong with a name, or with the beginning of one that was drawn."""
    rule = _rule_of_names(kind)
    if drawn := metadata.get("generateName"):
        # What follows is drawn, so that a dash may stand at the end.
        start = drawn[:-1] + "a" if drawn.endswith("-") and len(drawn) > 1 else drawn
        yield from (invalid_value("metadata.generateName", drawn, why) for why in rule(start))
    if not metadata.get("name"):
        yield required("metadata.name", "name or generateName is required")
        return
    yield from (invalid_value("metadata.name", metadata["name"], why) for why in rule(metadata["name"]))


def faults_of_metadata(metadata: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what is wrong with labels, annotations, owners and finalizers."""
    yield from labels("metadata.labels", metadata.get("labels") or {})
    annotations = metadata.get("annotations") or {}
    for key in sorted(annotations):
        yield from (invalid_value("metadata.annotations", key, why) for why in qualified_name(key.lower()))
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > _LARGEST_ANNOTATIONS:
        message = f"Too long: may not be more than {_LARGEST_ANNOTATIONS} bytes"
        yield Fault("metadata.annotations", message, "FieldValueTooLong")
    yield from _owners(metadata.get("ownerReferences") or [])
    yield from _finalizers(metadata.get("finalizers") or [])


def faults_of_change(live: Mapping[str, Any], metadata: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what an update may not do to metadata."""
    if "deletionTimestamp" in live:
        new = [one for one in metadata.get("finalizers") or [] if one not in (live.get("finalizers") or [])]
        if new:
            listed = ", ".join(spoken(one) for one in new)
            why = "no new finalizers can be added if the object is being deleted, found new finalizers "
            yield forbidden_field("metadata.finalizers", f"{why}[]string{{{listed}}}")
    if metadata.get("uid", live.get("uid")) != live.get("uid"):
        yield invalid_value("metadata.uid", metadata["uid"], IMMUTABLE)


def labels(field: str, given: Mapping[str, str]) -> Iterator[Fault]:
    """Yield what is wrong with labels, or with a selector that is a map of them."""
    for key, value in sorted(given.items()):
        yield from (invalid_value(field, key, why) for why in qualified_name(key))
        yield from (invalid_value(field, value, why) for why in label_value(value))


def _rule_of_names(kind: Kind) -> NameRule:
    if kind.group in _FREE_NAMES:
        return path_segment
    return dns_label if kind.group_kind in _LABELS else subdomain


def _owners(owners: list[Mapping[str, Any]]) -> Iterator[Fault]:
    field = "metadata.ownerReferences"
    for owner in owners:
        group, _, version = str(owner.get("apiVersion", "")).rpartition("/")
        for key, value in (("apiVersion", version), ("kind", owner.get("kind")), ("name", owner.get("name"))):
            if not value:
                yield invalid_value(
                    f"{field}.{key}", "", f"{'version' if key == 'apiVersion' else key} must not be empty"
                )
        if not owner.get("uid"):
            yield invalid_value(f"{field}.uid", "", "must not be empty")
        if (group, version, owner.get("kind")) == ("", "v1", "Event"):
            yield invalid_value(field, owner, "/v1, Kind=Event is disallowed from being an owner")
    controllers = [f"{owner.get('kind')}/{owner.get('name')}" for owner in owners if owner.get("controller")]
    if len(controllers) > 1:
        why = 'Only one reference can have Controller set to true. Found "true" in references for '
        yield invalid_value(field, owners, f"{why}{controllers[0]} and {controllers[1]}")


def _finalizers(finalizers: list[str]) -> Iterator[Fault]:
    field = "metadata.finalizers"
    for at, name in enumerate(finalizers):
        wrong = list(qualified_name(name))
        yield from (invalid_value(f"{field}[{at}]", name, why) for why in wrong)
        if not wrong and "/" not in name and name not in _STANDARD_FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            yield invalid_value(f"{field}[{at}]", name, why)
    if {_ORPHAN, _FOREGROUND} <= set(finalizers):
        yield invalid_value(field, finalizers, f"finalizer {_ORPHAN} and {_FOREGROUND} cannot be both set")
