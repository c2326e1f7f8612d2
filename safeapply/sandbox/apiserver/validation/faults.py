"""What is wrong with a field, in the words of Kubernetes (``apimachinery/pkg/util/validation/field``). Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = [
    "IMMUTABLE",
    "Fault",
    "duplicate",
    "forbidden_field",
    "invalid_value",
    "not_supported",
    "required",
    "spoken",
    "too_long",
    "too_many",
]

IMMUTABLE: Final = "field is immutable"


@dataclass(frozen=True, slots=True)
class Fault:
    """One field that cannot be as it is."""

    field: str
    """Its path: ``spec.ports[0].name``."""
    message: str
    reason: str = "FieldValueInvalid"
    """One of the reasons of a ``StatusCause``."""


def invalid_value(field: str, value: object, why: str) -> Fault:
    """Say that a value is not allowed, and why."""
    return Fault(field, f"Invalid value: {spoken(value)}: {why}")


def required(field: str, why: str = "") -> Fault:
    """Say that a value is missing."""
    return Fault(field, f"Required value: {why}" if why else "Required value", "FieldValueRequired")


def duplicate(field: str, value: object) -> Fault:
    """Say that a value may be there once."""
    return Fault(field, f"Duplicate value: {spoken(value)}", "FieldValueDuplicate")


def forbidden_field(field: str, why: str) -> Fault:
    """Say that a field may not be set, or not be changed."""
    return Fault(field, f"Forbidden: {why}", "FieldValueForbidden")


def not_supported(field: str, value: object, supported: Iterable[str]) -> Fault:
    """Say that a value is none of those that there are."""
    listed = ", ".join(map(spoken, supported))
    return Fault(field, f"Unsupported value: {spoken(value)}: supported values: {listed}", "FieldValueNotSupported")


def too_long(field: str, most: int) -> Fault:
    """Say that a text has too many bytes."""
    return Fault(field, f"Too long: may not be more than {most} bytes", "FieldValueTooLong")


def too_many(field: str, count: int, most: int) -> Fault:
    """Say that a list has too many items."""
    return Fault(field, f"Too many: {count}: must have at most {most} items", "FieldValueTooMany")


def spoken(value: object) -> str:
    """Return a value as messages have it: JSON without blanks."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
