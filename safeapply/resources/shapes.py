"""Holds a document against its typed fields and tells every mismatch, not only the first.

msgspec says in one fast call whether there is any; only then is the document walked along msgspec's own
description of the types.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

from safeapply.resources.objects import FieldPath
from safeapply.resources.schema import Manifest

__all__ = ["mismatches"]

_TYPES: dict[type[inspect.Type], tuple[type, ...]] = {
    inspect.StrType: (str,),
    inspect.IntType: (int,),
    inspect.FloatType: (int, float),
    inspect.ListType: (list,),
    inspect.DictType: (dict,),
    inspect.StructType: (dict,),
    inspect.NoneType: (type(None),),
    inspect.LiteralType: (str,),
}
_WORDS = {dict: "mapping", list: "list", type(None): "null"}
"""What YAML's users call a type, where Python has another word."""


def mismatches(value: object, model: type[Manifest]) -> Iterator[tuple[FieldPath, str]]:
    """Yield every field of a wrong type, and every required one that is missing, with what is wrong."""
    try:
        msgspec.convert(value, model)
    except msgspec.ValidationError:
        yield from _walk(value, _described(model), "")


@cache
def _described(model: type[Manifest]) -> inspect.Type:
    return inspect.type_info(model)


def _walk(value: Any, wanted: inspect.Type, path: str) -> Iterator[tuple[FieldPath, str]]:  # noqa: ANN401
    """Go down as long as the shapes agree."""
    option = next((option for option in _options(wanted) if _accepts(option, value)), None)
    match option:
        case None:
            what = f"expected {_named(wanted)}, got {_shown(value)}{_advice(value, wanted)}"
            yield FieldPath(path), what
        case inspect.StructType():
            yield from _fields(value, option, path)
        case inspect.DictType(key_type=named, value_type=below):
            yield from _keys(value, named, path)
            for key, item in value.items():
                yield from _walk(item, below, _under(path, key))
        case inspect.ListType(item_type=below):
            for index, item in enumerate(value):
                yield from _walk(item, below, f"{path}[{index}]")
        case _:
            return


def _keys(value: Mapping[str, Any], wanted: inspect.Type, path: str) -> Iterator[tuple[FieldPath, str]]:
    """Tell the keys that are not of the form that the field asks for, where it asks for one."""
    if not isinstance(wanted, inspect.Metadata) or not isinstance(wanted.type, inspect.StrType):
        return
    title = (wanted.extra_json_schema or {}).get("title", "text")
    for key in value:
        if not re.search(wanted.type.pattern or "", key):
            yield FieldPath(_under(path, key)), f'expected a {title} as the key, got "{key[:40]}"'


def _fields(value: Mapping[str, Any], struct: inspect.StructType, path: str) -> Iterator[tuple[FieldPath, str]]:
    for field in struct.fields:
        if field.encode_name in value:
            yield from _walk(value[field.encode_name], field.type, _under(path, field.encode_name))
        elif field.required:
            yield FieldPath(path), f"the field {field.encode_name} is missing"


def _options(wanted: inspect.Type) -> tuple[inspect.Type, ...]:
    return wanted.types if isinstance(wanted, inspect.UnionType) else (wanted,)


def _accepts(wanted: inspect.Type, value: object) -> bool:
    """Tell whether the outermost shape is right; exactly, for a bool is no int here."""
    if isinstance(wanted, inspect.LiteralType):
        return value in wanted.values
    kind = type(value)
    return kind in _TYPES.get(type(wanted), (kind,))


def _under(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _named(wanted: inspect.Type) -> str:
    """Name a type as YAML's users do; that null will do goes without saying."""
    return " or ".join(
        " or ".join(map(str, option.values))
        if isinstance(option, inspect.LiteralType)
        else _word(_TYPES[type(option)][-1])
        for option in _options(wanted)
        if not isinstance(option, inspect.NoneType)
    )


def _word(kind: type) -> str:
    return _WORDS.get(kind, kind.__name__)


def _shown(value: object) -> str:
    word = _word(type(value))
    match value:
        case str():
            return f'{word} "{value[:40]}"'
        case bool():
            return f"{word} {str(value).lower()}"
        case int() | float():
            return f"{word} {value}"
        case _:
            return word


def _advice(value: object, wanted: inspect.Type) -> str:
    name = _named(wanted)
    if "str" in name and isinstance(value, (bool, int, float)):
        return "; quote it"
    if name in {"int", "float"} and isinstance(value, str):
        return "; remove the quotes" if value.strip().lstrip("-").isdigit() else ""
    if name == "list" and isinstance(value, (str, dict)):
        return '; begin it with "- "'
    return ""
