"""What the API server answers, held against the forms that it may have, before anything is believed of it.

An answer that lacks its list is no empty list: whoever took it for one would plan as if nothing were there.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from safeapply.errors import ClusterError
from safeapply.resources.objects import Document, GroupKind, ResourceId
from safeapply.resources.schema import Manifest, model_of
from safeapply.resources.shapes import mismatches

__all__ = ["Group", "Listing", "Resources", "SubjectReview", "checked", "checked_as", "read"]

T = TypeVar("T", bound=msgspec.Struct)


class _Version(msgspec.Struct, rename="camel"):
    group_version: str


class Group(msgspec.Struct, rename="camel"):
    """The versions of an API group."""

    versions: list[_Version]
    preferred_version: _Version | None = None


class _Kind(msgspec.Struct):
    name: str
    kind: str
    namespaced: bool


class Resources(msgspec.Struct):
    """What a version of a group serves."""

    resources: list[_Kind]


class _UserInfo(msgspec.Struct):
    username: str


class _ReviewedSubject(msgspec.Struct, rename="camel"):
    user_info: _UserInfo


class SubjectReview(msgspec.Struct):
    """Who asks (``SelfSubjectReview``)."""

    status: _ReviewedSubject


class _ListMetadata(msgspec.Struct, rename={"following": "continue", "resource_version": "resourceVersion"}):
    following: str = ""
    resource_version: str = ""


class Listing(msgspec.Struct):
    """A part of a list; Go writes an empty one as null."""

    items: list[dict[str, Any]] | None
    metadata: _ListMetadata


def read(document: Document, form: type[T], doing: str) -> T:
    """Return an answer in its form.

    Raises:
        ClusterError: it has another one.
    """
    try:
        return msgspec.convert(document, form)
    except msgspec.ValidationError as error:
        raise ClusterError(
            f"the API server did not answer as one to the request to {doing} ({error}); is there something between?"
        ) from error


def checked(document: Document, kind: GroupKind) -> Document:
    """Return an object of which every field that is read has the type that its kind gives it.

    Raises:
        ClusterError: naming the first one that has not.
    """
    wrong = next(iter(mismatches(dict(document), model_of(kind) or Manifest)), None)
    metadata = document.get("metadata")
    if wrong is None and isinstance(metadata, dict) and metadata.get("name"):
        return document
    path, what = wrong or ("metadata.name", "is missing")
    raise ClusterError(f"the API server answered with a {kind} that cannot be read: {path or 'it'}: {what}")


def checked_as(document: Document, asked: ResourceId) -> Document:
    """Return an object that is the one that was asked for; what bears another name is another object.

    Raises:
        ClusterError: it is of another kind, name or namespace, or cannot be read.
    """
    metadata = checked(document, asked.group_kind)["metadata"]
    group = str(document.get("apiVersion") or "").rpartition("/")[0]
    # Of what stands outside of namespaces a file may say otherwise; the server has then written it there.
    place = metadata.get("namespace") or asked.namespace
    answered = (group, document.get("kind"), place, metadata["name"])
    if answered != (asked.group, asked.kind, asked.namespace, asked.name):
        told = "/".join(str(part) for part in answered if part)
        raise ClusterError(
            f"the API server was asked for {asked} and answered with {told}; is there something between?"
        )
    return document
