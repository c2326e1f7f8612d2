"""The form of Kubernetes' own kinds, from the official client, which is generated from the API's own description.

What Go's decoder says of a value of another type is said here as well. Pure, but for the client being imported when
the first object of such a kind is read: that takes half a second.
"""

from __future__ import annotations

import base64
import binascii
import importlib
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final

from safeapply.sandbox.apiserver.kinds import Kind

__all__ = ["mistyped", "typed", "typed_kind", "without_empty"]

_PLAIN: Final[Mapping[str, Mapping[str, Any]]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "bytes": {"type": "string", "format": "byte"},
    "datetime": {"type": "string", "format": "date-time"},
    "object": {},
}
_EVENTS: Final[Mapping[str, str]] = {"": "CoreV1Event", "events.k8s.io": "EventsV1Event"}
_VERSION: Final = re.compile(
    r"^(Core|Events|Discovery|Admissionregistration|Storage|Authentication)?V\d+((alpha|beta)\d+)?"
)
_GO: Final[Mapping[type, str]] = {
    bool: "bool",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
_GO_TYPES: Final[Mapping[tuple[str, str], str]] = {
    ("integer", ""): "int32",
    ("number", ""): "float64",
    ("boolean", ""): "bool",
    ("string", ""): "string",
    ("string", "date-time"): "string",
    ("string", "byte"): "[]uint8",
}
_KEPT_EMPTY: Final = frozenset({"endpoints", "items", "managedFields", "rules"})
_MICROS: Final = frozenset({"acquireTime", "renewTime", "eventTime"})
"""Times with parts of a second; others may be written without."""
_MICRO: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}(Z|[+-]\d\d:\d\d)")


def typed_kind(kind: Kind, version: str) -> Mapping[str, Any] | None:
    """Return the schema of a built-in kind, or None where the client does not know it."""
    name = _EVENTS.get(kind.group) if kind.name == "Event" else f"{version.capitalize()}{kind.name}"
    return None if kind.custom or name is None or _model(name) is None else typed(name)


@cache
def typed(name: str) -> Mapping[str, Any]:
    """Return the schema of a type of the client: ``V1ObjectMeta``."""
    model = _model(name)
    if model is None:
        return {}
    properties = {model.attribute_map[key]: _schema(of) for key, of in model.openapi_types.items()}
    return {"type": "object", "properties": properties, "x-go": _VERSION.sub("", name)}


def without_empty(value: Any, schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value in, the same out
    """Return a value without its empty lists and maps, which Go leaves out when it writes (``omitempty``)."""
    if "$ref" in schema:
        schema = typed(schema["$ref"])
    match value:
        case dict() if "properties" in schema:
            known = schema["properties"]
            left = {key: child for key, child in value.items() if not _is_omitted(key, child, known.get(key) or {})}
            return {key: without_empty(child, known.get(key) or {}) for key, child in left.items()}
        case list():
            return [without_empty(child, schema.get("items") or {}) for child in value]
        case _:
            return value


def _is_omitted(key: str, value: object, schema: Mapping[str, Any]) -> bool:
    plain = schema.get("type") == "array" or "additionalProperties" in schema
    return plain and value in ([], {}) and key not in _KEPT_EMPTY


def mistyped(value: object, schema: Mapping[str, Any], struct: str = "", path: str = "") -> Iterator[str]:
    """Yield what Go's decoder has against the types of a value."""
    if "$ref" in schema:
        schema = typed(schema["$ref"])
    struct = schema.get("x-go", struct)
    wanted = schema.get("type")
    match value:
        case _ if wanted is None:
            return
        case dict() if wanted == "object":
            for key, child in value.items():
                below, inner = _below(schema, key, path)
                yield from mistyped(child, below, struct, inner)
        case list() if wanted == "array":
            for child in value:
                yield from mistyped(child, schema.get("items") or {}, struct, path)
        case str() if wanted == "string":
            yield from _misread(value, schema.get("format"), path.rpartition(".")[2])
        case _ if not _fits(value, wanted):
            found = _GO[type(value)] if not isinstance(value, float) else f"number {value}"
            yield f"json: cannot unmarshal {found} into Go struct field {struct}.{path} of type {_go_type(schema)}"
        case _:
            pass


def _below(schema: Mapping[str, Any], key: str, path: str) -> tuple[Mapping[str, Any], str]:
    """Return the schema of a field and its path, in which the keys of maps do not stand."""
    known = (schema.get("properties") or {}).get(key)
    if known is not None:
        return known, f"{path}.{key}" if path else key
    rest = schema.get("additionalProperties")
    return (rest, path) if isinstance(rest, dict) else ({}, path)


def _misread(text: str, form: str | None, field: str) -> Iterator[str]:
    if form == "byte":
        try:
            base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            wrong = re.search(r"[^A-Za-z0-9+/]", text)
            yield f"illegal base64 data at input byte {wrong.start() if wrong else len(text)}"
    elif form == "date-time":
        try:
            datetime.fromisoformat(text)
        except ValueError:
            yield _unread_time(text, "2006-01-02T15:04:05Z07:00", text, "2006")
            return
        if field in _MICROS and _MICRO.fullmatch(text) is None:
            yield _unread_time(text, "2006-01-02T15:04:05.000000Z07:00", text[19:], ".000000")


def _unread_time(text: str, layout: str, rest: str, element: str) -> str:
    return f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{element}"'


def _fits(value: object, wanted: str) -> bool:
    if isinstance(value, bool):
        return wanted == "boolean"
    return (wanted == "integer" and isinstance(value, int)) or (
        wanted == "number" and isinstance(value, int | float)
    )


def _go_type(schema: Mapping[str, Any]) -> str:
    plain = _GO_TYPES.get((schema.get("type", ""), schema.get("format", "")))
    if plain is not None:
        return plain
    if schema.get("type") == "array":
        return f"[]{_go_type(schema.get('items') or {})}"
    if isinstance(rest := schema.get("additionalProperties"), dict):
        return f"map[string]{_go_type(rest)}"
    return f"v1.{schema.get('x-go', '')}"


def _schema(of: str) -> Mapping[str, Any]:
    """Return the schema of a type as the client writes it: ``Dict[str, List[V1ObjectReference]]``."""
    if of.startswith("List["):
        return {"type": "array", "items": _schema(of[5:-1])}
    if of.startswith("Dict["):
        return {"type": "object", "additionalProperties": _schema(of.partition(", ")[2][:-1])}
    return _PLAIN.get(of) or {"$ref": of} if of != "object" else {}


@cache
def _model(name: str) -> Any:  # noqa: ANN401 - a class of a client without types
    return getattr(importlib.import_module("kubernetes.client.models"), name, None)
