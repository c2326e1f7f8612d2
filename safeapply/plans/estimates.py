"""What an object will be, judged from its manifest alone, for those who want the server asked for nothing. Pure.

Server-side apply keeps what others wrote, takes what the manifest says, and drops what this manager once said and
says no more. Defaults of new fields, conversions and webhooks are the server's own: only its dry-run knows them.
Whoever creates an object is given its defaults too: where a kind has some, what was dropped since cannot be told
from them, and is taken to stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from safeapply.resources.identifiers import is_built_in
from safeapply.resources.managed import dropped
from safeapply.resources.objects import Document, GroupKind, Resource, ResourceId

__all__ = ["estimated", "overlaid"]

_APPLIERS: Final = frozenset({"safeapply", "kubectl-client-side-apply", "before-first-apply"})
"""The managers whose fields this manager has, or takes over."""


_PLAIN: Final = GroupKind("", "ConfigMap")
"""Kubernetes' own, without defaults."""


def estimated(manifests: Iterable[Resource], live: Mapping[ResourceId, Resource]) -> Mapping[ResourceId, Resource]:
    """Return what each manifest would make of the live object; new objects are what their manifests say."""
    return {one.id: _over(live[one.id], one) for one in manifests if one.id in live}


def overlaid(live: Resource, fields: Resource) -> Resource:
    """Return an object with some of its fields as they are given, and the rest as it is."""
    return Resource(live.id, _merged(live.document, fields.document), fields.origin)


def _over(live: Resource, manifest: Resource) -> Resource:
    document: Document = live.document
    for entry in live.metadata.get("managedFields") or ():
        if entry.get("manager") in _APPLIERS and not entry.get("subresource") and not _has_defaults(live.id, entry):
            document = dropped(document, entry.get("fieldsV1") or {}, manifest.document)
    return overlaid(Resource(live.id, document), manifest)


def _has_defaults(one: ResourceId, entry: Mapping[str, Any]) -> bool:
    """Tell whether the server's own defaults may be among the fields of a manager: of the one that created it."""
    return entry.get("operation") == "Update" and is_built_in(one.group) and one.group_kind != _PLAIN


def _merged(live: Any, wanted: Any) -> Any:  # noqa: ANN401  JSON
    """Return what is wanted, with what is live beside it; list items keep what the server gave them."""
    match live, wanted:
        case Mapping(), Mapping():
            said = {key: _merged(live.get(key), value) for key, value in wanted.items() if value is not None}
            return {key: value for key, value in live.items() if wanted.get(key, ...) is not None} | said
        case list(), list() if len(live) == len(wanted):
            return [_merged(old, new) if _covers(old, new) else new for old, new in zip(live, wanted, strict=True)]
        case _:
            return wanted


def _covers(live: Any, wanted: Any) -> bool:  # noqa: ANN401  JSON
    """Tell whether everything that is wanted is there."""
    match live, wanted:
        case Mapping(), Mapping():
            return all(key in live and _covers(live[key], value) for key, value in wanted.items())
        case list(), list():
            return len(live) == len(wanted) and all(map(_covers, live, wanted))
        case _:
            return bool(live == wanted)
