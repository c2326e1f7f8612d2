"""Documents as clients send them, made ready to be stored: named, and of the form of their kind. No state."""

from __future__ import annotations

import secrets
from typing import Any, Final

from safeapply.resources.objects import Document, GroupKind, ResourceId
from safeapply.sandbox.apiserver.defaults import with_defaults
from safeapply.sandbox.apiserver.kinds import Kind
from safeapply.sandbox.apiserver.merging import without_nulls
from safeapply.sandbox.apiserver.registry import Kinds
from safeapply.sandbox.apiserver.schemas.forms import MisshapenError, check_applied, emptied, shaped, with_zeros
from safeapply.sandbox.apiserver.statuses import (
    bad_request,
    broken,
    invalid,
    no_such_path,
    unprocessable_patch,
)
from safeapply.sandbox.apiserver.validation.faults import required

__all__ = ["id_of", "kind_of", "settled", "take_in", "take_in_applied", "take_in_patched"]

DEFAULT_NAMESPACE: Final = "default"
LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
"""What names are drawn from: no vowels, so no words (apimachinery ``util/rand``)."""
DRAWN: Final = 5


def take_in(kinds: Kinds, document: Document, *, strict: bool = False) -> tuple[Kind, dict[str, Any]]:
    """Return a document of its own with a name, a namespace and its kind's defaults; and its kind.

    Raises:
        StatusError: it has another form than an object of its kind, or nobody knows its kind.
    """
    kind, version = _kind_and_version(kinds, document)
    try:
        return kind, _prepared(kind, version, document, strict=strict)
    except MisshapenError as error:
        what = f'{kind.name} in version "{version}" cannot be handled as a {kind.name}'
        raise bad_request(f"{what}: {error}") from error


def take_in_patched(kinds: Kinds, document: Document, *, strict: bool = False) -> tuple[Kind, dict[str, Any]]:
    """Do the same for what a patch made of an object.

    Raises:
        StatusError: as above, but 422 where the form is wrong.
    """
    kind, version = _kind_and_version(kinds, document)
    try:
        return kind, _prepared(kind, version, document, strict=strict)
    except MisshapenError as error:
        raise unprocessable_patch(document, str(error)) from error


def take_in_applied(kinds: Kinds, document: Document) -> tuple[Kind, dict[str, Any]]:
    """Do the same for what is applied: it has no defaults yet, and unknown fields are errors.

    Raises:
        StatusError: as above, but 500 where the form is wrong, as the real server has it.
    """
    kind, version = _kind_and_version(kinds, document)
    plain = without_nulls(document)
    try:
        check_applied(kind, version, plain)
    except MisshapenError as error:
        name, group_version = plain["metadata"].get("name", ""), f"{kind.group}/{version}"
        what = f"/{name}; {group_version}, Kind={kind.name}"
        raise broken(f"failed to create typed patch object ({what}): {error}") from error
    return kind, {**plain, "metadata": _named(kind, plain["metadata"])}


def settled(kind: Kind, merged: dict[str, Any]) -> dict[str, Any]:
    """Return what an apply comes to, with its kind's defaults and without what its kind leaves out."""
    version = merged["apiVersion"].rpartition("/")[2]
    return with_defaults(kind.group_kind, emptied(kind, version, merged))


def kind_of(kinds: Kinds, group_kind: GroupKind, version: str = "") -> Kind:
    """Return a kind, which has to be served in the version, if one is given.

    Raises:
        StatusError: 404, as for any path that leads nowhere.
    """
    kind = kinds.named(group_kind)
    if kind is None or (version and version not in kind.versions):
        raise no_such_path()
    return kind


def id_of(kind: Kind, document: Document) -> ResourceId:
    """Return the identity of a document that was taken in."""
    return kind.id_of(document["metadata"]["name"], document["metadata"].get("namespace", ""))


def _kind_and_version(kinds: Kinds, document: Document) -> tuple[Kind, str]:
    if not isinstance(document.get("apiVersion"), str) or not isinstance(document.get("kind"), str):
        raise bad_request("the object provided is unrecognized: apiVersion and kind have to be given")
    group, _, version = document["apiVersion"].rpartition("/")
    return kind_of(kinds, GroupKind(group, document["kind"]), version), version


def _prepared(kind: Kind, version: str, document: Document, *, strict: bool) -> dict[str, Any]:
    plain = without_nulls(with_zeros(kind, version, document))
    if not isinstance(plain.setdefault("metadata", {}), dict):
        found = "string" if isinstance(plain["metadata"], str) else "array"
        field = f"Go struct field {kind.name}.metadata of type v1.ObjectMeta"
        raise MisshapenError(f"json: cannot unmarshal {found} into {field}")
    form = shaped(kind, version, plain, strict=strict)
    return with_defaults(kind.group_kind, {**form, "metadata": _named(kind, form["metadata"])})


def _named(kind: Kind, metadata: dict[str, Any]) -> dict[str, Any]:
    named = dict(metadata)
    if kind.namespaced:
        named["namespace"] = named.get("namespace") or DEFAULT_NAMESPACE
    else:
        named.pop("namespace", None)
    if not named.get("name") and named.get("generateName"):
        named["name"] = named["generateName"] + "".join(secrets.choice(LETTERS) for _ in range(DRAWN))
    if not named.get("name"):
        raise invalid(kind, "", [required("metadata.name", "name or generateName is required")])
    return named
