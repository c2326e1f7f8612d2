"""The form that an object has to have, whatever its kind: what is dropped from it, and what is refused. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from safeapply.resources.objects import GroupKind
from safeapply.sandbox.apiserver.kinds import Kind
from safeapply.sandbox.apiserver.schemas.gateway_api import GATEWAY_API_SCHEMAS
from safeapply.sandbox.apiserver.schemas.istio import ISTIO_SCHEMAS
from safeapply.sandbox.apiserver.schemas.structural import (
    Schema,
    defaulted,
    faults_of_form,
    json_type,
    pruned,
    resolved,
    unknown_fields,
)
from safeapply.sandbox.apiserver.schemas.typed import mistyped, typed, typed_kind, without_empty
from safeapply.sandbox.apiserver.validation.faults import Fault

__all__ = ["MisshapenError", "check_applied", "emptied", "faults_of_content", "shaped", "with_zeros"]

_IDENTITY: Final = frozenset({"apiVersion", "kind", "metadata"})
_OURS: Final[Mapping[GroupKind, Schema]] = {**ISTIO_SCHEMAS, **GATEWAY_API_SCHEMAS}
_META: Final = "V1ObjectMeta"
_NUMERIC: Final = frozenset({"integer", "number"})


class MisshapenError(Exception):
    """An object cannot be read as its kind, in the words of Go's decoder."""


def shaped(kind: Kind, version: str, document: dict[str, Any], *, strict: bool = False) -> dict[str, Any]:
    """Return a document with only the fields that its kind has.

    Raises:
        MisshapenError: a field has another type; or, with ``strict``, there is no such field.
    """
    schema = _schema_of(kind, version)
    if kind.custom:
        _refuse(mistyped(document["metadata"], typed(_META)))
    else:
        _refuse(mistyped(document, schema))
    whole = _whole(schema) if kind.custom else schema
    if strict and (unknown := list(unknown_fields(document, whole))):
        listed = ", ".join(f'unknown field "{field}"' for field in unknown)
        raise MisshapenError(f"strict decoding error: {listed}")
    result: dict[str, Any] = pruned(document, whole)
    return emptied(kind, version, defaulted(result, whole) if kind.custom else result)


def emptied(kind: Kind, version: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return a document without the empty lists and maps that are left out when it is written."""
    if kind.custom:
        return {**document, "metadata": without_empty(document["metadata"], typed(_META))}
    result: dict[str, Any] = without_empty(document, _schema_of(kind, version))
    return result


def with_zeros(kind: Kind, version: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a document with an empty text for each null in a map of texts, as Go reads it."""
    if kind.custom:
        return document
    texts = [key for key, of in _content_of(_schema_of(kind, version)).items() if _holds_texts(of)]
    zeros = {
        key: {name: "" if text is None else text for name, text in document[key].items()}
        for key in texts
        if isinstance(document.get(key), dict)
    }
    return {**document, **zeros}


def faults_of_content(kind: Kind, version: str, document: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what the definition of a custom kind has against an object."""
    schema = _schema_of(kind, version)
    if kind.custom and schema:
        yield from faults_of_form({key: value for key, value in document.items() if key not in _IDENTITY}, schema)


def check_applied(kind: Kind, version: str, document: Mapping[str, Any]) -> None:
    """Let pass what can be applied: there, an unknown field is an error.

    Raises:
        MisshapenError: a field has another type, is unknown, or an item of a list is there twice.
    """
    schema = _schema_of(kind, version)
    if not schema:
        return
    whole = _whole(schema)
    _refuse(_unapplicable(document, whole, "", kind))


def _schema_of(kind: Kind, version: str) -> Schema:
    if kind.custom:
        return kind.schemas.get(version) or _OURS.get(kind.group_kind) or {}
    return typed_kind(kind, version) or {}


def _holds_texts(schema: Schema) -> bool:
    inner = schema.get("additionalProperties")
    return isinstance(inner, dict) and inner.get("type") == "string"


def _content_of(schema: Schema) -> Schema:
    return {key: value for key, value in (schema.get("properties") or {}).items() if key not in _IDENTITY}


def _whole(schema: Schema) -> Schema:
    """Return the schema of an object with its identity and metadata, of which definitions need not speak."""
    if not schema:
        return {}
    text = {"type": "string"}
    identity = {"apiVersion": text, "kind": text, "metadata": {"$ref": _META}}
    return {"type": "object", "properties": {**identity, **_content_of(schema)}}


def _refuse(faults: Iterator[str]) -> None:
    for fault in faults:
        raise MisshapenError(fault)


def _unapplicable(value: Any, schema: Schema, path: str, kind: Kind) -> Iterator[str]:  # noqa: ANN401 - any JSON
    schema = resolved(schema)
    wanted, found = schema.get("type"), json_type(value)
    if wanted is None or schema.get("x-kubernetes-int-or-string"):
        return
    if found != wanted and not {found, wanted} <= _NUMERIC:
        yield f"{path}: {_expected(wanted, value)}"
        return
    match value:
        case dict():
            rest = schema.get("additionalProperties")
            for name, child in value.items():
                below = (schema.get("properties") or {}).get(name, rest)
                if below is None and not schema.get("x-kubernetes-preserve-unknown-fields"):
                    yield f"{path}.{name}: field not declared in schema"
                elif isinstance(below, dict):
                    yield from _unapplicable(child, below, f"{path}.{name}", kind)
        case list():
            yield from _unapplicable_items(value, schema, path, kind)
        case _:
            pass


def _unapplicable_items(value: list[Any], schema: Schema, path: str, kind: Kind) -> Iterator[str]:
    keys = kind.lists.get(path.rpartition(".")[2])
    marks = [_mark(item, keys) if keys is not None else str(at) for at, item in enumerate(value)]
    for at, item in enumerate(value):
        if keys is not None and marks[at] in marks[:at]:
            yield f"{path}: duplicate entries for key [{marks[at]}]"
            return
        yield from _unapplicable(item, schema.get("items") or {}, f"{path}[{marks[at]}]", kind)


def _mark(item: Any, keys: tuple[str, ...]) -> str:  # noqa: ANN401 - any JSON value
    if not keys or not isinstance(item, dict):
        return f"={_quoted(item)}"
    shown = {key: item.get(key, "TCP" if key == "protocol" else None) for key in keys}
    return ",".join(f"{key}={_quoted(value)}" for key, value in shown.items() if value is not None)


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _expected(wanted: str, value: object) -> str:
    got = {"string": "string", "array": "list", "object": "map"}.get(json_type(value))
    match wanted:
        case "string":
            return f"expected string, got &value.valueUnstructured{{Value:{value}}}"
        case "array":
            return f"expected list, got &{{{value}}}"
        case "object":
            return f"expected map, got &{{{value}}}"
        case "boolean":
            return f"expected boolean, got {got or value}"
        case _:
            return f"expected numeric (int or float), got {got or value}"
