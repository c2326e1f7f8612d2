"""Server-side apply and field ownership: what a write makes of an object, and who owns what afterwards. Pure.

The rules are those of Kubernetes' structured-merge-diff, for the kinds and lists that ``Kind.lists`` names. A
manager has one set of fields for what it applies, and one for each API version in which it updates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from http import HTTPStatus
from itertools import groupby
from typing import Any, Final

from safeapply.resources.objects import Document
from safeapply.sandbox.apiserver.kinds import Layout
from safeapply.sandbox.apiserver.merging import merge, without
from safeapply.sandbox.apiserver.ownership import (
    Change,
    FieldSet,
    compare,
    difference,
    fields_of,
    intersection,
    paths,
    union,
)
from safeapply.sandbox.apiserver.statuses import StatusError

__all__ = ["Writer", "apply_fields", "update_fields"]

UNOWNED: Final = frozenset(
    {
        "clusterName",
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generation",
        "managedFields",
        "name",
        "namespace",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)
"""Fields of the metadata that the server itself writes, so that nobody owns them."""


_SORTED_BY: Final = ("operation", "time", "manager", "subresource", "apiVersion")


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, in which version, at what time."""

    manager: str
    api_version: str
    now: str
    subresource: str = ""

    def entry(self, operation: str, fields: FieldSet) -> dict[str, Any]:
        """Return an element of ``managedFields``."""
        entry = {
            "manager": self.manager,
            "operation": operation,
            "apiVersion": self.api_version,
            "time": self.now,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
        }
        return entry | ({"subresource": self.subresource} if self.subresource else {})

    def wrote(self, entry: Mapping[str, Any], operation: str) -> bool:
        """Tell whether an entry is this writer's; appliers are one across versions."""
        return (
            entry.get("manager") == self.manager
            and entry.get("operation") == operation
            and entry.get("subresource", "") == self.subresource
            and (operation == "Apply" or entry.get("apiVersion") == self.api_version)
        )


def apply_fields(
    live: dict[str, Any], applied: Document, *, writer: Writer, lists: Layout, force: bool
) -> dict[str, Any]:
    """Return the live object after a server-side apply; an empty one where there is none yet.

    Raises:
        StatusError: 409, where another manager owns a field that would change, and force is not used.
    """
    wanted = _owned_part(applied)
    entries = _entries(live) or _before_first_apply(live, writer, lists)
    own = next((entry for entry in entries if writer.wrote(entry, "Apply")), None)
    others = [entry for entry in entries if entry is not own]
    fields = fields_of(wanted, lists)
    result = merge(live, wanted, lists)
    if own is not None and own["fieldsV1"] != fields:
        kept = reduce(union, (entry["fieldsV1"] for entry in others), fields)
        result = without(result, difference(own["fieldsV1"], kept), kept, lists)
    change = compare(_owned_part(live), _owned_part(result), lists)
    if not force:
        _check_conflicts(others, change.changed)
    if own is None or own["fieldsV1"] != fields or change.changed or change.removed:
        own = writer.entry("Apply", fields)
    left = _relieved(others, change, taken=change.changed)
    return _managed(result, [own, *left] if fields else left)


def update_fields(live: dict[str, Any], new: dict[str, Any], *, writer: Writer, lists: Layout) -> dict[str, Any]:
    """Return the new version of an object with ownership as a create, an update or a patch leaves it.

    Managed fields that the client sends are believed, as kubectl needs when it takes over its own client-side
    applies; none at all keep those of the live object, and one empty entry forgets them.
    """
    entries = _sent(new, live, writer.now)
    if live and not entries:
        return _managed(new, [])  # what nobody has owned so far is not begun to be owned by an update
    change = compare(_owned_part(live), _owned_part(new), lists)
    own = next((entry for entry in entries if writer.wrote(entry, "Update")), None)
    others = [entry for entry in entries if entry is not own]
    before = own["fieldsV1"] if own is not None else {}
    fields = union(difference(before, change.removed), change.changed)
    if own is None or fields != before:
        own = writer.entry("Update", fields)
    left = _relieved(others, change, taken=change.changed)
    return _managed(new, [own, *left] if fields else left)


