"""Fields that ``kubectl apply`` owned before, handed over to safeapply. Pure.

Client-side ``kubectl apply`` records its fields under its own manager. Without a handover, server-side apply would
conflict with it for ever, and a field that is dropped from the manifest would stay. ``kubectl apply --server-side``
hands over in the same way (client-go ``util/csaupgrade``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from safeapply.resources.managed import dropped
from safeapply.resources.objects import Document

__all__ = ["CLIENT_SIDE_MANAGERS", "handed_over", "without_dropped"]

CLIENT_SIDE_MANAGERS = frozenset({"kubectl-client-side-apply", "before-first-apply"})
"""The managers of client-side apply, and of what was there before the first server-side apply."""


def handed_over(managed: Sequence[Mapping[str, Any]], manager: str) -> list[Mapping[str, Any]] | None:
    """Return the managedFields in which ``manager`` owns what client-side apply owned; None if nothing is to do."""
    old = [entry for entry in managed if _client_side(entry)]
    if not old:
        return None
    own = next((entry for entry in managed if _is_applier(entry, manager)), None)
    fields: Mapping[str, Any] = (own or {}).get("fieldsV1") or {}
    for entry in old:
        fields = _union(fields, entry.get("fieldsV1") or {})
    base = own or {**old[0], "manager": manager, "operation": "Apply"}
    kept = [entry for entry in managed if not _client_side(entry) and entry is not own]
    return [*kept, {**base, "fieldsV1": fields}]


def without_dropped(result: Document, managed: Sequence[Mapping[str, Any]], manifest: Document) -> Document:
    """Return what a dry-run's result will be after the handover: without the fields that the manifest dropped."""
    for entry in managed:
        if _client_side(entry):
            result = dropped(result, entry.get("fieldsV1") or {}, manifest)
    return result


def _client_side(entry: Mapping[str, Any]) -> bool:
    manager, operation = entry.get("manager"), entry.get("operation")
    return manager in CLIENT_SIDE_MANAGERS and operation == "Update" and not entry.get("subresource")


def _is_applier(entry: Mapping[str, Any], manager: str) -> bool:
    return entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource")


def _union(one: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    merged = dict(one)
    for key, value in other.items():
        merged[key] = _union(merged[key], value) if key in merged else value
    return merged
