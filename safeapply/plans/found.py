"""What a rollout found: each object that it touches as it was before, so that there is a way back. Pure.

Of an object only that is kept which the rollout can change: the fields that others alone own, and that the files do
not speak of, stay theirs (the replicas of an autoscaler). The values of Secrets are never kept: none is put back.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from safeapply.errors import ClusterError
from safeapply.plans.changes import LAST_APPLIED, SERVER_METADATA
from safeapply.plans.plan import Action, Plan
from safeapply.resources.managed import dropped, fields_less, fields_united
from safeapply.resources.objects import Document, GroupKind, Namespace, Resource, ResourceId
from safeapply.resources.secrets import SECRET

__all__ = ["Found", "decoded", "encoded", "found_by", "united"]

FORMAT_VERSION: Final = "1"


@dataclass(frozen=True, slots=True)
class Found:
    """One object as it was before a rollout touched it."""

    id: ResourceId
    document: Document | None
    """What there was to write; None for an object that was not there, and for a Secret."""
    there: bool

    @property
    def lost(self) -> bool:
        """Whether it was there and cannot be put back."""
        return self.there and self.document is None


def found_by(plan: Plan, live: Mapping[ResourceId, Resource], ours: Collection[str]) -> tuple[Found, ...]:
    """Return what a plan finds of all objects that it touches.

    Args:
        plan: what will be written.
        live: what is there.
        ours: the field managers whose fields a rollout writes.
    """
    manifests: dict[ResourceId, Document | None] = {}
    for operation in (operation for step in plan.steps for operation in step.operations):
        if not operation.manager:
            applied = operation.action is Action.APPLY
            manifests[operation.resource.id] = operation.resource.document if applied else None
    return tuple(_found(one, live.get(one), manifest, ours) for one, manifest in sorted(manifests.items()))


def united(earlier: Iterable[Found], later: Iterable[Found]) -> tuple[Found, ...]:
    """Return what two runs of one rollout found; what the first one did is no finding of the second."""
    found = {one.id: one for one in (*later, *earlier)}
    return tuple(found[one] for one in sorted(found))


def encoded(found: Iterable[Found]) -> str:
    """Return findings as gzipped JSON in base64: an object of the API server holds a megabyte, and no more."""
    told = [
        {
            "id": [one.id.group, one.id.kind, one.id.namespace, one.id.name],
            "there": one.there,
            "document": one.document,
        }
        for one in found
    ]
    text = json.dumps({"formatVersion": FORMAT_VERSION, "objects": told}, sort_keys=True, ensure_ascii=False)
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def decoded(text: object) -> tuple[Found, ...]:
    """Return the findings of a record.

    Raises:
        ClusterError: the record is of another make.
    """
    try:
        told: Any = json.loads(gzip.decompress(base64.b64decode(str(text), validate=True)))
        if told["formatVersion"] != FORMAT_VERSION:
            raise ClusterError(f"the record is in format {told['formatVersion']}; a newer safeapply has written it")
        return tuple(_parsed(one) for one in told["objects"])
    except (ValueError, KeyError, TypeError, OSError, EOFError, zlib.error) as error:
        raise ClusterError("the record of the rollout cannot be read; somebody else has written it") from error


def _parsed(told: Mapping[str, Any]) -> Found:
    group, kind, namespace, name = map(str, told["id"])
    document = told["document"]
    if document is not None and not isinstance(document, Mapping):
        raise TypeError
    return Found(ResourceId(group, kind, Namespace(namespace), name), document, bool(told["there"]))


def _found(one: ResourceId, live: Resource | None, manifest: Document | None, ours: Collection[str]) -> Found:
    if live is None or one.group_kind == SECRET:
        return Found(one, None, live is not None)
    document = dict(live.document)
    if manifest is not None:
        document = dict(dropped(document, _foreign(live, ours), manifest))
    document.pop("status", None)
    return Found(one, {**document, "metadata": _metadata(document)}, there=True)


def _metadata(document: Document) -> Document:
    metadata = {k: v for k, v in (document.get("metadata") or {}).items() if k not in SERVER_METADATA}
    annotations = {k: v for k, v in (metadata.pop("annotations", None) or {}).items() if k != LAST_APPLIED}
    return {**metadata, **({"annotations": annotations} if annotations else {})}


def _foreign(live: Resource, ours: Collection[str]) -> Document:
    """Return the fields that others own, and none of us."""
    entries = live.metadata.get("managedFields") or ()
    mine, others = (
        fields_united(e.get("fieldsV1") or {} for e in entries if (e.get("manager") in ours) is owned)
        for owned in (True, False)
    )
    return fields_less(others, mine)


KEPT_KIND: Final = GroupKind("apps", "ControllerRevision")
"""Where findings are kept: an object of Kubernetes' own for what a controller went back to."""
