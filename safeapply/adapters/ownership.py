"""Fields that were written by other means than server-side apply, handed over to safeapply. Pure.

Client-side ``kubectl apply`` records its fields under a manager of its own. Without a handover, server-side apply
would conflict with it for ever, and a field that is dropped from the manifest would stay. ``kubectl apply
--server-side`` hands over in the same way (kubernetes ``client-go/util/csaupgrade``, ``kubectl/pkg/cmd/apply``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from safeapply.resources.managed import dropped, fields_less, fields_united, has_fields
from safeapply.resources.objects import Document, Resource

__all__ = ["ARGO_CD", "annotated", "edits", "former", "handed_over", "is_client_side", "without_dropped"]

CLIENT_SIDE_MANAGERS = frozenset({"kubectl-client-side-apply", "before-first-apply"})
"""The managers of client-side apply, and of what was there before the first server-side apply."""
ARGO_CD = "argocd-controller"
TRACKING: Mapping[str, Any] = {
    "f:metadata": {
        "f:annotations": {"f:argocd.argoproj.io/tracking-id": {}},
        "f:labels": {"f:app.kubernetes.io/instance": {}},
    }
}
"""What Argo CD finds its own objects by; no manifest in git has it."""
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

_MARKS = ("labels", "annotations")

Entry = Mapping[str, Any]


def former(live: Document, manager: str, *, force: bool = False) -> tuple[Entry, ...]:
    """Return the entries of ``managedFields`` that are to be handed over to ``manager``.

    Those of client-side apply, under its usual name or under any that wrote its annotation (as kubectl finds them),
    and what ``manager`` itself wrote when it created the object. With force those of Argo CD's server-side apply as
    well: it has applied an earlier revision of the very manifests, and what they dropped has to go in its turn.
    """
    taken = (entry for entry in _entries(live) if _is_former(entry, manager) or (force and _is_argos(entry)))
    return tuple(taken)


def is_client_side(live: Document, manager: str, *, force: bool = False) -> bool:
    """Tell whether writing an object takes more than an apply: fields to hand over, an annotation to keep."""
    return bool(former(live, manager, force=force)) or LAST_APPLIED in _annotations(live)


def handed_over(live: Document, manager: str, *, force: bool = False) -> Sequence[Entry] | None:
    """Return the managedFields in which ``manager`` owns what it is to own; None if nothing is to do."""
    old = former(live, manager, force=force)
    if not old:
        return None
    entries = _entries(live)
    own = next((entry for entry in entries if _is_applier(entry, manager)), None)
    fields = fields_united(entry.get("fieldsV1") or {} for entry in ((own,) if own else ()) + old)
    base = own or {**old[0], "manager": manager, "operation": "Apply"}
    kept = [entry for entry in entries if entry not in old and entry is not own]
    return [*kept, *filter(None, map(_tracking, old)), {**base, "fieldsV1": fields}]


def without_dropped(
    result: Document, live: Document, manifest: Document, manager: str, *, force: bool = False
) -> Document:
    """Return what a dry-run's result will be after the handover: without the fields that the manifest dropped.

    What somebody else owns as well stays.
    """
    old = former(live, manager, force=force)
    others = [one for one in _entries(live) if one not in old and not _is_applier(one, manager)]
    others += filter(None, map(_tracking, old))
    fields = fields_united(one.get("fieldsV1") or {} for one in old)
    return dropped(
        result, fields_less(fields, fields_united(one.get("fieldsV1") or {} for one in others)), manifest
    )


def edits(result: Document, wanted: Document) -> Sequence[Mapping[str, Any]]:
    """Return the JSON patch that gives the live object the content, labels and annotations of another document."""
    content = sorted({*result, *wanted} - {"apiVersion", "kind", "metadata", "status"})
    metadata = wanted.get("metadata") or {}
    return [
        *({"op": "add", "path": f"/{key}", "value": wanted.get(key)} for key in content),
        *({"op": "add", "path": f"/metadata/{key}", "value": metadata.get(key) or {}} for key in _MARKS),
    ]


def annotated(resource: Resource, live: Document) -> Resource:
    """Return a manifest that keeps client-side apply's record up to date, where the live object bears one.

    A later client-side ``kubectl apply`` learns from it which fields are to go. The API server does the same for
    ``kubectl apply --server-side``.
    """
    if LAST_APPLIED not in _annotations(live):
        return resource
    document = resource.document
    metadata = {key: value for key, value in resource.metadata.items() if key != "resourceVersion"}
    own = {key: value for key, value in resource.annotations.items() if key != LAST_APPLIED}
    text = _as_kubectl_writes({**document, "metadata": {**metadata, "annotations": own}})
    annotations = {**own, LAST_APPLIED: text}
    return Resource(
        resource.id, {**document, "metadata": {**resource.metadata, "annotations": annotations}}, resource.origin
    )


def _as_kubectl_writes(document: Document) -> str:
    """Return JSON as Go's encoder has it, so that kubectl finds nothing to change."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text + "\n"


def _tracking(entry: Entry) -> Entry | None:
    """Return what is left of an entry of Argo CD: the marks that it puts on what it applies."""
    fields = entry.get("fieldsV1") or {}
    marks = fields_less(fields, fields_less(fields, TRACKING))
    return {**entry, "fieldsV1": marks} if marks and entry.get("manager") == ARGO_CD else None


def _is_argos(entry: Entry) -> bool:
    """Tell whether an entry is Argo CD's own server-side apply, and about more than its marks."""
    fields = entry.get("fieldsV1") or {}
    return (
        entry.get("manager") == ARGO_CD
        and not entry.get("subresource")
        and has_fields(fields_less(fields, TRACKING))
    )


def _is_former(entry: Entry, manager: str) -> bool:
    if entry.get("operation") != "Update" or entry.get("subresource"):
        return False
    return entry.get("manager") in {*CLIENT_SIDE_MANAGERS, manager} or _wrote_annotation(entry)


def _wrote_annotation(entry: Entry) -> bool:
    metadata = (entry.get("fieldsV1") or {}).get("f:metadata") or {}
    return f"f:{LAST_APPLIED}" in (metadata.get("f:annotations") or {})


def _is_applier(entry: Entry, manager: str) -> bool:
    return entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource")


def _entries(live: Document) -> Sequence[Entry]:
    entries = (live.get("metadata") or {}).get("managedFields")
    return entries if isinstance(entries, list) else ()


def _annotations(live: Document) -> Mapping[str, Any]:
    return (live.get("metadata") or {}).get("annotations") or {}
