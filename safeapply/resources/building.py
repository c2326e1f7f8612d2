"""One pass over YAML events: the JSON value of a document, and the line of every field in it.

It may not recurse without bound, expand without bound, or drop anything in silence: what kubectl's reader
refuses (a key given twice, a list as a key) is refused here too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Protocol, TypeAlias

import yaml
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from safeapply.resources.scalars import plain_scalar, tagged_scalar

__all__ = ["MAX_DEPTH", "Builder", "Events", "Lines", "TooDeepError", "UnreadableError", "events_of"]

Lines: TypeAlias = "dict[str, tuple[int, Lines]] | list[tuple[int, Lines]] | None"
"""The shape of a value, with the 1-based line of every field and item; None for scalars."""

MAX_DEPTH: Final = 200
MAX_COPIED: Final = 200_000
"""How many nodes the aliases of one document may repeat in all ("billion laughs")."""

_MERGE = "<<"


class Events(Protocol):
    """What is used of PyYAML's parsers."""

    def check_event(self, *choices: type[yaml.Event]) -> bool:
        """Tell whether there is a next event, of one of these types."""
        ...

    def get_event(self) -> Any:  # noqa: ANN401 - libyaml's events have no common typed face
        """Take the next event."""
        ...


class _PureParser(Reader, Scanner, Parser):
    """PyYAML's own parser, ten times slower, for where libyaml is missing."""

    def __init__(self, stream: str) -> None:
        Reader.__init__(self, stream)
        Scanner.__init__(self)
        Parser.__init__(self)


def events_of(text: str, *, pure: bool = False) -> Events:
    """Return the YAML events of a text, by libyaml where it is there."""
    if pure or not yaml.__with_libyaml__:
        return _PureParser(text)
    return yaml.CSafeLoader(text)


class UnreadableError(Exception):
    """A document that is YAML and still cannot be a manifest."""

    def __init__(self, line: int, message: str) -> None:
        self.line = line
        super().__init__(message)


class TooDeepError(UnreadableError):
    """A document whose lists and mappings stand in each other more than ``MAX_DEPTH`` times."""

    def __init__(self, line: int) -> None:
        super().__init__(line, f"nested more than {MAX_DEPTH} deep")


class Builder:
    """Builds the documents of one stream of events.

    Faults that leave a document readable gather in ``faults`` as (line, message).
    """

    def __init__(self, events: Events, *, first_line: int) -> None:
        self.faults: list[tuple[int, str]] = []
        self._events = events
        self._first = first_line
        self._depth = 0
        self._built = 0
        self._copied = 0
        self._anchors: dict[str, tuple[Any, Lines, int]] = {}

    def documents(self) -> Iterator[tuple[Any, int, Lines]]:
        """Yield value, line and lines of each document; those that hold nothing are left out.

        Raises:
            UnreadableError: nested or repeated beyond reason, or what JSON cannot hold.
            yaml.YAMLError: not YAML.
        """
        self._events.get_event()
        while not self._events.check_event(yaml.StreamEndEvent):
            self._events.get_event()
            self._anchors, self._copied = {}, 0
            event = self._events.get_event()
            value, lines = self._node(event)
            self._events.get_event()
            if value is not None:
                yield value, self._line(event), lines

    def _line(self, event: Any) -> int:  # noqa: ANN401
        return self._first + int(event.start_mark.line)

    def _node(self, event: Any) -> tuple[Any, Lines]:  # noqa: ANN401
        kind = type(event)
        if kind is yaml.AliasEvent:
            return self._alias(event)
        before = self._built
        self._built += 1
        if kind is yaml.ScalarEvent:
            built: tuple[Any, Lines] = self._scalar(event), None
        else:
            built = self._nested(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = (*built, self._built - before)
        return built

    def _scalar(self, event: Any) -> Any:  # noqa: ANN401
        plain, _ = event.implicit
        try:
            if plain:
                return plain_scalar(event.value)
            return event.value if event.tag in {None, "!"} else tagged_scalar(event.tag, event.value)
        except ValueError as error:
            raise UnreadableError(self._line(event), str(error)) from error

    def _nested(self, event: Any) -> tuple[Any, Lines]:  # noqa: ANN401
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TooDeepError(self._line(event))
        built = self._mapping() if type(event) is yaml.MappingStartEvent else self._sequence()
        self._depth -= 1
        return built

    def _sequence(self) -> tuple[list[Any], Lines]:
        take = self._events.get_event
        values: list[Any] = []
        lines: list[tuple[int, Lines]] = []
        while type(event := take()) is not yaml.SequenceEndEvent:
            value, below = self._node(event)
            values.append(value)
            lines.append((self._line(event), below))
        return values, lines

    def _mapping(self) -> tuple[dict[str, Any], Lines]:
        take = self._events.get_event
        values: dict[str, Any] = {}
        lines: dict[str, tuple[int, Lines]] = {}
        merged: list[tuple[Any, Lines]] = []
        while type(event := take()) is not yaml.MappingEndEvent:
            if _is_merge(event):
                merged.append(self._merged(take()))
                continue
            line = self._line(event)
            key = self._key(event)
            if key in values:
                self.faults.append((line, _twice(key, first=lines[key][0], again=line)))
            value, below = self._node(take())
            values[key] = value
            lines[key] = (line, below)
        for more, below in merged:
            _fill(values, lines, more, below)
        return values, lines

    def _key(self, event: Any) -> str:  # noqa: ANN401
        value, _ = self._node(event)
        match value:
            case str():
                return value
            case bool():
                return "true" if value else "false"
            case int() | float():
                return str(value)
            case _:
                raise UnreadableError(
                    self._line(event), "a key must be text; quote it, or render the template first"
                )

    def _alias(self, event: Any) -> tuple[Any, Lines]:  # noqa: ANN401
        if event.anchor not in self._anchors:
            # The name is not told: an unquoted password may begin with an asterisk.
            raise UnreadableError(
                self._line(event),
                "the alias here has no anchor before it, or stands inside it; quote a text that begins with *",
            )
        value, lines, size = self._anchors[event.anchor]
        self._built += size
        self._copied += size
        if self._copied > MAX_COPIED:
            raise UnreadableError(self._line(event), f"aliases repeat more than {MAX_COPIED} nodes; write them out")
        return value, lines

    def _merged(self, event: Any) -> tuple[Any, Lines]:  # noqa: ANN401
        """Read what ``<<`` brings in: one mapping, or several, of which the first wins."""
        value, lines = self._node(event)
        values, below = ([value], [(0, lines)]) if isinstance(value, dict) else (value, lines)
        united: dict[str, Any] = {}
        places: dict[str, tuple[int, Lines]] = {}
        if (
            not isinstance(values, list)
            or not isinstance(below, list)
            or not all(isinstance(v, dict) for v in values)
        ):
            raise UnreadableError(self._line(event), "<< must name a mapping, or a list of mappings")
        for one, (_, at) in zip(values, below, strict=True):
            _fill(united, places, one, at)
        return united, places


def _twice(key: str, *, first: int, again: int) -> str:
    where = "twice on this line" if first == again else f"here and on line {first}"
    return f'the key "{key}" stands {where}; keep one'


def _is_merge(event: Any) -> bool:  # noqa: ANN401
    return type(event) is yaml.ScalarEvent and event.value == _MERGE and event.implicit[0]


def _fill(values: dict[str, Any], lines: dict[str, tuple[int, Lines]], more: dict[str, Any], below: Lines) -> None:
    """Add the fields that are not there yet."""
    for key, value in more.items():
        if key not in values:
            values[key] = value
            if isinstance(below, dict) and key in below:
                lines[key] = below[key]
