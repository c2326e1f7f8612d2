"""Good input made bad: by bytes that an editor, a disk or a network may produce, and by values of other shapes."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

SNIPPETS = (
    *(
        b"\t",
        b"{{ .Values.x }}",
        b"- ",
        b": ",
        b"&a",
        b"*a",
        b"<<: *a\n",
        b"\x00",
        b"\xff\xfe",
        b"'",
        b'"',
        b"[",
        b"]}",
    ),
    *(
        b"---\n",
        b"...\n",
        b"%YAML 1.1\n",
        b"!!python/object:os.system x",
        b"!!binary aGk=",
        b"1e309",
        b"0x1F",
        b"~",
    ),
    *(
        b"kind: List\nitems: 3\n",
        b"\n\n",
        b"#",
        b"\xc3\xa9",
        b"2020-01-01",
        b"|\n  x\n",
        b"? a\n",
        b"metadata: []\n",
    ),
)
JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2**70, 1.5, "", " ", "a", "*", "/", "a/b", "~", ".", "null", "\u0000", "x" * 300),
    *([], [None], [[]], [{}], [1], ["a"], {}, {"": None}, {"a": {"b": []}}, {"name": 1}, {"host": None}),
)
"""Values of every shape that JSON has."""

Edit = tuple[float, int, int]
"""Where, as a part of the whole; which of the edits; with which piece."""
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3), st.integers(0, 1000)), min_size=1, max_size=4)
NUMBERS = st.integers(0, 10**6)


def garbled(raw: bytes, edits: list[Edit]) -> bytes:
    """Return bytes with pieces put in, cut out, doubled or flipped."""
    for where, how, what in edits:
        at = int(where * len(raw))
        piece = SNIPPETS[what % len(SNIPPETS)]
        match how:
            case 0:
                raw = raw[:at] + piece + raw[at:]
            case 1:
                raw = raw[:at] + raw[at + 1 + what % 40 :]
            case 2:
                raw = raw[: at + what % 60] + raw[at:]
            case _:
                raw = raw[:at] + bytes([what % 256]) + raw[at + 1 :]
    return raw


def misshapen(value: Any, edits: list[Edit]) -> Any:
    """Return a value in which some places hold something else, or nothing."""
    whole = [copy.deepcopy(value)]
    for where, how, what in edits:
        places = list(_places(whole))
        holder, key = places[min(int(where * len(places)), len(places) - 1)]
        junk = copy.deepcopy(JUNK[what % len(JUNK)])
        match how:
            case 0 if isinstance(holder, dict):
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[str(junk)] = holder.pop(key)
            case 2 if isinstance(holder, list) and holder is not whole:
                holder.append(junk)
            case _:
                holder[key] = junk
    return whole[0]


def _places(holder: Any) -> Any:
    keys = list(holder) if isinstance(holder, dict) else range(len(holder))
    for key in keys:
        yield holder, key
        if isinstance(holder[key], (dict, list)):
            yield from _places(holder[key])
