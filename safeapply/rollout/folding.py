"""Texts for a line of some width: names are folded where their parts end, and shortened in their middle.

The ends say most: a cluster's name begins with its direction and subset, a reason ends with what is the matter, and
a pod's name ends with what tells it from its sisters.
"""

from __future__ import annotations

from textwrap import wrap
from typing import Final

from safeapply.visible import visible

__all__ = ["folded", "listed", "shortened"]

_JOINTS: Final = "|./-,"
_GAP: Final = "…"


def folded(text: str, width: int, *, first: str = "", rest: str = "") -> list[str]:
    """Return lines of at most ``width`` columns; a name that does not fit goes on after one of its joints.

    Args:
        text: words between blanks; whatever else is in it is made visible.
        width: columns.
        first: what the first line begins with.
        rest: what the others begin with.
    """
    room = max(1, width - max(len(first), len(rest)))
    words = " ".join(part for word in visible(text).split(" ") for part in _parts(word, room))
    return wrap(
        words,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def shortened(text: str, width: int) -> str:
    """Return a text of at most ``width`` columns: of a longer one the begin and the end."""
    if len(text) <= width:
        return text
    tail = max(0, (width - 1) // 2)
    return text[: max(0, width - 1 - tail)] + _GAP + (text[-tail:] if tail else "")


def listed(names: tuple[str, ...], width: int) -> str:
    """Return as many whole names as fit, and how many more there are; one alone is shortened."""
    for count in range(len(names), 1, -1):
        more = f" and {len(names) - count} more" if count < len(names) else ""
        told = ", ".join(names[:count]) + more
        if len(told) <= width:
            return told
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return "".join(shortened(name, width - len(more)) for name in names[:1]) + more


def _parts(word: str, room: int) -> list[str]:
    """Return a word that has room on a line as it is, else cut after joints."""
    parts = []
    while len(word) > room:
        joint = max(word.rfind(one, 0, room) for one in _JOINTS) + 1
        if joint <= 1:
            break
        parts.append(word[:joint])
        word = word[joint:]
    return [*parts, word]
