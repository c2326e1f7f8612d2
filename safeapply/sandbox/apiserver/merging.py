"""How an applied document and a live one become one, and how fields go that nobody wants any more. Pure.

Documents are values: what a merge leaves alone is shared with the document that it came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safeapply.sandbox.apiserver.kinds import Layout
from safeapply.sandbox.apiserver.ownership import FieldSet, element_of, keyed

__all__ = ["merge", "without", "without_nulls"]


def merge(live: dict[str, Any], applied: Mapping[str, Any], lists: Layout) -> dict[str, Any]:
    """Return the live document with everything that the applied one says, and what only the live one has."""
    result = dict(live)
    for name, value in applied.items():
        mine = result.get(name)
        if isinstance(mine, dict) and isinstance(value, dict) and name not in lists.atomic:
            result[name] = merge(mine, value, lists)
        elif name in lists and isinstance(mine, list) and isinstance(value, list):
            result[name] = _merge_items(mine, value, name, lists)
        else:
            result[name] = value
    return result


def without(value: dict[str, Any], doomed: FieldSet, kept: FieldSet, lists: Layout) -> dict[str, Any]:
    """Return the document less the doomed fields; a map that is empty then, and is nobody's, goes with them.

    ``kept`` is what is owned by anybody: it protects maps and items that still have an owner.
    """
    result = dict(value)
    for element, below in doomed.items():
        name = element[2:]
        if not element.startswith("f:") or name not in result:
            continue
        child, owned = result[name], kept.get(element)
        if isinstance(child, dict) and child and name not in lists.atomic:
            rest: Any = without(child, below, owned or {}, lists)
        elif isinstance(child, list) and child and name in lists:
            rest = _without_items(child, below, owned or {}, (name, lists))
        else:
            rest = None
        if rest or owned is not None:
            result[name] = rest
        else:
            del result[name]
    return result


def without_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON value in, the same kind of value out
    """Return the value as plain dicts and lists of its own, less the fields that are null."""
    if isinstance(value, Mapping):
        return {str(name): without_nulls(child) for name, child in value.items() if child is not None}
    if isinstance(value, (list, tuple)):
        return [without_nulls(child) for child in value]
    return value


def _merge_items(live: list[Any], applied: list[Any], name: str, lists: Layout) -> list[Any]:
    """Merge item by item: those that are there stay in their places, new ones follow."""
    result = keyed(live, lists[name])
    for item in applied:
        element = element_of(item, lists[name])
        mine = result.get(element)
        both = isinstance(mine, dict) and isinstance(item, dict)
        result[element] = merge(mine, item, lists) if both and mine is not None else item
    return list(result.values())


def _without_items(items: list[Any], doomed: FieldSet, kept: FieldSet, place: tuple[str, Layout]) -> list[Any]:
    name, lists = place
    result = []
    for element, item in keyed(items, lists[name]).items():
        if element not in doomed:
            result.append(item)
        elif element in kept:
            result.append(without(item, doomed[element], kept[element], lists))
    return result
