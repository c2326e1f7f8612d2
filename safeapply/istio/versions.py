"""The versions of every object that a proxy may see, and the part of them that one revision's istiods read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from safeapply.istio.kinds import Declaration
from safeapply.istio.revisions import Revision
from safeapply.resources.objects import ResourceId

__all__ = ["Declarations", "Readable", "Versions"]

Versions: TypeAlias = tuple[Declaration | None, ...]
Declarations: TypeAlias = Mapping[ResourceId, Versions]


@dataclass(frozen=True, slots=True)
class Readable(Declarations):
    """The versions of every object, where those for other revisions are absent; a view, not a copy."""

    versions: Declarations
    hidden: frozenset[Revision]
    """The revisions whose objects are not read."""

    def __getitem__(self, one: ResourceId) -> Versions:
        """Return what is read of an object, each version once."""
        several = self.versions[one]
        return tuple(dict.fromkeys(None if v is None or v.revision in self.hidden else v for v in several))

    def __iter__(self) -> Iterator[ResourceId]:
        """Iterate over the objects, hidden ones too."""
        return iter(self.versions)

    def __len__(self) -> int:
        """Return how many objects there are, hidden ones too."""
        return len(self.versions)
