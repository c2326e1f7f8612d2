"""What PeerAuthentications make of a workload's ports (ISTIO.md 6.1). Pure.

Written from Istio's ``ComposePeerAuthentication``, apart from the planner's reading of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from safeapply.resources.objects import Document
from safeapply.sandbox.controlplane.translation.metadata import ROOT_NAMESPACE, age, labels_match, namespace_of

__all__ = ["Authentication", "Mode"]

UNSET = "UNSET"


class Mode(Enum):
    """What a port accepts."""

    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"
    DISABLE = "DISABLE"


@dataclass(frozen=True, slots=True)
class _Policy:
    """One PeerAuthentication; None is what it leaves to a wider one."""

    selector: Mapping[str, str]
    mode: Mode | None
    ports: Mapping[int, Mode | None]


class Authentication:
    """All PeerAuthentications, oldest first in each namespace."""

    def __init__(self, documents: Iterable[Document]) -> None:
        self._whole: dict[str, Mode | None] = {}
        """What the oldest policy without a selector says for its namespace; the root's is the mesh's."""
        self._selecting: defaultdict[str, list[_Policy]] = defaultdict(list)
        for document in sorted(documents, key=age):
            namespace, policy = namespace_of(document), _policy(document.get("spec") or {})
            if not policy.selector:
                self._whole.setdefault(namespace, policy.mode)
            elif namespace != ROOT_NAMESPACE:  # there istiod ignores those that select
                self._selecting[namespace].append(policy)

    def of_namespace(self, namespace: str) -> Mode:
        """Return what holds for a namespace where no workload is looked at."""
        return self._whole.get(namespace) or self._whole.get(ROOT_NAMESPACE) or Mode.PERMISSIVE

    def of_workload(self, namespace: str, labels: Mapping[str, str], port: int) -> Mode:
        """Return what a workload accepts on one of its own ports."""
        for policy in self._selecting.get(namespace, ()):
            if labels_match(policy.selector, labels):
                return policy.ports.get(port) or policy.mode or self.of_namespace(namespace)
        return self.of_namespace(namespace)

    def labels_read(self) -> frozenset[str]:
        """Return the labels by which some policy selects."""
        return frozenset(key for several in self._selecting.values() for one in several for key in one.selector)


def _policy(spec: Document) -> _Policy:
    ports = {int(number): _mode(said) for number, said in (spec.get("portLevelMtls") or {}).items()}
    return _Policy((spec.get("selector") or {}).get("matchLabels") or {}, _mode(spec.get("mtls")), ports)


def _mode(mtls: Document | None) -> Mode | None:
    """Return what is said, or None; a mode that is not written is the first of the enumeration: UNSET."""
    said = (mtls or {}).get("mode") or UNSET
    return None if said == UNSET else Mode(said)
