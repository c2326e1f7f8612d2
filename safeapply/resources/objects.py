"""A Kubernetes object as a value: who it is, what it says, and where it was read.

Identity is group, kind, namespace and name, never the version: ``v1alpha3``, ``v1beta1`` and ``v1`` of one
VirtualService are one object (cli-utils ``pkg/object`` keeps the version out for the same reason).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NewType, TypeAlias

__all__ = ["Document", "FieldPath", "GroupKind", "Namespace", "Origin", "Resource", "ResourceId"]

Namespace = NewType("Namespace", str)
"""The name of a Kubernetes namespace; empty for cluster-scoped objects."""

FieldPath = NewType("FieldPath", str)
"""A field inside a manifest as users write it: ``spec.http[0].route[1].destination.subset``."""

Document: TypeAlias = Mapping[str, Any]
"""The JSON object of one manifest, as on the wire. Read it; never change it in place."""


@dataclass(frozen=True, slots=True, order=True)
class GroupKind:
    """A kind of object, whatever the version: ``VirtualService.networking.istio.io``."""

    group: str
    kind: str

    def __str__(self) -> str:
        """Return kubectl's ``kind.group`` in lower case; the core group has no suffix."""
        return f"{self.kind}.{self.group}".lower() if self.group else self.kind.lower()


@dataclass(frozen=True, slots=True, order=True)
class ResourceId:
    """The identity of one object in one mesh."""

    group: str
    kind: str
    namespace: Namespace
    name: str
    cluster: str = ""
    """Which cluster it stands in, where a mesh has several; empty in the one that holds the configuration."""

    @property
    def group_kind(self) -> GroupKind:
        """The kind that this object is of."""
        return GroupKind(self.group, self.kind)

    def __str__(self) -> str:
        """Return ``destinationrule.networking.istio.io/default/reviews``; of another cluster that, too."""
        parts = (str(self.group_kind), self.namespace, self.name)
        told = "/".join(part for part in parts if part)
        return f"{told} in {self.cluster}" if self.cluster else told


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a manifest was read, so that a sentence about it can say file and line."""

    file: str
    line: int
    """1-based line on which the document starts."""
    field_lines: Mapping[FieldPath, int] = field(default_factory=dict, compare=False, hash=False)
    """1-based line of each field that has one."""

    def line_of(self, path: FieldPath) -> int:
        """Return the line of a field, or of the nearest enclosing field that has one."""
        while path:
            if path in self.field_lines:
                return self.field_lines[path]
            path = FieldPath(path[: max(path.rfind("."), path.rfind("["), 0)])
        return self.line


@dataclass(frozen=True, slots=True)
class Resource:
    """One object: its identity and its whole document (live ones carry uid and resourceVersion)."""

    id: ResourceId
    document: Document = field(hash=False)
    origin: Origin | None = field(default=None, compare=False)

    @property
    def api_version(self) -> str:
        """``group/version`` as the document says it."""
        return str(self.document["apiVersion"])

    @property
    def metadata(self) -> Document:
        """``metadata``, empty if absent."""
        return _mapping(self.document.get("metadata"))

    @property
    def spec(self) -> Document:
        """``spec``, empty if absent."""
        return _mapping(self.document.get("spec"))

    @property
    def labels(self) -> Mapping[str, str]:
        """``metadata.labels``, empty if absent."""
        return _mapping(self.metadata.get("labels"))

    @property
    def annotations(self) -> Mapping[str, str]:
        """``metadata.annotations``, empty if absent."""
        return _mapping(self.metadata.get("annotations"))

    @property
    def resource_version(self) -> str:
        """``metadata.resourceVersion``; empty for a manifest that was never written."""
        return str(self.metadata.get("resourceVersion", ""))

    @property
    def created(self) -> str:
        """``metadata.creationTimestamp`` (RFC 3339, so text order is time order); empty if absent."""
        return str(self.metadata.get("creationTimestamp") or "")


def _mapping(value: object) -> Document:
    return value if isinstance(value, Mapping) else {}
