"""Which objects a list or a watch is about: label selectors, field selectors, a namespace. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from safeapply.resources.objects import Document, GroupKind, Namespace
from safeapply.sandbox.apiserver.events import CORE_EVENT, EVENT
from safeapply.sandbox.apiserver.kinds import POD, Kind
from safeapply.sandbox.apiserver.statuses import bad_request

__all__ = ["Selection", "selection_of"]

_Test: TypeAlias = Callable[[Document], bool]

_FIELDS: Final = frozenset({"metadata.name", "metadata.namespace"})
_OBJECT: Final = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_FIELDS_OF: Final[Mapping[GroupKind, frozenset[str]]] = {
    POD: frozenset({"spec.nodeName", "spec.serviceAccountName", "status.phase", "status.podIP"}),
    GroupKind("", "Secret"): frozenset({"type"}),
    CORE_EVENT: frozenset({*(f"involvedObject.{key}" for key in _OBJECT), "reason", "reportingComponent", "type"}),
    EVENT: frozenset({*(f"regarding.{key}" for key in _OBJECT), "reason", "reportingController", "type"}),
}
"""Besides those of every kind: ``conversion.go`` in kubernetes ``pkg/apis/core/v1`` and ``pkg/apis/events/v1``."""

_COMMA_OUTSIDE_SETS: Final = re.compile(r",(?![^(]*\))")
_EQUAL: Final = re.compile(r"([^\s!=]+)\s*(==?|!=)\s*([^\s!=]*)")
_SET: Final = re.compile(r"(\S+)\s+(in|notin)\s*\(([^)]*)\)")
_PRESENCE: Final = re.compile(r"(!?)\s*([^\s!=,()]+)")


@dataclass(frozen=True, slots=True)
class Selection:
    """The objects that a request is about."""

    namespace: Namespace | None
    tests: tuple[_Test, ...] = ()

    def holds(self, document: Document) -> bool:
        """Tell whether an object is among them."""
        if self.namespace is not None and document["metadata"].get("namespace") != self.namespace:
            return False
        return all(test(document) for test in self.tests)


def selection_of(kind: Kind, namespace: str, query: Mapping[str, str]) -> Selection:
    """Return what the query's ``labelSelector`` and ``fieldSelector`` select in a namespace, or in all.

    Raises:
        StatusError: 400, where a selector cannot be read.
    """
    labels = [part.strip() for part in _COMMA_OUTSIDE_SETS.split(query.get("labelSelector", ""))]
    fields = [part.strip() for part in query.get("fieldSelector", "").split(",")]
    tests = [_label_test(part) for part in labels if part] + [_field_test(part, kind) for part in fields if part]
    return Selection(Namespace(namespace) if namespace and kind.namespaced else None, tuple(tests))


def _label_test(text: str) -> _Test:
    if found := _SET.fullmatch(text):
        key, operator, values = found[1], found[2], {value.strip() for value in found[3].split(",")}
        return lambda document: (_labels(document).get(key) in values) == (operator == "in")
    if found := _EQUAL.fullmatch(text):
        key, operator, value = found.groups()
        return lambda document: (_labels(document).get(key) == value) == (operator != "!=")
    if found := _PRESENCE.fullmatch(text):
        absent, key = bool(found[1]), found[2]
        return lambda document: (key in _labels(document)) != absent
    raise bad_request(f"unable to parse requirement: {_unread(text)}")


def _field_test(text: str, kind: Kind) -> _Test:
    found = _EQUAL.fullmatch(text)
    if found is None:
        raise bad_request(f"invalid selector: '{text}'; can't understand '{text}'")
    path, operator, value = found.groups()
    if path not in _FIELDS and path not in _FIELDS_OF.get(kind.group_kind, ()):
        raise bad_request(_unsupported(path, kind))
    return lambda document: (_field(document, path) == value) == (operator != "!=")


def _unread(text: str) -> str:
    """Say where a requirement stops being one."""
    _, second, *rest = [*re.split(r"[\s=!]+", text), "", ""]
    if second in {"in", "notin"}:
        return f"found '{rest[0]}' expected: '('"
    return f"found '{second or text}', expected: in, notin, =, ==, !=, gt, lt"


def _unsupported(path: str, kind: Kind) -> str:
    if kind.custom or kind.group_kind in _FIELDS_OF:
        return f"field label not supported: {path}"
    return f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'


def _labels(document: Document) -> Mapping[str, str]:
    return document["metadata"].get("labels") or {}


def _field(document: Document, path: str) -> str:
    node: object = document
    for key in path.split("."):
        node = node.get(key) if isinstance(node, Mapping) else None
    return "" if node is None else str(node)
