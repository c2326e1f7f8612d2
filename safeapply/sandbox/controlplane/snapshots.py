"""What one replica knows at one moment, and which writes are in it. Pure.

A replica sees each kind of object in order, but each after its own lag, so what it knows is told by one resource
version per kind: the last that it has seen (ISTIO.md 0.3: no order exists across kinds).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from safeapply.resources.objects import Document, GroupKind, Namespace, ResourceId

__all__ = ["EMPTY", "REVISION", "Snapshot", "Source", "Write", "is_watched", "same_for_istio", "source_of"]

WATCHED = {
    "": {"Namespace", "Pod", "Service"},
    "networking.istio.io": {
        "DestinationRule", "Gateway", "ServiceEntry", "Sidecar", "VirtualService", "WorkloadEntry",
    },
    "security.istio.io": {"PeerAuthentication"},
}  # fmt: skip
"""Everything that the translation reads; istiod has informers for these and for others that change nothing here."""
MESH_CONFIG = ResourceId("", "ConfigMap", Namespace("istio-system"), "istio")
"""The only ConfigMap that istiod reads its own settings from."""
OF_EVERY_CLUSTER = ""
"""The group whose objects istiod reads in the other clusters of its mesh, too: Services and pods."""
REVISION = "istio.io/rev"
"""The label of an object, and the annotation of an injected pod, that tell a revision of istiod."""
Source: TypeAlias = tuple[str, GroupKind]
"""An informer: a cluster, and one kind of object there."""


@dataclass(frozen=True, slots=True)
class Write:
    """One committed write of an object that istiod reads."""

    id: ResourceId
    resource_version: int
    at: float
    """When it was committed, on the monotonic clock."""

    @property
    def source(self) -> Source:
        """Where istiod sees it."""
        return source_of(self.id)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All objects as one replica has seen them, immutable. Two are never compared by content."""

    objects: Mapping[ResourceId, Document] = field(default_factory=dict)
    seen: Mapping[Source, int] = field(default_factory=dict)
    """The last resource version of each kind, in each cluster: those of two clusters cannot be compared."""

    @property
    def resource_version(self) -> int:
        """The highest resource version of the own cluster in it; lower ones of other kinds may be missing."""
        return max((version for (cluster, _), version in self.seen.items() if not cluster), default=0)

    def covers(self, write: Write) -> bool:
        """Tell whether the write, or a later one of its kind, is in it."""
        return self.seen.get(write.source, 0) >= write.resource_version

    def without(self, namespaces: Collection[str]) -> Snapshot:
        """Return it without what stands in some namespaces of the own cluster."""
        kept = {one: each for one, each in self.objects.items() if one.cluster or one.namespace not in namespaces}
        return replace(self, objects=kept)

    def read_by(self, revision: str) -> Snapshot:
        """Return what an istiod of a revision reads: no object of Istio's own that is for another."""
        hidden = {
            one
            for one, each in self.objects.items()
            if one.group.endswith(".istio.io")
            and (each["metadata"].get("labels") or {}).get(REVISION, revision) != revision
        }
        return replace(self, objects={o: e for o, e in self.objects.items() if o not in hidden}) if hidden else self

    def of_kind(self, kind: str) -> Iterator[Document]:
        """Return the objects of a watched kind; the names of kinds are distinct across groups here."""
        return (document for _, document in self.with_places(kind))

    def with_places(self, kind: str) -> Iterator[tuple[str, Document]]:
        """Return the objects of a watched kind, each with its cluster."""
        return ((one.cluster, document) for one, document in self.objects.items() if one.kind == kind)


EMPTY = Snapshot()


def is_watched(resource_id: ResourceId) -> bool:
    """Tell whether istiod reads objects of this kind, in its own cluster or in another."""
    if resource_id == MESH_CONFIG:
        return True
    near = not resource_id.cluster or resource_id.group == OF_EVERY_CLUSTER
    return near and resource_id.kind in WATCHED.get(resource_id.group, ())


def source_of(resource_id: ResourceId) -> Source:
    """Return where istiod sees an object."""
    return resource_id.cluster, resource_id.group_kind


def same_for_istio(old: Document, new: Document) -> bool:
    """Tell whether a change touches nothing that istiod looks at, so that it pushes nothing (ISTIO.md 4.11)."""
    return _read(old) == _read(new)


def _read(document: Document) -> tuple[object, ...]:
    metadata, status = document.get("metadata") or {}, document.get("status") or {}
    return (
        document.get("spec"),
        document.get("data"),
        metadata.get("labels"),
        metadata.get("annotations") if document.get("kind") == "Service" else None,
        metadata.get("deletionTimestamp"),
        status.get("podIP"),
        status.get("phase"),
        [c for c in status.get("conditions") or () if c.get("type") == "Ready"]
        if document["kind"] == "Pod"
        else None,
    )
