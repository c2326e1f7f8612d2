"""What differs between two versions of an object, in few words: ``subsets +v2``, ``http[0].timeout 5s -> 10s``.

Read by people who decide within seconds, so named things go by their names (subsets, ports, routes), and things
that only moved up or down a list are not called changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum
from typing import Any

from safeapply.resources.objects import Document

__all__ = ["Difference", "Sign", "differences"]

_SERVERS_OWN = frozenset({"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"})
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_BARE = re.compile(r'"([A-Za-z*][\w./*-]*)"')
"""Text that needs no quotes."""
_WIDEST = 48
"""How much of a value is shown."""


class Sign(Enum):
    """How two versions differ at one place."""

    ADDED = "+"
    REMOVED = "-"
    CHANGED = "~"


@dataclass(frozen=True, slots=True)
class Difference:
    """One place at which two versions differ."""

    sign: Sign
    path: str
    """The field, without the leading ``spec.``; for an item, its list."""
    text: str

    def __str__(self) -> str:
        """Return ``subsets +v2``, ``timeout 5s -> 10s``."""
        sign = "" if self.sign is Sign.CHANGED else self.sign.value
        return f"{self.path} {sign}{self.text}"


def differences(before: Document, after: Document) -> tuple[Difference, ...]:
    """Return where two documents differ, less what the API server writes itself."""
    return tuple(_mappings(_own(before), _own(after), ""))


def _own(document: Document) -> dict[str, Any]:
    """Return what users mean by a document: ``spec`` unfolded, no status, no server metadata."""
    metadata = document.get("metadata") or {}
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != _LAST_APPLIED}
    kept = {k: v for k, v in metadata.items() if k not in {*_SERVERS_OWN, "annotations", "name", "namespace"}}
    rest = {k: v for k, v in document.items() if k not in {"apiVersion", "kind", "metadata", "spec", "status"}}
    spec = document.get("spec") or {}
    # Of kinds that nothing is read of, the API server has not yet said that this is none.
    unfolded = spec if isinstance(spec, dict) else {"spec": spec}
    return {**rest, **unfolded, **kept, **({"annotations": annotations} if annotations else {})}


def _values(before: Any, after: Any, path: str) -> Iterator[Difference]:  # noqa: ANN401  JSON
    if before == after:
        return
    match before, after:
        case dict(), dict():
            yield from _mappings(before, after, path)
        case list(), list():
            yield from _lists(before, after, path)
        case _:
            yield Difference(Sign.CHANGED, path, f"{_shown(before)} -> {_shown(after)}")


def _mappings(before: Mapping[str, Any], after: Mapping[str, Any], path: str) -> Iterator[Difference]:
    for key in dict.fromkeys((*before, *after)):
        under = f"{path}.{key}" if path else key
        if key not in after:
            yield from _whole(Sign.REMOVED, before[key], under)
        elif key not in before:
            yield from _whole(Sign.ADDED, after[key], under)
        else:
            yield from _values(before[key], after[key], under)


def _whole(sign: Sign, value: Any, path: str) -> Iterator[Difference]:  # noqa: ANN401  JSON
    """Describe a field that is only in one version; a list by its items."""
    if isinstance(value, list):
        yield from (Difference(sign, path, _titled(item)) for item in value)
    else:
        yield Difference(sign, path, _shown(value))


def _lists(before: list[Any], after: list[Any], path: str) -> Iterator[Difference]:
    old, new = _by_name(before), _by_name(after)
    if old is not None and new is not None:
        yield from _named(old, new, path)
        return
    matcher = SequenceMatcher(a=[_key(v) for v in before], b=[_key(v) for v in after], autojunk=False)
    for tag, low, high, start, end in matcher.get_opcodes():
        if tag == "replace" and high - low == end - start:
            for index in range(high - low):
                yield from _values(before[low + index], after[start + index], f"{path}[{start + index}]")
        elif tag != "equal":
            yield from (Difference(Sign.REMOVED, path, _titled(value)) for value in before[low:high])
            yield from (Difference(Sign.ADDED, path, _titled(value)) for value in after[start:end])


def _named(before: Mapping[str, Any], after: Mapping[str, Any], path: str) -> Iterator[Difference]:
    for name, value in before.items():
        if name not in after:
            yield Difference(Sign.REMOVED, path, name)
        else:
            yield from _values(value, after[name], f"{path}[{name}]")
    yield from (Difference(Sign.ADDED, path, name) for name in after if name not in before)


def _by_name(items: Sequence[Any]) -> dict[str, Any] | None:
    """Return items by their names, or None where they have none of their own."""
    named = {item["name"]: item for item in items if isinstance(item, dict) and isinstance(item.get("name"), str)}
    return named if len(named) == len(items) else None


def _titled(value: Any) -> str:  # noqa: ANN401  JSON
    """Return the name of a thing, or else what it says."""
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        return str(value["name"])
    return _shown(value)


def _shown(value: Any) -> str:  # noqa: ANN401  JSON
    """Return a value on one line, as YAML's flow style would have it, and not too much of it."""
    text = value if isinstance(value, str) and value else _BARE.sub(r"\1", json.dumps(value, ensure_ascii=False))
    flat = " ".join(text.split())
    return flat if len(flat) <= _WIDEST else flat[: _WIDEST - 3] + "..."


def _key(value: Any) -> str:  # noqa: ANN401  JSON
    return json.dumps(value, sort_keys=True)
