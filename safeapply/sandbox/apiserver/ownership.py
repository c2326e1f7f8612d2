"""Sets of fields, as ``managedFields`` writes them: who owns what, and what a write changed. Pure.

A set is the JSON of ``fieldsV1`` itself: ``{"f:spec": {"f:host": {}}}``. A key stands for a field (``f:``), an item
told apart by its keys (``k:``) or by itself (``v:``). An empty node is a member; a node with children is one only
where it holds ``"."``. Sets are values: every function returns a new one and shares what did not change.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from safeapply.sandbox.apiserver.kinds import Layout

__all__ = [
    "Change",
    "FieldSet",
    "compare",
    "difference",
    "element_of",
    "fields_of",
    "intersection",
    "keyed",
    "paths",
    "union",
]

FieldSet: TypeAlias = Mapping[str, Any]

ITSELF: Final = "."
_MEMBER: Final[FieldSet] = {ITSELF: {}}
_DEFAULTS: Final = {"protocol": "TCP"}
"""Values that the API server fills in before it tells items apart."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one write did: fields that are new or differ, and fields that are gone."""

    changed: FieldSet
    removed: FieldSet


def union(one: FieldSet, other: FieldSet) -> FieldSet:
    """Return what is in either set."""
    if not one or one is other:
        return other
    result = dict(one)
    for key, child in other.items():
        mine = result.get(key)
        if mine is None:
            result[key] = child
        elif key != ITSELF and mine != child:
            result[key] = _closed(union(mine or _MEMBER, child or _MEMBER))
    return result


def difference(one: FieldSet, other: FieldSet) -> FieldSet:
    """Return what is in the first set and not in the second; members below a member are their own."""
    result = {}
    for key, child in one.items():
        theirs = other.get(key)
        if theirs is None:
            result[key] = child
        elif key != ITSELF and (rest := difference(child or _MEMBER, theirs or _MEMBER)):
            result[key] = _closed(rest)
    return result


def intersection(one: FieldSet, other: FieldSet) -> FieldSet:
    """Return what is in both sets."""
    result = {}
    for key, child in one.items():
        theirs = other.get(key)
        if theirs is None:
            continue
        if key == ITSELF:
            result[key] = child
        elif both := intersection(child or _MEMBER, theirs or _MEMBER):
            result[key] = _closed(both)
    return result


def paths(fields: FieldSet, prefix: str = "") -> Iterator[str]:
    """Yield every member as error messages write it: ``.spec.ports[port=80,protocol="TCP"].name``."""
    for key, child in sorted(fields.items()):
        if key == ITSELF:
            yield prefix
        elif child:
            yield from paths(child, prefix + _spoken(key))
        else:
            yield prefix + _spoken(key)


def fields_of(value: Mapping[str, Any], lists: Layout, *, inner: bool = False) -> FieldSet:
    """Return the fields that a document sets: its leaves, its empty maps, its lists as wholes or by item.

    With ``inner``, maps that have fields are members too: so count those that a write brought in or took away.
    """
    fields: dict[str, Any] = {}
    for name, child in value.items():
        if inner and not child and name in lists.structs:
            continue
        if not child and name in lists and not inner:
            continue
        if not child or name in lists.atomic:
            fields["f:" + name] = {}
        elif isinstance(child, dict):
            below = fields_of(child, lists, inner=inner)
            if not below and not inner:
                continue
            fields["f:" + name] = {ITSELF: {}, **below} if inner and name not in lists.structs else below
        elif name in lists and isinstance(child, list):
            below = _fields_of_items(child, name, lists, inner=inner)
            fields["f:" + name] = {ITSELF: {}, **below} if inner and name not in lists.structs else below
        else:
            fields["f:" + name] = {}
    return fields


