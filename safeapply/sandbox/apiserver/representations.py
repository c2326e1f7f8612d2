"""The forms in which objects are answered: as they are, as their metadata, or as rows of a table. Pure.

An object is stored once and answered in the version that is asked for; only its ``apiVersion`` differs, as with
``conversion: None``, which all of Istio's definitions have.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

from safeapply.resources.objects import Document
from safeapply.sandbox.apiserver.kinds import Kind
from safeapply.sandbox.apiserver.paths import Place
from safeapply.sandbox.apiserver.statuses import not_acceptable

__all__ = ["Form", "form_of", "list_of", "list_of_deleted", "one_of"]

_META: Final = "meta.k8s.io/v1"
_UNITS: Final = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_COARSE: Final = {"d": 2 * 86400, "h": 8 * 3600, "m": 600, "s": 0}
"""Ages are told in one unit from these numbers of seconds on."""


_SERVED: Final = (
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "*/*",
    "application/*",
)
"""What is taken for a wish for JSON: kubectl and Go's clients name protobuf first, and JSON after it."""


class Form(Enum):
    """What a client takes."""

    OBJECT = ""
    TABLE = "Table"
    METADATA = "PartialObjectMetadata"


def form_of(accept: str) -> Form:
    """Return the first form in an Accept header that is served; those of other versions are passed over.

    Raises:
        StatusError: 406, where there is none.
    """
    for choice in accept.split(","):
        parameters = dict(part.strip().partition("=")[::2] for part in choice.split(";")[1:])
        if parameters.get("as", "") in {"Table", "PartialObjectMetadata", "PartialObjectMetadataList"}:
            if parameters.get("v") == "v1":
                return Form(parameters["as"].removesuffix("List"))
        elif choice.strip().startswith(_SERVED):
            return Form.OBJECT
    if not accept.strip():
        return Form.OBJECT
    raise not_acceptable(transformed="as=" in accept)


def one_of(place: Place, document: Document, form: Form, now: datetime) -> Mapping[str, Any]:
    """Return one object in a form."""
    match form:
        case Form.OBJECT:
            return _in_version(place, document)
        case Form.METADATA:
            return _metadata(document)
        case Form.TABLE:
            metadata = {"resourceVersion": document["metadata"].get("resourceVersion", "")}
            return _table(place.kind, (document,), metadata, now)


def list_of(
    place: Place, documents: Sequence[Document], metadata: Mapping[str, Any], *, form: Form, now: datetime
) -> Mapping[str, Any]:
    """Return many objects in a form; the metadata says where a watch, or the list itself, may go on."""
    match form:
        case Form.OBJECT:
            items = [_as_item(place, one) for one in documents]
            name = f"{place.kind.name}List"
            return {"kind": name, "apiVersion": place.api_version, "metadata": metadata, "items": items}
        case Form.METADATA:
            name, items = "PartialObjectMetadataList", [_metadata(one) for one in documents]
            return {"kind": name, "apiVersion": _META, "metadata": metadata, "items": items or None}
        case Form.TABLE:
            return _table(place.kind, documents, metadata, now)


def list_of_deleted(place: Place, documents: Sequence[Document], version: int) -> Mapping[str, Any]:
    """Return what was in a collection that is deleted; its metadata says nothing but the version."""
    name, items = f"{place.kind.name}List", [_as_item(place, one) for one in documents]
    metadata = {"resourceVersion": str(version)}
    return {"kind": name, "apiVersion": place.api_version, "metadata": metadata, "items": items}


def _as_item(place: Place, document: Document) -> Mapping[str, Any]:
    """Return an object as an item of a list, which says of built-in kinds only once what they are."""
    if place.kind.custom:
        return _in_version(place, document)
    return {key: value for key, value in document.items() if key not in {"apiVersion", "kind"}}


def _in_version(place: Place, document: Document) -> Mapping[str, Any]:
    if document["apiVersion"] == place.api_version:
        return document
    return {**document, "apiVersion": place.api_version}


def _metadata(document: Document) -> Mapping[str, Any]:
    return {"kind": "PartialObjectMetadata", "apiVersion": _META, "metadata": document["metadata"]}


def _table(
    kind: Kind, documents: Sequence[Document], metadata: Mapping[str, Any], now: datetime
) -> Mapping[str, Any]:
    headings = ["Name", *(name for name, _ in kind.columns), "Age"]
    formats = {"Name": "name"}
    types = {"Age": "date"} if kind.custom else {}
    columns = [
        {
            "name": name,
            "type": types.get(name, "string"),
            "format": formats.get(name, ""),
            "description": "",
            "priority": 0,
        }
        for name in headings
    ]
    rows = [{"cells": _cells(kind, one, now), "object": _metadata(one)} for one in documents]
    return {
        "kind": "Table",
        "apiVersion": _META,
        "metadata": metadata,
        "columnDefinitions": columns,
        "rows": rows,
    }


def _cells(kind: Kind, document: Document, now: datetime) -> list[str | None]:
    spoken: Callable[[Any], str | None] = _as_json if kind.custom else _as_text
    fields = [spoken(_field(document, path.split("."))) for _, path in kind.columns]
    return [document["metadata"]["name"], *fields, _age(document["metadata"].get("creationTimestamp"), now)]


def _field(node: Any, path: Sequence[str]) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(node, list) and path:
        return [_field(item, path) for item in node]
    if not path or not isinstance(node, Mapping):
        return node if not path else None
    return _field(node.get(path[0]), path[1:])


def _as_json(value: object) -> str | None:
    if value is None:
        return None
    return json.dumps(value, separators=(",", ":")) if isinstance(value, (list, dict)) else _as_text(value)


def _as_text(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


def _age(created: str | None, now: datetime) -> str:
    """Return an age as kubectl prints it: ``45s``, ``3m20s``, ``5h``."""
    if not created:
        return "<unknown>"
    seconds = max(
        0, int((now - datetime.strptime(created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)).total_seconds())
    )
    if seconds < 2 * 60:
        return f"{seconds}s"
    place = next(at for at, (_, size) in enumerate(_UNITS) if seconds >= size)
    unit, size = _UNITS[place]
    smaller, size_below = _UNITS[place + 1]
    rest = seconds % size // size_below
    return f"{seconds // size}{unit}" + (f"{rest}{smaller}" if rest and seconds < _COARSE[unit] else "")
