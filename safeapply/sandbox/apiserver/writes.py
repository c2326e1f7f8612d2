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
from safeapply.sandbox.apiserver.options import DeleteOptions, WriteOptions, delete_options_of, write_options_of
from safeapply.sandbox.apiserver.paths import Place
from safeapply.sandbox.apiserver.representations import list_of_deleted
from safeapply.sandbox.apiserver.scales import SCALE, scale_of, scaled
from safeapply.sandbox.apiserver.selectors import selection_of
from safeapply.sandbox.apiserver.statuses import bad_request, invalid, success, unprocessable_patch
from safeapply.sandbox.apiserver.store import Store
from safeapply.sandbox.apiserver.validation.faults import invalid_value

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
    if place.subresource == SCALE:
        return _scale(store, verb, sent)
    match verb:
        case "create":
            options = write_options_of("CreateOptions", sent.query, sent.agent)
            return Written(store.create(_addressed(sent), **options.as_arguments), HTTPStatus.CREATED)
        case "update":
            options = write_options_of("UpdateOptions", sent.query, sent.agent)
            return Written(
                store.update(_addressed(sent), subresource=place.subresource, **options.as_arguments),
            )
        case "patch":
            return _patch(store, sent)
        case "delete":
            return _delete(store, sent)
        case _:
            return _delete_all(store, sent)


def _scale(store: Store, verb: str, sent: _Sent) -> Written:
    """Write the replicas of an object by way of its scale."""
    kind, place = sent.place.kind, sent.place
    options, patches = write_options_of("PatchOptions", sent.query, sent.agent), verb == "patch"
    body = decode(sent.body, sent.content_type)

    def changed(live: Document) -> Document:
        scale = scale_of(kind, live)
        changed_scale = patcher(patch_type_of(sent.content_type, kind), body, kind)(scale) if patches else body
        return scaled(kind, {**live, "apiVersion": place.api_version}, changed_scale)

    document = store.patch(place.id, changed, **options.as_arguments)
    return Written(scale_of(kind, document), is_object=False)


def _patch(store: Store, sent: _Sent) -> Written:
    patch_type = patch_type_of(sent.content_type, sent.place.kind)
    applies = patch_type is PatchType.APPLY
    options = write_options_of("PatchOptions", sent.query, sent.agent, applies=applies)
    if applies:
        return _apply(store, sent, options)
    change = patcher(patch_type, decode(sent.body, sent.content_type), sent.place.kind)

    def changed(live: Document) -> Document:
        return _unmoved(sent.place, change({**live, "apiVersion": sent.place.api_version}))

    document = store.patch(sent.place.id, changed, subresource=sent.place.subresource, **options.as_arguments)
    return Written(document)


def _unmoved(place: Place, document: Document) -> Document:
    """Return what a patch made of an object, if it is still the same object.

    Raises:
        StatusError: 400, where it has another name, namespace or, as 422 or 400, another kind.
    """
    metadata = document.get("metadata")
    if isinstance(metadata, dict):
        _check_place(place, metadata.get("name"), metadata.get("namespace"))
    kind, api_version = str(document.get("kind", "")), str(document.get("apiVersion", ""))
    if place.kind.custom and kind != place.kind.name:
        _refuse_kind(place, kind, place.name)
    if not place.kind.custom and api_version != place.api_version:
        raise unprocessable_patch(document, f'no kind "{kind}" is registered for version "{api_version}" in scheme')
    if not place.kind.custom and kind != place.kind.name:
        raise unprocessable_patch(document, f"{_converting(place, kind)}: unknown conversion")
    return document


def _converting(place: Place, kind: str) -> str:
    """Say in Go's words that an object of one kind cannot become one of another."""
    group = place.kind.group.partition(".")[0] or "core"
    return f"converting (v1.{kind}) to ({group}.{place.kind.name})"


