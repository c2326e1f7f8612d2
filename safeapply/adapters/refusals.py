"""Why an API server refuses an apply: which fields have other managers, in a ``Status`` of its API.

Whatever has another form gives no reason. The refusal stays one, with the words that it came with.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import msgspec

from safeapply.adapters.connection import Reply

__all__ = ["conflicting_managers", "without_managers"]


class _Cause(msgspec.Struct):
    reason: str | None = None
    message: str = ""
    field: str = ""

    @property
    def manager(self) -> str:
        """Who is in the way: the API server puts the name in quotes."""
        return self.message.partition('"')[2].partition('"')[0]


class _Details(msgspec.Struct):
    causes: list[_Cause] | None = None


class _Status(msgspec.Struct):
    details: _Details | None = None


def conflicting_managers(reply: Reply) -> frozenset[str]:
    """Return the field managers that an apply conflicts with."""
    return frozenset(cause.manager for cause in _causes(reply) if cause.reason == "FieldManagerConflict")


def without_managers(refusal: Reply, yielding: Collection[str]) -> Reply:
    """Return a conflict without those managers that give way, in the API server's words."""
    left = [cause for cause in _causes(refusal) if cause.manager not in yielding]
    details = {"causes": msgspec.to_builtins(left)}
    return replace(refusal, document={**refusal.document, "message": _sentence(left), "details": details})


def _causes(reply: Reply) -> Collection[_Cause]:
    if reply.ok:
        return ()
    try:
        status = msgspec.convert(reply.document, _Status)
    except msgspec.ValidationError:
        return ()
    return (status.details and status.details.causes) or ()


def _sentence(causes: Collection[_Cause]) -> str:
    """Return what the API server says of conflicts (structured-merge-diff ``merge/conflict.go``)."""
    if len(causes) == 1:
        (cause,) = causes
        return f"Apply failed with 1 conflict: {cause.message}: {cause.field}"
    fields: dict[str, list[str]] = {}
    for cause in causes:
        fields.setdefault(cause.message.replace("conflict", "conflicts", 1), []).append(cause.field)
    told = (f"{whom}:\n" + "\n".join(f"- {one}" for one in named) for whom, named in fields.items())
    return f"Apply failed with {len(causes)} conflicts: " + "\n".join(told)
