"""What one replica knows at one moment, and which writes are in it. Pure.

A replica sees each kind of object in order, but each after its own lag, so what it knows is told by one resource
version per kind: the last that it has seen (ISTIO.md 0.3: no order exists across kinds).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from safeapply.resources.objects import Document, GroupKind, ResourceId

__all__ = ["EMPTY", "Snapshot", "Write", "is_watched", "same_for_istio"]

WATCHED = {
    "": {"Pod", "Service"},
    "networking.istio.io": {
        "DestinationRule", "Gateway", "ServiceEntry", "Sidecar", "VirtualService", "WorkloadEntry",
    },
}  # fmt: skip
"""Everything that the translation reads; istiod has informers for these and for others that change nothing here."""


@dataclass(frozen=True, slots=True)
class Write:
    """One committed write of an object that istiod reads."""

    id: ResourceId
    resource_version: int
    at: float
    """When it was committed, on the monotonic clock."""

    @property
    def kind(self) -> GroupKind:
        """Its kind."""
        return self.id.group_kind


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All objects as one replica has seen them, immutable. Two are never compared by content."""

    objects: Mapping[ResourceId, Document] = field(default_factory=dict)
    seen: Mapping[GroupKind, int] = field(default_factory=dict)
    """The last resource version of each kind."""

    @property
    def resource_version(self) -> int:
        """The highest resource version in it; lower ones of other kinds may be missing."""
        return max(self.seen.values(), default=0)

    def covers(self, write: Write) -> bool:
        """Tell whether the write, or a later one of its kind, is in it."""
        return self.seen.get(write.kind, 0) >= write.resource_version

    def of_kind(self, kind: str) -> Iterator[Document]:
        """Return the objects of a watched kind; the names of kinds are distinct across groups here."""
        return (document for resource_id, document in self.objects.items() if resource_id.kind == kind)


EMPTY = Snapshot()


def is_watched(resource_id: ResourceId) -> bool:
    """Tell whether istiod reads objects of this kind."""
    return resource_id.kind in WATCHED.get(resource_id.group, ())


def same_for_istio(old: Document, new: Document) -> bool:
    """Tell whether a change touches nothing that istiod looks at, so that it pushes nothing (ISTIO.md 4.11)."""
    return _read(old) == _read(new)


def _read(document: Document) -> tuple[object, ...]:
    metadata, status = document.get("metadata") or {}, document.get("status") or {}
    return (
        document.get("spec"),
        metadata.get("labels"),
        metadata.get("annotations") if document.get("kind") == "Service" else None,
        metadata.get("deletionTimestamp"),
        status.get("podIP"),
        status.get("phase"),
        [c for c in status.get("conditions") or () if c.get("type") == "Ready"]
        if document["kind"] == "Pod"
        else None,
    )
