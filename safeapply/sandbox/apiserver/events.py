"""Kubernetes Events, which two groups serve: what is written by the names of one is read by those of the other.

The real server keeps one object and converts it (kubernetes ``pkg/apis/events/v1/conversion.go``). Here each group
has its own, and a write to one is followed by the same write to the other, under the next version.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from safeapply.resources.objects import Document, GroupKind
from safeapply.sandbox.apiserver.ledger import Ledger
from safeapply.sandbox.watching import WatchEvent, WatchType

__all__ = ["CORE_EVENT", "EVENT", "keep_twins"]

CORE_EVENT: Final = GroupKind("", "Event")
EVENT: Final = GroupKind("events.k8s.io", "Event")
_TWINS: Final = {CORE_EVENT: EVENT, EVENT: CORE_EVENT}
_API_VERSIONS: Final = {CORE_EVENT: "v1", EVENT: "events.k8s.io/v1"}
_OLD_NAMES: Final = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
"""From the fields of ``events.k8s.io/v1`` to those of ``v1``; all others have the same name in both."""
_NAMES: Final = {CORE_EVENT: _OLD_NAMES, EVENT: {old: new for new, old in _OLD_NAMES.items()}}


def keep_twins(ledger: Ledger) -> None:
    """Let every write of an Event in one group be followed by that of its twin in the other."""

    def follow(event: WatchEvent) -> None:
        if (group_kind := _TWINS.get(event.id.group_kind)) is None:
            return
        one = replace(event.id, group=group_kind.group)
        document, live = _twin(event.document, group_kind), ledger.get(one)
        if event.type is WatchType.DELETED:
            if live is not None:
                ledger.commit(event.type, one, document)
        elif live is None or _content(live) != _content(document):
            ledger.commit(event.type, one, document)

    ledger.listen(follow)


def _twin(document: Document, group_kind: GroupKind) -> dict[str, Any]:
    names = _NAMES[group_kind]
    renamed = {names.get(key, key): value for key, value in document.items()}
    return renamed | {"apiVersion": _API_VERSIONS[group_kind]}


def _content(document: Document) -> dict[str, Any]:
    """Return an Event without its version, which tells twins apart."""
    metadata = {key: value for key, value in document["metadata"].items() if key != "resourceVersion"}
    return {**document, "metadata": metadata}
