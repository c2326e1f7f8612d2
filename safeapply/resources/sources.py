"""One text that holds manifests, as it was read; the first border at which bad input is told apart.

``adapters.files`` makes these values, ``resources.documents`` reads them. Nothing here opens a file.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from dataclasses import dataclass

from safeapply.errors import Fault

__all__ = ["STDIN", "SourceText", "decode"]

STDIN = "-"
"""The name of the text that came by standard input."""

# What YAML 1.1 (5.1, "Character Set") allows in a stream, turned round.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class SourceText:
    """A file's name as the user wrote it, or ``-``, and what it holds."""

    name: str
    text: str | bytes


def decode(source: SourceText) -> str | Fault:
    """Return the text of a source without its byte order mark, or why it is none."""
    match source.text:
        case str(text):
            return _printable(source.name, text.removeprefix("\ufeff"))
        case bytes(raw) if raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            return Fault(source.name, 0, "this is UTF-16; save it as UTF-8")
        case raw:
            return _from_utf8(source.name, raw.removeprefix(BOM_UTF8))


def _from_utf8(name: str, raw: bytes) -> str | Fault:
    try:
        return _printable(name, raw.decode())
    except UnicodeDecodeError as error:
        if b"\0" in raw:
            return _binary(name)
        line = raw.count(b"\n", 0, error.start) + 1
        byte = raw[error.start]
        return Fault(name, line, f"the byte 0x{byte:02x} is not UTF-8; save the file as UTF-8")


def _printable(name: str, text: str) -> str | Fault:
    found = _UNPRINTABLE.search(text)
    if found is None:
        return text
    if "\0" in text:
        return _binary(name)
    line = text.count("\n", 0, found.start()) + 1
    return Fault(name, line, f"the control character U+{ord(found[0]):04X} may not stand in YAML; remove it")


def _binary(name: str) -> Fault:
    return Fault(name, 0, "this is binary data, neither YAML nor JSON; name the manifests instead")
