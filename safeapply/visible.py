"""Words from outside, made harmless to read: what a terminal or a CI system would act on is shown, not sent.

Pods, API servers, admission webhooks, holders of a Lease, manifests and file names all end in sentences that people
and pipelines read. Whatever shows a sentence passes it through here: what has no picture of its own (ESC and other
controls, bidi marks, zero-width, line breaks) is written as its escape, and what CI systems take for a command is
broken. JSON stays JSON: there the same escapes stand for the same text. Pure, and below everything else.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["indented", "visible", "visible_json", "visible_lines"]

_UNSEEN: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | {
    *map(chr, range(0xFE00, 0xFE10)),
    *map(chr, range(0xE0100, 0xE01F0)),
}
"""What ``str.isprintable`` lets pass and no font shows: fillers, joiners and selectors of variants."""
_SHORT: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_ISSUED: Final = re.compile(r"#(?=#[A-Za-z]*\[)")
"""``##vso[``, ``##[``, ``##teamcity[``: Azure's agent and GitHub's runner look for them anywhere in a line."""
_STARTED: Final = re.compile(r"(?<!\S):(?=:[A-Za-z-]+(?:::|\s))")
"""``::error::``: GitHub's runner takes it at the start of a line, blanks apart; folding may make it one."""
_CONTINUED: Final = "  "


def visible(text: str) -> str:
    r"""Return a text on one line that shows all there is in it: ``\x1b[2J``, ``\u202e``, ``\n``."""
    if not text.isprintable() or not text.isascii():
        text = "".join(one if _is_seen(one) else _escape(one) for one in text)
    if "#" in text:
        text = _ISSUED.sub(r"\\x23", text)
    return _STARTED.sub(r"\\x3a", text) if "::" in text else text


def visible_lines(text: str) -> str:
    """Return a text of ours, whose line breaks are ours too, with all else in it made visible."""
    return "\n".join(map(visible, text.split("\n")))


def indented(text: str) -> str:
    """Return somebody else's text of several lines so that none of them begins with it.

    For what is told in one breath with sentences of ours: the API server's list of conflicts, a webhook's refusal.
    """
    first, *rest = text.strip("\n").split("\n")
    begun = (line if line.startswith(_CONTINUED) or not line else _CONTINUED + line for line in rest)
    return "\n".join([visible(first), *map(visible, begun)])


def visible_json(text: str) -> str:
    """Return the same JSON, in which what is not visible stands as JSON's own escapes."""
    if not text.isascii() or "\x7f" in text:
        text = "".join(one if one == "\n" or _is_seen(one) else _json_escape(one) for one in text)
    return _ISSUED.sub(r"\\u0023", text)


def _is_seen(one: str) -> bool:
    return one.isprintable() and one not in _UNSEEN


def _escape(one: str) -> str:
    if one in _SHORT:
        return _SHORT[one]
    number = ord(one)
    if number < 0x100:  # noqa: PLR2004  as Python writes them
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"  # noqa: PLR2004


def _json_escape(one: str) -> str:
    """Return UTF-16, which is how JSON escapes what is beyond the first plane."""
    raw = one.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{raw[at]:02x}{raw[at + 1]:02x}" for at in range(0, len(raw), 2))
