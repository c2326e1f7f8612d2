"""Requests that change something: from what was sent, and the query beside it, to the store's verbs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import web

from safeapply.resources.objects import Document
from safeapply.sandbox.apiserver.bodies import (
    PatchType,
    decode,
    decode_object,
    patch_type_of,
    patcher,
)
from safeapply.sandbox.apiserver.intake import id_of
from safeapply.sandbox.apiserver.paths import Place
from safeapply.sandbox.apiserver.selectors import selection_of
from safeapply.sandbox.apiserver.statuses import StatusError, bad_request, success
from safeapply.sandbox.apiserver.store import Store

__all__ = ["Written", "write"]


@dataclass(frozen=True, slots=True)
class Written:
    """What is answered to a write."""

    document: Document
    code: int = HTTPStatus.OK
    is_object: bool = True
    """Not so for the ``Status`` that answers a deletion."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request whose body has been read."""

    place: Place
    query: Mapping[str, str]
    content_type: str
    body: bytes
    agent: str

    @property
    def dry_run(self) -> bool:
        """Whether nothing is to be kept."""
        asked = self.query.get("dryRun", "")
        if asked not in {"", "All"}:
            raise bad_request(f'Invalid value: "{asked}": supported values: "All"')
        return bool(asked)

    @property
    def manager(self) -> str:
        """Who writes: what the client says, or else the name of its program."""
        return self.query.get("fieldManager") or self.agent.partition("/")[0] or "unknown"


async def write(store: Store, verb: str, place: Place, request: web.Request) -> Written:
    """Carry out a verb that changes something.

    Raises:
        StatusError: whatever the store, or the form of the request, has against it.
    """
    sent = _Sent(
        place,
        request.query,
        request.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
        await request.read(),
        request.headers.get("User-Agent", ""),
    )
    match verb:
        case "create":
            document = _addressed(sent)
            return Written(store.create(document, manager=sent.manager, dry_run=sent.dry_run), HTTPStatus.CREATED)
        case "update":
            return Written(
                store.update(
                    _addressed(sent), manager=sent.manager, subresource=place.subresource, dry_run=sent.dry_run
                )
            )
        case "patch":
            return _patch(store, sent)
        case "delete":
            return _delete(store, sent)
        case _:
            return _delete_all(store, sent)


def _patch(store: Store, sent: _Sent) -> Written:
    patch_type = patch_type_of(sent.content_type, sent.place.kind)
    if patch_type is PatchType.APPLY:
        return _apply(store, sent)
    change = patcher(patch_type, decode(sent.body, sent.content_type), sent.place.kind)
    document = store.patch(
        sent.place.id,
        lambda live: change({**live, "apiVersion": sent.place.api_version}),
        manager=sent.manager,
        subresource=sent.place.subresource,
        dry_run=sent.dry_run,
    )
    return Written(document)


def _apply(store: Store, sent: _Sent) -> Written:
    if not sent.query.get("fieldManager"):
        raise StatusError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "Invalid",
            'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
        )
    document = decode(sent.body, sent.content_type)
    if not isinstance(document, dict) or not document.get("apiVersion") or not document.get("kind"):
        raise bad_request("the object provided is unrecognized: apiVersion and kind have to be given")
    existed = store.get(sent.place.id) is not None
    applied = store.apply(
        _checked(sent, document),
        manager=sent.manager,
        force=sent.query.get("force") in {"1", "true"},
        subresource=sent.place.subresource,
        dry_run=sent.dry_run,
    )
    return Written(applied, HTTPStatus.OK if existed else HTTPStatus.CREATED)


def _delete(store: Store, sent: _Sent) -> Written:
    options = _options(sent)
    document = store.delete(
        sent.place.id,
        preconditions=options.get("preconditions") or {},
        dry_run=sent.dry_run or options.get("dryRun") == ["All"],
    )
    if sent.place.kind.returns_deleted or "deletionTimestamp" in document["metadata"]:
        return Written(document)
    return Written(success(sent.place.kind, sent.place.name, document["metadata"]["uid"]), is_object=False)


def _delete_all(store: Store, sent: _Sent) -> Written:
    kind, options = sent.place.kind, _options(sent)
    selection = selection_of(kind, sent.place.namespace, sent.query)
    for document in store.list(kind.group_kind, selection.namespace):
        if selection.holds(document):
            store.delete(id_of(kind, document), dry_run=sent.dry_run or options.get("dryRun") == ["All"])
    return Written(success(kind, "", ""), is_object=False)


def _options(sent: _Sent) -> Mapping[str, Any]:
    options = decode(sent.body, sent.content_type) if sent.body.strip() else {}
    options = {} if options is None else options
    if not isinstance(options, dict) or not isinstance(options.get("preconditions") or {}, dict):
        raise bad_request("DeleteOptions and their preconditions have to be objects")
    return options


def _addressed(sent: _Sent) -> dict[str, Any]:
    return _checked(sent, decode_object(sent.body, sent.content_type))


def _checked(sent: _Sent, document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with the path's kind and place; what it says of them itself has to agree.

    Raises:
        StatusError: 400, where it does not.
    """
    place, metadata = sent.place, document.get("metadata")
    for field, expected in (("apiVersion", place.api_version), ("kind", place.kind.name)):
        said = document.get(field, expected)
        if said != expected:
            raise bad_request(f"the {field} in the data ({said}) does not match the expected one ({expected})")
    if not isinstance(metadata, dict):
        raise bad_request("the object has no metadata")
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if place.name and (name or place.name) != place.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({place.name})")
    if place.namespace and (namespace or place.namespace) != place.namespace:
        raise bad_request(
            f"the namespace of the provided object ({namespace}) does not match the namespace sent on the request"
        )
    own = {"name": place.name} if place.name else {}
    own |= {"namespace": place.namespace} if place.namespace else {}
    head = {"apiVersion": place.api_version, "kind": place.kind.name}
    return {**document, **head, "metadata": {**metadata, **own}}
