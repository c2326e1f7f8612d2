"""Fields by their owners, in the form of ``managedFields``. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from safeapply.resources.objects import Document

__all__ = ["dropped"]

_FIELD: Final = "f:"


def dropped(document: Document, fields: Document, manifest: Document) -> Document:
    """Return a document without those of the fields that the manifest does not hold any more."""
    kept = dict(document)
    for key, below in fields.items():
        name = key.removeprefix(_FIELD)
        if not key.startswith(_FIELD) or name not in kept:
            continue
        if name not in manifest:
            del kept[name]
        elif isinstance(kept[name], Mapping) and isinstance(manifest[name], Mapping):
            kept[name] = dropped(kept[name], below, manifest[name])
    return kept