def compare(old: Mapping[str, Any], new: Mapping[str, Any], lists: Layout) -> Change:
    """Return what differs between two documents."""
    changed: dict[str, Any] = {}
    removed: dict[str, Any] = {}
    for name, value in new.items():
        before = old.get(name)
        if before is value or before == value:
            continue
        if name not in old:
            changed.update(fields_of({name: value}, lists, inner=True))
        else:
            below = _compare_values(name, before, value, lists)
            changed |= {"f:" + name: below.changed} if below.changed is not None else {}
            removed |= {"f:" + name: below.removed} if below.removed else {}
    for name in old.keys() - new.keys():
        removed.update(fields_of({name: old[name]}, lists, inner=True))
    return Change(changed, removed)


def keyed(items: list[Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """Return the items of a mergeable list by their element, in order."""
    return {element_of(item, keys): item for item in items}


def element_of(item: Any, keys: tuple[str, ...]) -> str:  # noqa: ANN401 - any JSON value
    """Return how a set writes an item of a list: ``k:{"name":"web"}``, or ``v:"a"`` in a list without keys."""
    if not keys or not isinstance(item, Mapping):
        return "v:" + json.dumps(item, sort_keys=True, separators=(",", ":"))
    told = {key: item.get(key, _DEFAULTS.get(key)) for key in keys}
    present = {key: value for key, value in told.items() if value is not None}
    return "k:" + json.dumps(present, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class _Below:
    """What differs below one field; an empty ``changed`` is the field itself, None is nothing."""

    changed: FieldSet | None
    removed: FieldSet

    @classmethod
    def of(cls, change: Change) -> _Below:
        return cls(change.changed or None, change.removed)


def _fields_of_items(items: list[Any], name: str, lists: Layout, *, inner: bool) -> dict[str, Any]:
    found = keyed(items, lists[name]).items()
    if name in lists.whole_items:
        return {element: {} for element, _ in found}
    return {element: _fields_of_item(item, lists, inner=inner) for element, item in found}


def _fields_of_item(item: Any, lists: Layout, *, inner: bool = True) -> FieldSet:  # noqa: ANN401 - any JSON
    """Return the fields of one item, which is always a member itself."""
    return {ITSELF: {}, **fields_of(item, lists, inner=inner)} if isinstance(item, dict) and item else {}


def _compare_values(name: str, old: object, new: object, lists: Layout) -> _Below:
    """Return what differs inside a field that is in both documents, with different values."""
    if isinstance(old, dict) and isinstance(new, dict) and name not in lists.atomic:
        return _Below.of(compare(old, new, lists))
    if name in lists and isinstance(old, list) and isinstance(new, list):
        return _Below.of(_compare_items(old, new, name, lists))
    gone = fields_of({name: old}, lists)["f:" + name]
    return _Below(fields_of({name: new}, lists, inner=True)["f:" + name], gone)


def _compare_items(old_items: list[Any], new_items: list[Any], name: str, lists: Layout) -> Change:
    old, new = keyed(old_items, lists[name]), keyed(new_items, lists[name])
    changed: dict[str, Any] = {}
    removed: dict[str, Any] = {}
    for element, item in new.items():
        if element not in old:
            changed |= _fields_of_items([item], name, lists, inner=True)
        elif old[element] != item and name in lists.whole_items:
            changed[element] = {}
        elif old[element] != item:
            below = compare(old[element], item, lists)
            changed |= {element: below.changed} if below.changed else {}
            removed |= {element: below.removed} if below.removed else {}
    gone = [old[element] for element in old.keys() - new.keys()]
    removed |= _fields_of_items(gone, name, lists, inner=True)
    return Change(changed, removed)


def _closed(node: FieldSet) -> FieldSet:
    return {} if node == _MEMBER else node


def _spoken(key: str) -> str:
    form, _, rest = key.partition(":")
    match form:
        case "f":
            return "." + rest
        case "k":
            told = json.loads(rest)
            return "[" + ",".join(f"{name}={json.dumps(value)}" for name, value in told.items()) + "]"
        case "v":
            return f"[={rest}]"
        case _:
            return f"[{rest}]"
