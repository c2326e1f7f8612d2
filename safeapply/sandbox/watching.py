"""What the API server tells those who watch it; the control plane and the kubelet stand-in listen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from safeapply.resources.objects import Document, ResourceId

__all__ = ["Listener", "WatchEvent", "WatchType"]


class WatchType(Enum):
    """The types of a Kubernetes watch event."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One committed write."""

    type: WatchType
    id: ResourceId
    document: Document
    """The object after the write; for DELETED, as it last was."""
    resource_version: int
    at: float
    """Seconds on the monotonic clock at which the write was committed."""


Listener: TypeAlias = Callable[[WatchEvent], None]
"""Called in the event loop, in order of resource versions, once for each committed write."""