def _apply(store: Store, sent: _Sent, options: WriteOptions) -> Written:
    document = decode(sent.body, sent.content_type)
    if not isinstance(document, dict):
        why = "json: cannot unmarshal array into Go value of type map[string]interface {}"
        raise bad_request(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {why}")
    place = sent.place
    api_version, kind = document.get("apiVersion", ""), document.get("kind", "")
    if (api_version, kind) != (place.api_version, place.kind.name):
        said = api_version if "/" in str(api_version) else f"/{api_version}"
        raise bad_request(f"invalid object type: {said}, Kind={kind}")
    existed = store.get(place.id) is not None
    applied = store.apply(
        _checked(sent, document),
        manager=options.manager,
        force=options.force,
        subresource=place.subresource,
        dry_run=options.dry_run,
    )
    return Written(applied, HTTPStatus.OK if existed else HTTPStatus.CREATED)


def _delete(store: Store, sent: _Sent) -> Written:
    options = _delete_options(sent)
    document = store.delete(
        sent.place.id,
        preconditions=options.preconditions,
        dry_run=options.dry_run,
        propagation=options.propagation,
        grace=options.grace,
    )
    stays = "deletionTimestamp" in document["metadata"] and store.get(sent.place.id) is not None
    if sent.place.kind.returns_deleted or stays:
        return Written(document)
    return Written(success(sent.place.kind, sent.place.name, document["metadata"]["uid"]), is_object=False)


def _delete_all(store: Store, sent: _Sent) -> Written:
    kind, options = sent.place.kind, _delete_options(sent)
    selection = selection_of(kind, sent.place.namespace, sent.query)
    version = store.resource_version
    chosen = [one for one in store.list(kind.group_kind, selection.namespace) if selection.holds(one)]
    for document in chosen:
        store.delete(
            id_of(kind, document), dry_run=options.dry_run, propagation=options.propagation, grace=options.grace
        )
    return Written(list_of_deleted(sent.place, chosen, version), is_object=False)


def _delete_options(sent: _Sent) -> DeleteOptions:
    return delete_options_of(sent.query, sent.body, sent.content_type)


def _addressed(sent: _Sent) -> dict[str, Any]:
    document = decode_object(sent.body, sent.content_type, sent.place.kind.name)
    return _checked(sent, document)


def _checked(sent: _Sent, document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with the path's kind and place; what it says of them itself has to agree.

    Raises:
        StatusError: 400, where it does not.
    """
    place, metadata = sent.place, document.get("metadata", {})
    _check_kind(place, document, metadata)
    if not isinstance(metadata, dict):
        return document  # what is wrong with it, the kind itself says
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if place.name and not name:
        what = f"the name of the object ({place.name} based on URL) was undeterminable"
        raise bad_request(f"{what}: name must be provided")
    _check_place(place, name, namespace)
    own = {"namespace": place.namespace} if place.namespace else {}
    head = {"apiVersion": place.api_version, "kind": place.kind.name}
    return {**document, **head, "metadata": {**metadata, **own}}


def _check_kind(place: Place, document: Mapping[str, Any], metadata: object) -> None:
    kind, api_version = document.get("kind"), document.get("apiVersion")
    if place.kind.custom:
        if not kind:
            head = f"the object provided is unrecognized (must be of type {place.kind.name})"
            raise bad_request(f"{head}: Object 'Kind' is missing")
        if api_version != place.api_version:
            said = f"the API version in the data ({api_version or ''})"
            raise bad_request(f"{said} does not match the expected API version ({place.api_version})")
        if kind != place.kind.name:
            name = metadata.get("name", "") if isinstance(metadata, dict) else ""
            _refuse_kind(place, str(kind), str(name))
        return
    version = str(api_version or place.api_version).rpartition("/")[2]
    what = f'{kind or place.kind.name} in version "{version}" cannot be handled as a {place.kind.name}'
    if (api_version or place.api_version) != place.api_version:
        raise bad_request(f'{what}: no kind "{kind}" is registered for version "{api_version}" in scheme')
    if (kind or place.kind.name) != place.kind.name:
        raise bad_request(f"{what}: {_converting(place, str(kind))}: unknown conversion")


def _refuse_kind(place: Place, kind: str, name: str) -> None:
    fault = invalid_value("kind", kind, f"must be {place.kind.name}")
    raise invalid(place.kind.called(kind), name, [fault])


def _check_place(place: Place, name: object, namespace: object) -> None:
    if place.name and (name or place.name) != place.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({place.name})")
    if place.namespace and (namespace or place.namespace) != place.namespace:
        what = "the namespace of the provided object"
        raise bad_request(f"{what} does not match the namespace sent on the request")
