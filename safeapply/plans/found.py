"""What a rollout found: each object that it touches as it was before, so that there is a way back. Pure.

Of an object only that is kept which the rollout can change: the fields that others alone own, and that the files do
not speak of, stay theirs (the replicas of an autoscaler). The values of Secrets are never kept: none is put back.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from safeapply.errors import ClusterError, UsageError
from safeapply.plans.changes import LAST_APPLIED, SERVER_METADATA
from safeapply.plans.plan import Action, Plan
from safeapply.resources.identifiers import api_version_fault, identifier_faults
from safeapply.resources.managed import dropped, fields_less, fields_united
from safeapply.resources.objects import Document, Namespace, Resource, ResourceId
from safeapply.resources.secrets import SECRET

__all__ = ["Found", "continued", "decoded", "encoded", "found_by", "too_large", "united"]

FORMAT_VERSION: Final = "2"
UNFOLDED: Final = 8 * 1024 * 1024
"""Bytes of findings before they are compressed: whoever wrote a record, to read it takes no more memory."""
_GZIP: Final = 16 + zlib.MAX_WBITS


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


def continued(
    own: Iterable[Found],
    recorded: Iterable[Found],
    earlier: Collection[ResourceId],
    unchanged: Collection[ResourceId],
) -> tuple[Found, ...]:
    """Return what a run goes back to by itself: what it found, and what the run found that it goes on with.

    A stopped rollout that shares no object with this one is another rollout, and not this one's to undo.

    Args:
        own: what this run found.
        recorded: what is recorded, of this run and of the one that was stopped before it.
        earlier: the objects that the stopped one touched; empty where there was none.
        unchanged: the objects of this run's files that are as they shall be.
    """
    found = tuple(own)
    if {*unchanged, *(one.id for one in found)}.isdisjoint(earlier):
        return found
    return united((one for one in recorded if one.id in earlier), found)


def encoded(found: Iterable[Found]) -> bytes:
    """Return findings as gzipped JSON.

    Raises:
        UsageError: they are more than a record holds.
    """
    told = [
        {
            "id": [one.id.group, one.id.kind, one.id.namespace, one.id.name],
            "there": one.there,
            "document": one.document,
        }
        for one in found
    ]
    text = json.dumps({"formatVersion": FORMAT_VERSION, "objects": told}, sort_keys=True, ensure_ascii=False)
    raw = text.encode()
    if len(raw) > UNFOLDED:
        raise too_large(len(raw), UNFOLDED)
    return gzip.compress(raw, mtime=0)


def too_large(size: int, largest: int) -> UsageError:
    """Return the error of findings that no record holds."""
    return UsageError(
        f"what this rollout finds does not fit into one record ({size} bytes of {largest}): apply the files in "
        "parts, or give --no-record and do without `safeapply rollback`"
    )


def decoded(folded: bytes) -> tuple[Found, ...]:
    """Return the findings of a record, whoever wrote it; of what a forged one says nothing is believed unread.

    Raises:
        ClusterError: it is of another make, it says of an object what it is not, or it would fill the memory.
    """
    raw = _unfolded(folded)
    try:
        version = msgspec.json.decode(raw, type=_Versioned).formatVersion
        if version != FORMAT_VERSION:
            raise ClusterError(f"it is in format {version[:20]!r}, and this safeapply reads {FORMAT_VERSION}")
        found = tuple(map(_parsed, msgspec.json.decode(raw, type=_Told).objects))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ClusterError("safeapply did not write it") from error
    if len({one.id for one in found}) < len(found):
        raise ClusterError("it names an object twice")
    return found


class _Versioned(msgspec.Struct):
    formatVersion: str  # noqa: N815  JSON's name


class _Object(msgspec.Struct, forbid_unknown_fields=True):
    id: tuple[str, str, str, str]
    there: bool
    document: dict[str, Any] | None


class _Told(msgspec.Struct):
    objects: list[_Object]


def _unfolded(folded: bytes) -> bytes:
    """Decompress one gzip member, and no more than a record may hold."""
    stream = zlib.decompressobj(_GZIP)
    try:
        raw = stream.decompress(folded, UNFOLDED + 1)
    except zlib.error as error:
        raise ClusterError("it is not compressed as safeapply does it") from error
    if len(raw) > UNFOLDED:
        raise ClusterError(f"it is larger than {UNFOLDED} bytes when it is decompressed")
    if not stream.eof or stream.unused_data:
        raise ClusterError("it is cut off, or something follows it")
    return raw


def _parsed(told: _Object) -> Found:
    """Return a finding whose document is that of its own object.

    Raises:
        ClusterError: no such object can be, or the document is another's.
    """
    group, kind, namespace, name = told.id
    one = ResourceId(group, kind, Namespace(namespace), name)
    if any(identifier_faults(one.group_kind, namespace, name)):
        raise ClusterError(f"it names {str(one)!r}, and no object can be called so")
    if told.document is None:
        return Found(one, None, told.there)
    if not told.there or one.group_kind == SECRET or not _is_of(told.document, one):
        raise ClusterError(f"what it says of {one} is not of that object")
    return Found(one, told.document, there=True)


def _is_of(document: Document, one: ResourceId) -> bool:
    version, metadata = document.get("apiVersion"), document.get("metadata")
    if not (isinstance(version, str) and isinstance(metadata, dict)):
        return False
    group, _, version = version.rpartition("/")
    named = (group, document.get("kind"), metadata.get("name")) == (one.group, one.kind, one.name)
    space = metadata.get("namespace")
    return named and space in {None, str(one.namespace)} and not api_version_fault(version)


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
