"""Findings as text and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from safeapply.checks.catalogue import NAMES
from safeapply.checks.check import Checked
from safeapply.checks.findings import Finding, Severity
from safeapply.report.plan_text import WIDTH, Role, Style
from safeapply.report.wording import counted, short
from safeapply.rollout.folding import folded
from safeapply.visible import visible, visible_json

__all__ = ["assumptions", "findings_json", "findings_text", "tally"]

FORMAT_VERSION: Final = "1"
_NOUNS: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "hint"}
_ROLES: Final = {Severity.ERROR: Role.REFUSAL, Severity.WARNING: Role.WARNING, Severity.INFO: Role.WHY}
_NAMED: Final = 5


def findings_text(findings: Sequence[Finding], *, style: Style = lambda _, text: text, width: int = WIDTH) -> str:
    """Return findings as a compiler would print them, with the tally at the end.

    Args:
        findings: the worst first.
        style: dresses a line for a terminal; by default, nothing.
        width: columns for what is explained; the line that names the place stays whole.
    """
    lines = [line for one in findings for line in (*_lines(one, style, width), "")]
    return "\n".join([*lines, tally(findings)]) + "\n"


def findings_json(checked: Checked) -> str:
    """Return the same as indented JSON, with a newline at the end."""
    counts = Counter(one.severity for one in checked.findings)
    document = {
        "formatVersion": FORMAT_VERSION,
        "findings": [_document(one) for one in checked.findings],
        "counts": {severity.value: counts[severity] for severity in Severity},
        "assumed": [str(one) for one in checked.assumed],
    }
    return visible_json(json.dumps(document, indent=2, ensure_ascii=False)) + "\n"


def tally(findings: Sequence[Finding]) -> str:
    """Return how many there are of each severity: ``2 errors, 1 warning, 3 hints``, with a full stop."""
    counts = Counter(one.severity for one in findings)
    said = [counted(counts[severity], noun) for severity, noun in _NOUNS.items() if counts[severity]]
    return f"{', '.join(said)}." if said else "Nothing found."


def assumptions(checked: Checked) -> str:
    """Return a sentence on what was taken to exist; nothing where nothing was."""
    names = [short(one) for one in checked.assumed]
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return visible(f"taken to exist, because no file declares them: {', '.join(names[:_NAMED])}{more}")


def _lines(one: Finding, style: Style, width: int) -> Iterator[str]:
    place = f"{one.place}: " if one.place else ""
    head = visible(f"{place}{one.severity.value} {one.code} {short(one.object)} {one.field}")
    yield style(_ROLES[one.severity], head)
    yield from _indented("", one.effect, width)
    if one.proxies:
        yield from _indented("on      ", one.proxies, width)
    yield from _indented("remedy  ", one.remedy, width)


def _indented(label: str, text: str, width: int) -> list[str]:
    first = f"    {label}"
    return folded(text, width, first=first, rest=" " * len(first))


def _document(one: Finding) -> dict[str, Any]:
    return {
        "code": one.code,
        "name": NAMES[one.code],
        "severity": one.severity.value,
        "object": str(one.object),
        "field": one.field,
        "file": one.file or None,
        "line": one.line or None,
        "proxies": one.proxies or None,
        "effect": one.effect,
        "remedy": one.remedy,
    }
