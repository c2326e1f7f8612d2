"""Fields by their owners, in the form of ``managedFields`` (structured-merge-diff's ``FieldsV1``). Pure.

A set of fields is a tree: ``f:NAME`` below a mapping, ``k:{...}`` and ``v:...`` below a list whose items are known
by keys or by value, and ``.`` for the thing itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

from safeapply.resources.objects import Document

__all__ = ["dropped", "fields_less", "fields_united", "has_fields", "is_field_set"]

_FIELD, _KEYED, _VALUE = "f:", "k:", "v:"


def dropped(document: Document, fields: Document, manifest: Document) -> Document:
    """Return a document without those of the fields that the manifest does not hold any more."""
    kept = dict(document)
    for key, below in fields.items():
        name = key.removeprefix(_FIELD)
        if not key.startswith(_FIELD) or name not in kept:
            continue
        if name in manifest:
            kept[name] = _dropped(kept[name], below, manifest[name])
        else:
            del kept[name]
    return kept


def is_field_set(fields: object) -> bool:
    """Tell whether something has the form of ``fieldsV1``: mappings of mappings, all the way down."""
    return isinstance(fields, Mapping) and all(map(is_field_set, fields.values()))


def has_fields(fields: Document) -> bool:
    """Tell whether there is any field in a set, other than the things that would hold them."""
    return any(not below or has_fields(below) for key, below in fields.items() if key != ".")


def fields_united(sets: Iterable[Document]) -> Document:
    """Return the fields that are in any of some sets."""
    return reduce(_united, sets, {})


def fields_less(fields: Document, others: Document) -> Document:
    """Return the fields that are not in the other set; what has nothing left below it goes as well."""
    left: dict[str, Any] = {}
    for key, below in fields.items():
        if key not in others:
            left[key] = below
        elif below and (rest := fields_less(below, others[key])):
            left[key] = rest
    return left


def _united(one: Document, other: Document) -> Document:
    merged = dict(one)
    for key, value in other.items():
        merged[key] = _united(merged[key], value) if key in merged else value
    return merged


def _dropped(live: Any, fields: Document, wanted: Any) -> Any:  # noqa: ANN401  JSON
    match live, wanted:
        case Mapping(), Mapping():
            return dropped(live, fields, wanted)
        case list(), list():
            return _items(live, fields, wanted)
        case _:
            return live


def _items(live: list[Any], fields: Document, wanted: list[Any]) -> list[Any]:
    """Return the items of a list without those, by keys or values, that the manifest does not hold any more."""
    for key, below in fields.items():
        if not key.startswith((_KEYED, _VALUE)):
            continue
        known = json.loads(key[2:])
        said = next((one for one in wanted if _is_item(one, known)), None)
        kept = (one if said is None else _dropped(one, below, said) for one in live)
        live = [one for one in kept if said is not None or not _is_item(one, known)]
    return live


def _is_item(item: Any, known: Any) -> bool:  # noqa: ANN401  JSON
    """Tell whether an item has these keys, where what it leaves open is a default; or is this value."""
    if isinstance(known, Mapping) and isinstance(item, Mapping):
        return all(item.get(key, value) == value for key, value in known.items())
    return bool(item == known)
