"""From one text to the JSON values of its documents, each with the line on which every field stands.

Values are built straight from libyaml's events: one pass gives both value and lines, and nothing recurses in C
(PyYAML's composer crashes the interpreter on ``[[[[...``). Documents are parted as kubectl does, at lines of
``---``, so that a fault in one does not hide those of the next.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import yaml

from safeapply.errors import Fault
from safeapply.resources.building import MAX_DEPTH, Builder, Lines, TooDeepError, UnreadableError, events_of
from safeapply.resources.scalars import plain_scalar

__all__ = ["Parsed", "parse"]

_SEPARATOR = re.compile(r"^---(?=[ \t\r\n]|$)", re.MULTILINE)
_BLANKS = re.compile(r"\s*")
_JSON_OBJECT = re.compile(r'\s*\{\s*"')


@dataclass(frozen=True, slots=True)
class Parsed:
    """One document: its JSON value, and where it and its fields stand."""

    value: Any
    line: int
    lines: Lines


Result: TypeAlias = Parsed | Fault


def parse(name: str, text: str) -> Iterator[Result]:
    """Yield every document of a text that says something, and a fault for each that cannot be read."""
    for chunk, line in _chunks(text):
        results = list(_yaml(name, chunk, line))
        if _JSON_OBJECT.match(chunk) and any(isinstance(result, Fault) for result in results):
            # Several objects in a row, and escapes that YAML does not know, are good JSON.
            results = list(_json(name, chunk, line))
        yield from results


def _chunks(text: str) -> Iterator[tuple[str, int]]:
    """Part a text at the ``---`` lines; each part keeps the line on which it begins, 0-based."""
    begin, line = 0, 0
    for separator in _SEPARATOR.finditer(text):
        yield text[begin : separator.start()], line
        line += text.count("\n", begin, separator.end())
        begin = separator.end()
    yield text[begin:], line


def _yaml(name: str, chunk: str, line: int) -> Iterator[Result]:
    if _is_nothing(chunk):
        return
    builder = Builder(events_of(chunk), first_line=line + 1)
    try:
        for value, at, lines in builder.documents():
            yield Parsed(value, at, lines)
    except UnreadableError as error:
        yield Fault(name, error.line, str(error))
    except yaml.MarkedYAMLError as error:
        yield _too_deep(name, chunk, line, error) or _explained(name, chunk, line, error)
    except yaml.YAMLError as error:
        yield Fault(name, line + 1, f"not YAML: {error}")
    yield from (Fault(name, at, message) for at, message in builder.faults)


def _is_nothing(chunk: str) -> bool:
    """Tell whether a part holds only blanks, comments and directives."""
    return all(not line.strip() or line.lstrip()[0] == "#" or line[0] == "%" for line in chunk.splitlines())


def _too_deep(name: str, chunk: str, first: int, error: yaml.MarkedYAMLError) -> Fault | None:
    """Return the fault of a text that is nested beyond our bound before the place where its parser gave up.

    libyaml has bounds of its own (PyYAML 6.0.4: 1,000) and scans ahead, so that it may meet them before an event
    tells the depth. What stands before that place has no such fault, and the bound and the words are always ours.
    """
    mark = error.problem_mark
    if mark is None:
        return None
    try:
        for _ in Builder(events_of(chunk[: mark.index]), first_line=first + 1).documents():
            pass
    except TooDeepError as deep:
        return Fault(name, deep.line, str(deep))
    except (UnreadableError, yaml.YAMLError):
        return None
    return None


def _explained(name: str, chunk: str, first: int, error: yaml.MarkedYAMLError) -> Fault:
    mark = error.problem_mark or error.context_mark
    row, column = (mark.line, mark.column) if mark else (0, 0)
    rows = chunk.split("\n")
    row = min(row, len(rows) - 1)
    why = _guess(rows[: row + 1], column) or _libyaml_says(error, first, row)
    return Fault(name, first + row + 1, f"not YAML: {why} (column {column + 1})")


def _guess(rows: Sequence[str], column: int) -> str | None:
    """Return what usually lies behind a YAML error, judged by the text that it points at."""
    here = rows[-1]
    if here[:column].strip() == "" and "\t" in here[: column + 1]:
        return "a tab indents here; use spaces"
    if any("{{" in row for row in rows[-2:]):
        return "this looks like a template; render it first"
    return None


def _libyaml_says(error: yaml.MarkedYAMLError, first: int, row: int) -> str:
    problem = str(error.problem or error.context)
    begun = error.context_mark
    if error.context and begun and begun.line < row:
        return f"{problem} {error.context} from line {first + begun.line + 1}"
    return problem


def _json(name: str, chunk: str, first: int) -> Iterator[Result]:
    """Read JSON objects one after the other; their fields have no lines of their own."""
    decoder = json.JSONDecoder(object_pairs_hook=_distinct, parse_int=_integer, parse_constant=_no_constant)
    end, line = 0, first + 1
    while (begin := _past_blanks(chunk, end)) < len(chunk):
        line += chunk.count("\n", end, begin)
        try:
            value, end = decoder.raw_decode(chunk, begin)
        except json.JSONDecodeError as error:
            yield Fault(name, first + error.lineno, f"not JSON: {error.msg} (column {error.colno})")
            return
        except (ValueError, RecursionError) as error:
            yield Fault(name, line, str(error) if isinstance(error, ValueError) else str(TooDeepError(line)))
            return
        if _nests_too_deep(value):
            yield Fault(name, line, str(TooDeepError(line)))
            return
        yield Parsed(value, line, None)
        line += chunk.count("\n", begin, end)


def _nests_too_deep(value: Any) -> bool:  # noqa: ANN401 - any JSON
    """Tell whether a value has more levels of lists and mappings than a document of YAML may have."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [item for one in level for item in _items(one)]
    return any(isinstance(one, dict | list) for one in level)


def _items(value: Any) -> Iterable[Any]:  # noqa: ANN401
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case _:
            return ()


def _past_blanks(text: str, position: int) -> int:
    blanks = _BLANKS.match(text, position)
    return blanks.end() if blanks else position


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f'the key "{twice}" is given twice in one object; keep one')
    return fields


def _integer(text: str) -> Any:  # noqa: ANN401  JSON
    value = plain_scalar(text)
    if isinstance(value, str):
        raise ValueError(f"the number {text[:20]}... has {len(text)} digits, which no field takes")  # noqa: TRY004
    return value


def _no_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
