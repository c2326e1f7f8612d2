"""From one version of an object to the next: identity, generation, what a subresource may touch. Pure.

Follows ``BeforeCreate`` and ``BeforeUpdate`` of the real server's registry: clients cannot set what the server
writes, the main resource leaves status alone, and the status subresource touches nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from safeapply.resources.objects import Document
from safeapply.sandbox.apiserver.kinds import Kind
from safeapply.sandbox.apiserver.statuses import conflict, invalid

__all__ = ["born", "check_preconditions", "only_status", "status_kept", "succeeded"]

_KEPT: Final = ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp")
_OF_SERVER: Final = frozenset({*_KEPT, "selfLink", "deletionGracePeriodSeconds"})
_BESIDE_DESIRED: Final = frozenset({"apiVersion", "kind", "metadata", "status"})


def born(kind: Kind, document: Document, *, uid: str, now: str) -> dict[str, Any]:
    """Return the first version of an object."""
    metadata = {**_sent(document), "uid": uid, "creationTimestamp": now}
    if kind.has_generation:
        metadata["generation"] = 1
    head = {"apiVersion": kind.api_version(), "kind": kind.name, "metadata": metadata}
    return head | {key: value for key, value in document.items() if key not in head}


def succeeded(kind: Kind, live: Document, document: Document) -> dict[str, Any]:
    """Return the next version of an object: the document with what the server keeps of the live one."""
    kept = {key: live["metadata"][key] for key in _KEPT if key in live["metadata"]}
    metadata = {**_sent(document), **kept}
    if kind.has_generation and _desired(live) != _desired(document):
        metadata["generation"] = live["metadata"].get("generation", 0) + 1
    return {**document, "apiVersion": live["apiVersion"], "kind": kind.name, "metadata": metadata}


def status_kept(live: Document, document: Document) -> dict[str, Any]:
    """Return what a write to the main resource comes to: all that it says, but the status of the live object."""
    rest = {key: value for key, value in document.items() if key != "status"}
    return {**rest, "status": live["status"]} if "status" in live else rest


def only_status(live: Document, document: Document) -> dict[str, Any]:
    """Return what a write to the status comes to: the live object with another status and managed fields."""
    metadata = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    if "managedFields" in document["metadata"]:
        metadata["managedFields"] = document["metadata"]["managedFields"]
    rest = {key: value for key, value in live.items() if key != "status"}
    status = {"status": document["status"]} if "status" in document else {}
    return {**rest, **status, "metadata": metadata}


def check_preconditions(kind: Kind, live: Document, expected: Mapping[str, Any], *, deletes: bool = False) -> None:
    """Refuse to touch an object that is not the one that the client has seen.

    Raises:
        StatusError: 409, where the uid or the resourceVersion is another.
    """
    metadata = live["metadata"]
    for field, spoken in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        asked, name = expected.get(field), metadata["name"]
        if not asked or asked == metadata[field]:
            continue
        if field == "uid" or deletes:
            found = f"{spoken} in object meta: {metadata[field]}"
            raise conflict(kind, name, f"Precondition failed: {spoken} in precondition: {asked}, {found}")
        if not asked.isdecimal():
            raise invalid(kind, name, [("metadata.resourceVersion", f'Invalid value: "{asked}"')])
        raise conflict(kind, name)


def _sent(document: Document) -> dict[str, Any]:
    return {key: value for key, value in document["metadata"].items() if key not in _OF_SERVER}


def _desired(document: Document) -> Mapping[str, Any]:
    return {key: value for key, value in document.items() if key not in _BESIDE_DESIRED}
