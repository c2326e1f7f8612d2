"""Structural schemas: what an object may say, what is dropped from it, filled in, and refused. Pure.

A schema is a mapping in the words of OpenAPI v3, as CustomResourceDefinitions have it (apiextensions
``pkg/apiserver/schema``). A ``$ref`` names one of the types of ``typed``. Rules in CEL are not evaluated; in
schemas of our own, functions stand for them below ``x-rules``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from safeapply.sandbox.apiserver.schemas.typed import typed
from safeapply.sandbox.apiserver.validation.faults import (
    Fault,
    duplicate,
    invalid_value,
    not_supported,
    required,
    spoken,
    too_long,
    too_many,
)

__all__ = ["Schema", "defaulted", "faults_of_form", "json_type", "pruned", "resolved", "unknown_fields"]

Schema: TypeAlias = Mapping[str, Any]

_ANYTHING: Final = "x-kubernetes-preserve-unknown-fields"
_EITHER: Final = "x-kubernetes-int-or-string"
RULES: Final = "x-rules"
_CEL: Final = "x-kubernetes-validations"
_BLOCKING: Final = frozenset(
    {
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    }
)
"""What keeps rules in CEL from being looked at (apiextensions ``hasBlockingErr``)."""
_UNCHECKED: Final = Fault(
    "<nil>",
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
)
_TYPES: Final[Mapping[type, str]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def pruned(value: Any, schema: Schema) -> Any:  # noqa: ANN401 - any JSON value in, the same kind of value out
    """Return a value without the fields that its schema does not name."""
    schema = resolved(schema)
    match value:
        case dict() if _is_open(schema):
            known = schema.get("properties") or {}
            return {key: pruned(child, known[key]) if key in known else child for key, child in value.items()}
        case dict():
            inner = {key: below for key in value if (below := _below(schema, key)) is not None}
            return {key: pruned(child, inner[key]) for key, child in value.items() if key in inner}
        case list() if "items" in schema:
            return [pruned(child, schema["items"]) for child in value]
        case _:
            return value


def unknown_fields(value: object, schema: Schema, path: str = "") -> Iterator[str]:
    """Yield the paths of the fields that pruning would drop."""
    schema = resolved(schema)
    match value:
        case dict():
            for key, child in value.items():
                below, inner = _below(schema, key), f"{path}.{key}" if path else key
                if below is not None:
                    yield from unknown_fields(child, below, inner)
                elif not _is_open(schema):
                    yield inner
        case list() if "items" in schema:
            for at, child in enumerate(value):
                yield from unknown_fields(child, schema["items"], f"{path}[{at}]")
        case _:
            pass


def defaulted(value: Any, schema: Schema) -> Any:  # noqa: ANN401 - any JSON value in, the same kind of value out
    """Return a value with what its schema fills in where nothing is said."""
    schema = resolved(schema)
    match value:
        case dict():
            known = schema.get("properties") or {}
            filled = {
                key: below["default"] for key, below in known.items() if "default" in below and key not in value
            }
            whole = value | filled
            return {key: defaulted(child, _below(schema, key) or {}) for key, child in whole.items()}
        case list() if "items" in schema:
            return [defaulted(child, schema["items"]) for child in value]
        case _:
            return value


def faults_of_form(value: object, schema: Schema) -> Iterator[Fault]:
    """Yield what a schema has against an object; rules are only looked at where its form is right."""
    faults = list(_faults(value, schema, ""))
    yield from faults
    for fault in faults:
        if 'must be of type integer: "number"' in fault.message:
            what = f"Checked value must be of type integer (default format) in {fault.field}"
            yield Fault("<nil>", f'Invalid value: "": {what}')
    if not _has_rules(schema):
        return
    if any(fault.reason in _BLOCKING for fault in faults):
        yield _UNCHECKED
    else:
        yield from _broken_rules(value, schema, "")


def resolved(schema: Schema) -> Schema:
    """Return a schema, or the one that it refers to."""
    return typed(schema["$ref"]) if "$ref" in schema else schema


def json_type(value: object) -> str:
    """Return how JSON calls the type of a value."""
    return _TYPES.get(type(value), "null")


def _is_wrong(value: object, alternative: Schema) -> bool:
    """Tell whether a value is none of what an alternative allows; most only ask for a field."""
    if isinstance(value, dict) and alternative.keys() == {"required"}:
        return not all(field in value for field in alternative["required"])
    return any(_faults(value, alternative, ""))


def _is_open(schema: Schema) -> bool:
    return bool(schema.get(_ANYTHING)) or not (schema.keys() & {"type", "properties", "additionalProperties"})


def _below(schema: Schema, key: str) -> Schema | None:
    """Return the schema of a field, or None where there is no such field."""
    known: Mapping[str, Schema] = schema.get("properties") or {}
    if key in known:
        return known[key]
    rest = schema.get("additionalProperties")
    if isinstance(rest, dict):
        return rest
    return {_ANYTHING: True} if rest is True or _is_open(schema) else None


def _faults(value: object, schema: Schema, path: str) -> Iterator[Fault]:
    if (wrong := _wrong_type(value, schema, path)) is not None:
        yield wrong
        return
    if "enum" in schema and value not in schema["enum"]:
        yield not_supported(path, value, schema["enum"])
    match value:
        case dict():
            yield from _faults_of_map(value, schema, path)
        case list():
            yield from _faults_of_list(value, schema, path)
        case str():
            yield from _faults_of_text(value, schema, path)
        case int() | float() if not isinstance(value, bool):
            yield from _faults_of_number(value, schema, path)
        case _:
            pass
    if "not" in schema and not _is_wrong(value, schema["not"]):
        yield Fault("<nil>", f'Invalid value: "": "{path}" must not validate the schema (not)')
    if schema.get("anyOf") and all(_is_wrong(value, one) for one in schema["anyOf"]):
        yield Fault("<nil>", f'Invalid value: "": "{path}" must validate at least one schema (anyOf)')
    alternatives = schema.get("oneOf") or []
    fitting = sum(not _is_wrong(value, one) for one in alternatives)
    if alternatives and fitting != 1:
        found = f"Found {fitting} valid alternatives" if fitting else "Found none valid"
        yield Fault("<nil>", f'Invalid value: "": "{path}" must validate one and only one schema (oneOf). {found}')


def _wrong_type(value: object, schema: Schema, path: str) -> Fault | None:
    found, wanted = json_type(value), schema.get("type")
    if schema.get(_EITHER):
        return None if found in {"integer", "string"} else _of_type(path, "integer,string", found)
    if wanted is None or found == wanted or (found, wanted) == ("integer", "number"):
        return None
    if (found, wanted) == ("number", "integer") and isinstance(value, float) and value.is_integer():
        return None
    return _of_type(path, wanted, found)


def _of_type(path: str, wanted: str, found: str) -> Fault:
    message = f'Invalid value: "{found}": {path} in body must be of type {wanted}: "{found}"'
    return Fault(path, message, "FieldValueTypeInvalid")


def _faults_of_map(value: Mapping[str, Any], schema: Schema, path: str) -> Iterator[Fault]:
    yield from (required(_joined(path, key)) for key in schema.get("required") or () if key not in value)
    for key, child in value.items():
        if (below := (schema.get("properties") or {}).get(key)) is not None:
            yield from _faults(child, below, _joined(path, key))
        elif isinstance(rest := schema.get("additionalProperties"), dict):
            yield from _faults(child, rest, _joined(path, key))


def _faults_of_list(value: Sequence[object], schema: Schema, path: str) -> Iterator[Fault]:
    if len(value) > schema.get("maxItems", len(value)):
        yield too_many(path, len(value), schema["maxItems"])
    if len(value) < (least := schema.get("minItems", 0)):
        yield invalid_value(path, len(value), f"{path} in body should have at least {least} items")
    yield from _twins(value, schema, path)
    for at, child in enumerate(value):
        yield from _faults(child, schema.get("items") or {}, f"{path}[{at}]")


def _twins(value: Sequence[Any], schema: Schema, path: str) -> Iterator[Fault]:
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    match schema.get("x-kubernetes-list-type"):
        case "set":
            marks: list[object] = list(value)
        case "map":
            marks = [{key: one.get(key) for key in keys if key in one} for one in value if isinstance(one, dict)]
        case _:
            return
    yield from (duplicate(f"{path}[{at}]", mark) for at, mark in enumerate(marks) if mark in marks[:at])


def _faults_of_text(value: str, schema: Schema, path: str) -> Iterator[Fault]:
    if len(value) > (most := schema.get("maxLength", len(value))):
        yield too_long(path, most)
    if len(value) < (least := schema.get("minLength", 0)):
        yield invalid_value(path, value, f"{path} in body should be at least {least} chars long")
    if "pattern" in schema and re.search(schema["pattern"], value) is None:
        yield invalid_value(path, value, f"{path} in body should match '{schema['pattern']}'")


def _faults_of_number(value: float, schema: Schema, path: str) -> Iterator[Fault]:
    if value < (least := schema.get("minimum", value)):
        yield invalid_value(path, value, f"{path} in body should be greater than or equal to {spoken(least)}")
    if value > (most := schema.get("maximum", value)):
        yield invalid_value(path, value, f"{path} in body should be less than or equal to {spoken(most)}")


def _has_rules(schema: Schema) -> bool:
    children = [*(schema.get("properties") or {}).values(), schema.get("items"), schema.get("additionalProperties")]
    return bool(schema.keys() & {RULES, _CEL}) or any(_has_rules(one) for one in children if isinstance(one, dict))


def _broken_rules(value: object, schema: Schema, path: str) -> Iterator[Fault]:
    for rule, message in schema.get(RULES, ()):
        try:
            holds = rule(value)
        except ValueError as error:
            yield Fault(path, f"Invalid value: {spoken(json_type(value))}: {error} evaluating rule: {message}")
            continue
        if not holds:
            shown = f"{spoken(value)}: " if isinstance(value, str | int) else ""
            yield Fault(path, f"Invalid value: {shown}{message}")
    match value:
        case dict():
            for key, child in value.items():
                known = (schema.get("properties") or {}).get(key)
                if known is not None:
                    yield from _broken_rules(child, known, _joined(path, key))
                elif isinstance(rest := schema.get("additionalProperties"), dict):
                    yield from _broken_rules(child, rest, f"{path}[{key}]")
        case list():
            for at, child in enumerate(value):
                yield from _broken_rules(child, schema.get("items") or {}, f"{path}[{at}]")
        case _:
            pass


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
