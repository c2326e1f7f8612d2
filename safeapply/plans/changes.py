"""What differs between live and desired: the objects that a rollout has to write or delete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from safeapply.resources.objects import Document, Resource, ResourceId

__all__ = ["SERVER_METADATA", "Change", "changes_between"]

SERVER_METADATA = frozenset(
    {"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}
)
"""Metadata that the API server writes itself: no difference that an operator could want."""

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class Change:
    """One object on its way from live to desired."""

    id: ResourceId
    live: Resource | None
    desired: Resource | None
    """What the object will be; None where it is to be deleted."""
    manifest: Resource | None
    """What is to be written for it: the user's own fields."""


def changes_between(
    live: Mapping[ResourceId, Resource],
    manifests: Iterable[Resource],
    desired: Mapping[ResourceId, Resource],
    deleted: Iterable[ResourceId] = (),
) -> tuple[tuple[Change, ...], tuple[ResourceId, ...]]:
    """Return the changes, and the objects that are as desired already.

    Args:
        live: every live object of interest.
        manifests: what the user gave.
        desired: what the API server would make of a manifest; where it is silent, the manifest stands.
        deleted: live objects that shall go.
    """
    changes: list[Change] = []
    unchanged: list[ResourceId] = []
    for manifest in manifests:
        before, after = live.get(manifest.id), desired.get(manifest.id, manifest)
        if before is not None and _content(before.document) == _content(after.document):
            unchanged.append(manifest.id)
        else:
            changes.append(Change(manifest.id, before, after, manifest))
    changes.extend(Change(one, live[one], None, None) for one in deleted if one in live)
    return tuple(changes), tuple(unchanged)


def _content(document: Document) -> Document:
    """Return what a user can mean by a document: no status, and no metadata that the server writes."""
    metadata = {k: v for k, v in (document.get("metadata") or {}).items() if k not in SERVER_METADATA}
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != LAST_APPLIED}
    metadata["annotations"] = annotations or None
    kept = {k: v for k, v in document.items() if k not in {"apiVersion", "metadata", "status"}}
    return {**kept, "metadata": {k: v for k, v in metadata.items() if v}}
