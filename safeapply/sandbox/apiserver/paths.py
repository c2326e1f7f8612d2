"""The paths of the API: which kind, namespace, object and subresource a URL is about. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from safeapply.resources.objects import Namespace, ResourceId
from safeapply.sandbox.apiserver.kinds import Kind
from safeapply.sandbox.apiserver.registry import Kinds

__all__ = ["Place", "place_of"]

_OF_NAMESPACES: Final = frozenset({"status", "finalize"})
"""What may follow a namespace's name without being the resource of an object inside it."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a path leads to: one object, or all of a kind where there is no name."""

    kind: Kind
    version: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def api_version(self) -> str:
        """``group/version`` as the path has it."""
        return self.kind.api_version(self.version)

    @property
    def id(self) -> ResourceId:
        """The identity of the object, or of no object in the namespace."""
        return ResourceId(self.kind.group, self.kind.name, Namespace(self.namespace), self.name)


def place_of(kinds: Kinds, path: str) -> Place | None:
    """Return where a path leads, or None where nothing is served."""
    match path.strip("/").split("/"):
        case ["api", version, *rest]:
            group = ""
        case ["apis", group, version, *rest]:
            pass
        case _:
            return None
    namespace = ""
    match rest:
        case ["namespaces", within, plural, *_] if group or plural not in _OF_NAMESPACES:
            namespace, rest = within, rest[2:]
        case _:
            pass
    if not 1 <= len(rest) <= 3 or not all(rest):  # noqa: PLR2004 - resource, name, subresource
        return None
    kind = kinds.served(group, version, rest[0])
    if kind is None or (namespace and not kind.namespaced):
        return None
    if kind.namespaced and len(rest) > 1 and not namespace:
        return None
    return Place(kind, version, namespace, *rest[1:])
