"""How an object ends: marked first, if anything keeps it, and gone when nothing does any more. Pure.

Follows ``BeforeDelete`` and the finalizers of the real server's registry (apiserver ``registry/rest/delete.go``,
``registry/generic/registry/store.go``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from safeapply.resources.objects import Document
from safeapply.sandbox.apiserver.kinds import POD, Kind

__all__ = ["doomed", "ending", "stays"]

_FINALIZERS: Final[Mapping[str, str]] = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}


def doomed(kind: Kind, live: Document, *, now: str, propagation: str, grace: int | None) -> Document:
    """Return an object as a deletion leaves it, if anything is to be left of it.

    Args:
        kind: what it is.
        live: as it is stored.
        now: when it is deleted.
        propagation: ``Foreground``, ``Orphan``, or anything else for what needs no mark.
        grace: the seconds that a Pod is to have; None for those of its spec.
    """
    metadata = dict(live["metadata"])
    finalizers = [one for one in metadata.get("finalizers") or [] if one not in _FINALIZERS.values()]
    if propagation:
        finalizers += [_FINALIZERS[propagation]] if propagation in _FINALIZERS else []
        metadata["finalizers"] = finalizers
        if not finalizers:
            del metadata["finalizers"]
    seconds = _grace(kind, live, grace)
    if "deletionTimestamp" in metadata:
        before = metadata.get("deletionGracePeriodSeconds", 0)
        if seconds < before:
            metadata |= {"deletionGracePeriodSeconds": seconds, "deletionTimestamp": now}
        return {**live, "metadata": metadata}
    if metadata.get("finalizers") or seconds or kind.group_kind == POD:
        metadata |= {"deletionTimestamp": now, "deletionGracePeriodSeconds": seconds}
        if "generation" in metadata:
            metadata["generation"] += 1
    return {**live, "metadata": metadata}


def ending(namespace: Document, now: str) -> Document:
    """Return a namespace that is to end: it stays, whatever is in it, for the namespace controller."""
    metadata = {"deletionTimestamp": now, **namespace["metadata"]}
    return {
        **namespace,
        "metadata": metadata,
        "status": {**(namespace.get("status") or {}), "phase": "Terminating"},
    }


def stays(document: Document) -> bool:
    """Tell whether anything keeps an object that is deleted."""
    metadata = document["metadata"]
    return bool(metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds"))


def _grace(kind: Kind, live: Document, asked: int | None) -> int:
    """Return the seconds that an object has left: only Pods on a node have any."""
    spec: Mapping[str, Any] = live.get("spec") or {}
    if kind.group_kind != POD or not spec.get("nodeName"):
        return 0
    if (live.get("status") or {}).get("phase") in {"Failed", "Succeeded"}:
        return 0
    seconds = spec.get("terminationGracePeriodSeconds", 30) if asked is None else asked
    return max(int(seconds), 1) if asked is not None and asked < 0 else int(seconds)
