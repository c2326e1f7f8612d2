"""Keep the values of Secrets out of whatever is printed, logged or stored. Pure.

As ``kubectl diff`` does it: the keys are told, and of a value only whether it changes. A Secret's manifest stands
in clear text in the annotation of client-side apply, too; and the API server quotes values that it refuses.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from safeapply.resources.objects import Document, GroupKind, Resource

__all__ = ["SECRET", "masked", "masked_pair", "without_values"]

SECRET: Final = GroupKind("", "Secret")
MASK: Final = "***"
_VALUES: Final = ("data", "stringData")
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_LONG: Final = 4
"""Values that are shorter are looked for as whole words: every text holds an ``a``."""


def masked(resource: Resource) -> Document:
    """Return the document of an object, without the values if it is a Secret."""
    if resource.id.group_kind != SECRET:
        return resource.document
    return masked_pair(resource.document, resource.document)[0]


def masked_pair(before: Document, after: Document) -> tuple[Document, Document]:
    """Return two versions of a Secret, whose values are told apart and not told."""
    old, new = _with_metadata(before), _with_metadata(after)
    for field in _VALUES:
        mine, theirs = before.get(field), after.get(field)
        if field in before:
            old[field] = _told(mine, theirs, "before")
        if field in after:
            new[field] = _told(theirs, mine, "after")
    return old, new


def without_values(text: str, resource: Resource) -> str:
    """Return a text about an object, without the values if it is a Secret."""
    if resource.id.group_kind != SECRET:
        return text
    for value in sorted(set(_values(resource.document)), key=len, reverse=True):
        quoted = re.escape(value)
        text = re.sub(quoted if len(value) >= _LONG else rf"(?<!\w){quoted}(?!\w)", MASK, text)
    return text


def _with_metadata(document: Document) -> dict[str, Any]:
    metadata = document.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    if not (isinstance(metadata, Mapping) and isinstance(annotations, Mapping) and _LAST_APPLIED in annotations):
        return dict(document)
    return {**document, "metadata": {**metadata, "annotations": {**annotations, _LAST_APPLIED: MASK}}}


def _told(own: Any, other: Any, when: str) -> Any:  # noqa: ANN401  JSON
    if not isinstance(own, Mapping):
        return MASK
    others = other if isinstance(other, Mapping) else {}
    return {key: MASK if others.get(key) == value else f"{MASK} ({when})" for key, value in own.items()}


def _values(document: Document) -> Iterator[str]:
    """Yield every value as it may be quoted: as it stands, and what it is in base64 or stands for."""
    for field in _VALUES:
        said = document.get(field)
        for value in _leaves(said):
            yield value
            yield base64.b64encode(value.encode()).decode()
            try:
                yield base64.b64decode(value, validate=True).decode()
            except (binascii.Error, ValueError):
                continue


def _leaves(value: Any) -> Iterator[str]:  # noqa: ANN401  JSON
    match value:
        case Mapping():
            for child in value.values():
                yield from _leaves(child)
        case list():
            for child in value:
                yield from _leaves(child)
        case None | "" | bool():
            return
        case _:
            yield str(value)
