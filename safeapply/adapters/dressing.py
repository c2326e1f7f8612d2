"""How printed text looks where it is printed: its colours and its width. Nothing is loaded here that draws."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final, TextIO

__all__ = ["columns", "dresser", "wants_colour"]

NARROW, WIDE = 60, 160

_ANSI: Final = {
    "heading": "1",
    "wait": "36",
    "add": "32",
    "change": "33",
    "delete": "31",
    "why": "2",
    "warning": "33",
    "refusal": "1;31",
}


def dresser(stream: TextIO, environment: Mapping[str, str]) -> Callable[[Enum, str], str]:
    """Return what colours the lines of a printed plan by their roles, or leaves them alone."""
    return _dressed if wants_colour(stream, environment) else lambda _, text: text


def columns(stream: TextIO) -> int | None:
    """Return how wide a plan may be on a terminal, between 60 and 160 columns; None where there is none."""
    if not stream.isatty():
        return None
    return min(max(shutil.get_terminal_size((NARROW, 24)).columns, NARROW), WIDE)


def _dressed(role: Enum, text: str) -> str:
    code = _ANSI.get(str(role.value))
    return f"\x1b[{code}m{text}\x1b[0m" if code and text else text


def wants_colour(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Ask https://no-color.org and the terminal."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
