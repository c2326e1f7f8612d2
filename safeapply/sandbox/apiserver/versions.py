"""From one version of an object to the next: identity, generation, what a subresource may touch. Pure.

Follows ``BeforeCreate`` and ``BeforeUpdate`` of the real server's registry: clients cannot set what the server
writes, the main resource leaves status alone, and the status subresource touches nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from safeapply.resources.objects import Document, GroupKind
from safeapply.sandbox.apiserver.kinds import Kind
from safeapply.sandbox.apiserver.statuses import broken, conflict, invalid, precondition_failed
from safeapply.sandbox.apiserver.validation.faults import IMMUTABLE, invalid_value

__all__ = [
    "born",
    "check_patchable",
    "check_preconditions",
    "check_uid",
    "check_version",
    "only_status",
    "status_kept",
    "succeeded",
]

_KEPT: Final = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_OF_SERVER: Final = frozenset({*_KEPT, "selfLink"})
_REVISION: Final = GroupKind("apps", "ControllerRevision")
_BESIDE_DESIRED: Final = frozenset({"apiVersion", "kind", "metadata", "status"})


def born(kind: Kind, document: Document, *, uid: str, now: str) -> dict[str, Any]:
    """Return the first version of an object."""
    metadata = {**_sent(document), "uid": uid, "creationTimestamp": now}
    if kind.has_generation:
        metadata["generation"] = 1
    elif "generation" in document["metadata"]:
        metadata["generation"] = document["metadata"]["generation"]
    head = {"apiVersion": kind.api_version(), "kind": kind.name, "metadata": metadata}
    return head | {key: value for key, value in document.items() if key not in head}


def succeeded(kind: Kind, live: Document, document: Document) -> dict[str, Any]:
    """Return the next version of an object: the document with what the server keeps of the live one."""
    kept = {key: live["metadata"][key] for key in _KEPT if key in live["metadata"]}
    metadata = {**_sent(document), **kept}
    if document["metadata"].get("uid"):
        metadata["uid"] = document["metadata"]["uid"]  # another one is refused, and not overlooked
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


def check_version(kind: Kind, live: Document, expected: Mapping[str, Any]) -> None:
    """Refuse to change an object that was written since the client has seen it.

    Raises:
        StatusError: 409, where the resourceVersion is another; 500, where it is none.
    """
    asked, metadata = expected.get("resourceVersion"), live["metadata"]
    if asked in {None, "", "0"} or asked == metadata["resourceVersion"]:
        return
    if not str(asked).isdecimal():
        raise broken(f'strconv.ParseUint: parsing "{asked}": invalid syntax')
    raise conflict(kind, metadata["name"])


def check_uid(kind: Kind, live: Document, document: Document) -> None:
    """Refuse to replace an object by another of the same name.

    Raises:
        StatusError: 409, in the words of the real server's storage.
    """
    asked, metadata = document["metadata"].get("uid"), live["metadata"]
    if not asked or asked == metadata["uid"]:
        return
    parts = ["registry", *([kind.group] if kind.custom else []), kind.plural]
    key = "/".join([*parts, *([metadata["namespace"]] if kind.namespaced else []), metadata["name"]])
    why = f"Precondition failed: UID in precondition: {asked}, UID in object meta: {metadata['uid']}"
    storage = f"StorageError: invalid object, Code: 4, Key: /{key}, ResourceVersion: 0, AdditionalErrorMsg: {why}"
    raise conflict(kind, metadata["name"], storage)


def check_patchable(kind: Kind, live: Document, document: Document) -> None:
    """Refuse every patch of a ControllerRevision, even of its labels.

    The real server compares its data byte by byte, and on the way through a patch they are written anew.

    Raises:
        StatusError: 422.
    """
    if kind.group_kind == _REVISION and live.get("data") is not None:
        raise invalid(kind, live["metadata"]["name"], [invalid_value("data", document.get("data"), IMMUTABLE)])


def check_preconditions(kind: Kind, live: Document, expected: Mapping[str, Any]) -> None:
    """Refuse to delete an object that is not the one that the client has seen.

    Raises:
        StatusError: 409, where the uid or the resourceVersion is another.
    """
    metadata = live["metadata"]
    for field, spoken, since in (
        ("uid", "UID", "deleted and then recreated"),
        ("resourceVersion", "ResourceVersion", "modified"),
    ):
        asked, found = expected.get(field), metadata[field]
        if asked and asked != found:
            differs = f"the {spoken} in the precondition ({asked}) does not match the {spoken} in record ({found})"
            raise precondition_failed(kind, metadata["name"], f"{differs}. The object might have been {since}")


def _sent(document: Document) -> dict[str, Any]:
    return {key: value for key, value in document["metadata"].items() if key not in _OF_SERVER}


def _desired(document: Document) -> Mapping[str, Any]:
    return {key: value for key, value in document.items() if key not in _BESIDE_DESIRED}
