"""Words to write a schema down with: texts, numbers, records, lists, and the rules that Istio adds in CEL. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

__all__ = [
    "ANYTHING",
    "DURATION",
    "NUMBER",
    "TEXT",
    "UNSIGNED",
    "WHOLE",
    "YES",
    "Shape",
    "at_most_one",
    "choice",
    "listed",
    "mapped",
    "record",
    "ruled",
    "text",
    "texts",
    "whole",
]

Shape: TypeAlias = Mapping[str, Any]

_LARGEST: Final = 2**32 - 1
_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_TERM: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_LEAST: Final = 1e-3

TEXT: Final[Shape] = {"type": "string"}
WHOLE: Final[Shape] = {"type": "integer"}
NUMBER: Final[Shape] = {"type": "number"}
YES: Final[Shape] = {"type": "boolean"}
ANYTHING: Final[Shape] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def text(**limits: object) -> Shape:
    """Return a text with limits: ``minLength``, ``maxLength``, ``pattern``."""
    return {**TEXT, **limits}


def whole(**limits: int) -> Shape:
    """Return a whole number with limits: ``minimum``, ``maximum``."""
    return {**WHOLE, **limits}


UNSIGNED: Final[Shape] = whole(minimum=0, maximum=_LARGEST)


def choice(*words: str) -> Shape:
    """Return a text that is one of some words."""
    return {"type": "string", "enum": words}


def listed(item: Shape, **limits: object) -> Shape:
    """Return a list with limits: ``minItems``, ``maxItems``."""
    return {"type": "array", "items": item, **limits}


texts: Final[Shape] = listed(TEXT)


def mapped(value: Shape, **limits: object) -> Shape:
    """Return a map from texts."""
    return {"type": "object", "additionalProperties": value, **limits}


def record(*required: str, **fields: Shape) -> Shape:
    """Return a map with fields of its own, some of which have to be there."""
    return {"type": "object", "properties": fields} | ({"required": required} if required else {})


def at_most_one(shape: Shape, *fields: str) -> Shape:
    """Return a record in which some fields exclude each other, as protobuf's ``oneof`` becomes."""
    each = [{"required": [field]} for field in fields]
    return {**shape, "oneOf": [{"not": {"anyOf": each}}, *each]}


def ruled(shape: Shape, *rules: tuple[Callable[[Any], bool], str]) -> Shape:
    """Return a shape with rules: what has to hold, and what is said if it does not."""
    return {**shape, "x-rules": rules}


def _is_duration(value: str) -> bool:
    if _TERM.sub("", value) or not value:
        raise ValueError("type conversion error from 'string' to 'google.protobuf.Duration'")
    return sum(float(number) * _UNITS[unit] for number, unit in _TERM.findall(value)) >= _LEAST


DURATION: Final[Shape] = ruled(TEXT, (_is_duration, "must be a valid duration greater than 1ms"))
