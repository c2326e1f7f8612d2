"""What a plain YAML scalar means to kubectl, which is not quite what it means to PyYAML.

kubectl reads by ``sigs.k8s.io/yaml``, a YAML 1.1 reader with Go's habits: ``y`` and ``off`` are booleans, ``010``
is eight, ``1:30`` and ``2001-01-01`` stay text, and ``50.0`` becomes the JSON number 50. Every line of the table in
``tests/resources/test_scalars.py`` was read off ``kubectl annotate --local -o json``.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from functools import lru_cache
from typing import Final, TypeAlias

__all__ = ["Scalar", "plain_scalar", "tagged_scalar"]

Scalar: TypeAlias = str | int | float | bool | None

_WORDS: Final[dict[str, Scalar]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
_NOT_JSON = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_INTEGER = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<x>[0-9a-fA-F]+)|0[bB](?P<b>[01]+)|0[oO]?(?P<o>[0-7]+)|(?P<d>0|[1-9]\d*))"
)
_FLOAT = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?")
_BASES = {"x": 16, "b": 2, "o": 8, "d": 10}
_INT64 = 2**63
_LONGEST_INTEGER = 4000
"""Characters: Python reads no more, and without leading zeros 64 bits need none of them."""
# Go prints whole floats without exponent below this, so that they are integers in JSON.
_EXPONENT_FROM = 1e21
_CORE_TAG = "tag:yaml.org,2002:"


@lru_cache(maxsize=8192)
def plain_scalar(text: str) -> Scalar:
    """Return what an unquoted scalar without a tag stands for.

    Raises:
        ValueError: infinity or not-a-number, which JSON lacks.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "0123456789.-+":
        return text
    if _NOT_JSON.fullmatch(text):
        raise ValueError(f"{text} is no number in JSON; quote it if text is meant")
    return _number(text)


def tagged_scalar(tag: str, text: str) -> Scalar:
    """Return what a scalar with an explicit tag stands for; tags of applications are ignored, as kubectl does.

    Raises:
        ValueError: the text is not what the tag says.
    """
    match tag.removeprefix(_CORE_TAG) if tag.startswith(_CORE_TAG) else "str":
        case "int" | "float" | "bool" | "null" as name:
            if (value := plain_scalar(text)) == text:
                raise ValueError(f"!!{name} {text!r} is no {name}")
            return value
        case "binary":
            return _binary(text)
        case _:
            return text


def _number(text: str) -> Scalar:
    digits = text.replace("_", "")
    if (found := _INTEGER.fullmatch(digits)) and len(digits) <= _LONGEST_INTEGER:
        base = str(found.lastgroup)
        value = int(found["sign"] + found[base], _BASES[base])
        if -_INT64 <= value < _INT64:
            return value
        if value in range(_INT64, 2 * _INT64):
            return float(value)
    if not _FLOAT.fullmatch(digits) or math.isinf(number := float(digits)):
        # Go reads what 64 bits cannot hold as a float only where it is written in decimal, and is not infinite.
        return text
    return number if found else _shortened(number)


def _shortened(value: float) -> Scalar:
    return int(value) if value.is_integer() and abs(value) < _EXPONENT_FROM else value


def _binary(text: str) -> str:
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("!!binary must be base64 of UTF-8 text") from error
