"""Documents as clients send them, made ready to be stored: plain, named, and of a known kind. No state."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import Any, Final

from safeapply.resources.objects import Document, GroupKind, ResourceId
from safeapply.sandbox.apiserver.admission import check_shape
from safeapply.sandbox.apiserver.kinds import Kind
from safeapply.sandbox.apiserver.merging import without_nulls
from safeapply.sandbox.apiserver.registry import Kinds
from safeapply.sandbox.apiserver.statuses import StatusError, bad_request, invalid

__all__ = ["id_of", "kind_of", "take_in"]

DEFAULT_NAMESPACE: Final = "default"
SUFFIX_BYTES: Final = 3


def take_in(kinds: Kinds, document: Document) -> tuple[Kind, dict[str, Any]]:
    """Return a document of its own, without nulls, with a name and a namespace; and its kind.

    Raises:
        StatusError: it has another form than an object, or nobody knows its kind.
    """
    if not isinstance(document.get("apiVersion"), str) or not isinstance(document.get("kind"), str):
        raise bad_request("the object provided is unrecognized: apiVersion and kind have to be given")
    group, _, version = document["apiVersion"].rpartition("/")
    kind = kind_of(kinds, GroupKind(group, document["kind"]), version)
    plain = without_nulls(document)
    check_shape(plain)
    return kind, {**plain, "metadata": _named(kind, plain["metadata"])}


def kind_of(kinds: Kinds, group_kind: GroupKind, version: str = "") -> Kind:
    """Return a kind, which has to be served in the version, if one is given.

    Raises:
        StatusError: 404, as for any path that leads nowhere.
    """
    kind = kinds.named(group_kind)
    if kind is None or (version and version not in kind.versions):
        raise StatusError(HTTPStatus.NOT_FOUND, "NotFound", "the server could not find the requested resource")
    return kind


def id_of(kind: Kind, document: Document) -> ResourceId:
    """Return the identity of a document that was taken in."""
    return kind.id_of(document["metadata"]["name"], document["metadata"].get("namespace", ""))


def _named(kind: Kind, metadata: dict[str, Any]) -> dict[str, Any]:
    named = dict(metadata)
    if kind.namespaced:
        named["namespace"] = named.get("namespace") or DEFAULT_NAMESPACE
    else:
        named.pop("namespace", None)
    if not named.get("name") and named.get("generateName"):
        named["name"] = named["generateName"] + secrets.token_hex(SUFFIX_BYTES)
    if not named.get("name"):
        raise invalid(kind, "", [("metadata.name", "Required value: name or generateName is required")])
    return named
