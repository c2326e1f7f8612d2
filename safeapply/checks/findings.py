"""One thing that is wrong at rest: where it stands, what it does to which request, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from safeapply.resources.objects import FieldPath, Resource, ResourceId

__all__ = ["Finding", "Severity", "placed"]


class Severity(Enum):
    """How bad it is: measured by requests, not by style."""

    ERROR = "error"
    """Some request fails, or what should answer it is not there."""
    WARNING = "warning"
    """What is written does not do what it says; requests go elsewhere, or lose what nobody waits for."""
    INFO = "info"
    """Worth knowing, and harmless as things stand."""

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding, about one field of one object."""

    code: str
    """Istio's own where ``istioctl analyze`` knows the same; ``SA`` and a number where nobody else looks."""
    severity: Severity
    object: ResourceId
    field: FieldPath
    effect: str
    """One sentence: what will happen to which request."""
    remedy: str
    """One sentence: what to do."""
    about: str
    """What tells it from other findings of its code on its object, and stays when rules move up or down."""
    proxies: str = ""
    """The classes of proxies concerned, where not all are."""
    file: str = ""
    line: int = 0
    """1-based; 0 where the object was not read from a file."""

    @property
    def key(self) -> tuple[str, ResourceId, str]:
        """The same for the same finding in two states of a mesh."""
        return (self.code, self.object, self.about)

    @property
    def place(self) -> str:
        """``file:line``, or nothing for an object of the cluster."""
        return f"{self.file}:{self.line}" if self.file else ""


def placed(findings: Iterable[Finding], resources: Mapping[ResourceId, Resource]) -> tuple[Finding, ...]:
    """Return findings with file and line, the worst first, then as they stand in the files."""
    found = [_placed(one, resources.get(one.object)) for one in findings]
    return tuple(sorted(found, key=_order))


def _placed(one: Finding, resource: Resource | None) -> Finding:
    origin = resource.origin if resource else None
    return replace(one, file=origin.file, line=origin.line_of(one.field)) if origin else one


def _order(one: Finding) -> tuple[int, str, int, ResourceId, str, str]:
    return (one.severity.rank, one.file, one.line, one.object, one.code, one.about)