def _before_first_apply(live: Document, writer: Writer, lists: Layout) -> list[dict[str, Any]]:
    """Return who owns what an object had before anybody was known to own any of it."""
    fields = fields_of(_owned_part(live), lists, inner=True)
    if not fields or "uid" not in (live.get("metadata") or {}):
        return []
    api_version = live.get("apiVersion", writer.api_version)
    return [Writer("before-first-apply", api_version, writer.now).entry("Update", fields)]


def _check_conflicts(others: Iterable[Mapping[str, Any]], changed: FieldSet) -> None:
    conflicts = [
        (_spoken(entry), path) for entry in others for path in paths(intersection(entry["fieldsV1"], changed))
    ]
    if not conflicts:
        return
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": path}
        for who, path in conflicts
    ]
    raise StatusError(HTTPStatus.CONFLICT, "Conflict", "\n".join(_sentences(conflicts)), details={"causes": causes})


def _sentences(conflicts: Sequence[tuple[str, str]]) -> Iterator[str]:
    if len(conflicts) == 1:
        who, path = conflicts[0]
        yield f"Apply failed with 1 conflict: conflict with {who}: {path}"
        return
    start = f"Apply failed with {len(conflicts)} conflicts: "
    for who, theirs in groupby(sorted(conflicts), key=lambda one: one[0]):
        yield f"{start}conflicts with {who}:"
        yield from (f"- {path}" for _, path in theirs)
        start = ""


def _spoken(entry: Mapping[str, Any]) -> str:
    """Return ``"kubectl-edit" using networking.istio.io/v1``; appliers are named alone."""
    who = f'"{entry.get("manager")}"'
    if entry.get("subresource"):
        who += f' with subresource "{entry["subresource"]}"'
    return f"{who} using {entry.get('apiVersion')}" if entry.get("operation") == "Update" else who


def _relieved(others: Iterable[dict[str, Any]], change: Change, *, taken: FieldSet) -> list[dict[str, Any]]:
    """Return the other managers' entries less what was taken over and what is gone."""
    if not taken and not change.removed:
        return list(others)
    result = []
    for entry in others:
        fields = difference(difference(entry["fieldsV1"], taken), change.removed)
        if fields == entry["fieldsV1"]:
            result.append(entry)
        elif fields:
            result.append({**entry, "fieldsV1": fields})
    return result


def _managed(document: dict[str, Any], entries: list[dict[str, Any]]) -> dict[str, Any]:
    order = sorted(entries, key=lambda entry: tuple(str(entry.get(key, "")) for key in _SORTED_BY))
    metadata = {**document.get("metadata", {}), "managedFields": order}
    if not order:
        del metadata["managedFields"]
    return {**document, "metadata": metadata}


def _entries(document: Document) -> list[dict[str, Any]]:
    return (document.get("metadata") or {}).get("managedFields") or []


def _sent(new: Document, live: Document, now: str) -> list[dict[str, Any]]:
    """Return the entries that an update starts from."""
    sent, kept = (new.get("metadata") or {}).get("managedFields"), _entries(live)
    if sent == [{}]:
        return []
    if not sent or sent == kept or not (isinstance(sent, list) and all(map(_is_entry, sent))):
        return kept
    return [{"time": now, "fieldsType": "FieldsV1", **entry} for entry in sent]


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict) or entry.get("operation") not in {"Apply", "Update"}:
        return False
    if entry.get("fieldsType", "FieldsV1") != "FieldsV1":
        return False
    texts = (entry.get("manager"), entry.get("apiVersion"), entry.get("time", ""), entry.get("subresource", ""))
    return all(isinstance(text, str) for text in texts) and _is_field_set(entry.get("fieldsV1"))


def _is_field_set(node: object) -> bool:
    return isinstance(node, dict) and all(
        key == "." or (key[1:2] == ":" and _is_field_set(child)) for key, child in node.items()
    )


def _owned_part(document: Document) -> dict[str, Any]:
    """Return what somebody can own: everything but identity and what the server writes."""
    part = {name: value for name, value in document.items() if name not in {"apiVersion", "kind", "metadata"}}
    metadata = document.get("metadata") or {}
    owned = {name: value for name, value in metadata.items() if name not in UNOWNED}
    return {**part, "metadata": owned} if owned else part
