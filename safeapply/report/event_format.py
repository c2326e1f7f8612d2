"""The format of ``-o events``: what one line may be; ``docs/events.schema.json`` is generated from these classes.

Within ``events/v1`` lines only gain fields and types. ``report.event_lines`` fills them.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

SCHEMA: Final = "safeapply.dev/events/v1"
SCHEMA_PAGE: Final = "https://safeapply.dev/schemas/events-v1.json"

Outcome: TypeAlias = Literal["settled", "stopped", "unfinished", "unchanged", "planned", "refused"]


class Reason(msgspec.Struct, frozen=True, rename="camel"):
    """Why some are waited for, or not asked: how many, and the first of them."""

    why: str
    count: int
    names: tuple[str, ...]


class PlannedStep(msgspec.Struct, frozen=True, rename="camel"):
    """What a step will do."""

    phase: Literal["widen", "switch", "narrow"]
    why: str
    writes: tuple[PlannedWrite, ...]


class PlannedWrite(msgspec.Struct, frozen=True, rename="camel"):
    """One write that is to come."""

    action: Literal["apply", "delete"]
    resource: str
    bridge: bool
    """Whether it is an intermediate version, neither live nor desired."""


class NotChecked(msgspec.Struct, frozen=True, rename="camel"):
    """A replica of istiod of which it is not known what it has seen."""

    replica: str
    why: str


class ObjectResult(msgspec.Struct, frozen=True, rename="camel"):
    """What became of one object, in kubectl's word."""

    resource: str
    result: str


class LineBase(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="type", tag=lambda n: n[0].lower() + n[1:]
):
    """What every line has."""

    schema: Literal["safeapply.dev/events/v1"]
    time: str
    """RFC 3339, UTC."""
    at: float
    """Seconds since the first line."""


class _OfStep(LineBase, frozen=True, kw_only=True):
    step: int
    """1-based; the wait after the last step counts as one more."""


class LockAwaited(LineBase, frozen=True, kw_only=True):
    """Another rollout holds the lock."""

    why: str
    patience_seconds: float


class RolloutStarted(LineBase, frozen=True, kw_only=True):
    """The first step is next."""

    steps: tuple[PlannedStep, ...]
    left: tuple[PlannedStep, ...]
    """What another run is to do, where only some phases were asked for."""


class PlannedAgain(_OfStep, frozen=True, kw_only=True):
    """The mesh changed meanwhile; the steps from this one on are these."""

    why: str
    steps: tuple[PlannedStep, ...]
    left: tuple[PlannedStep, ...]


class StepBegan(_OfStep, frozen=True, kw_only=True):
    """A step is next: its barrier, its soak, its writes."""

    steps: int
    phase: Literal["widen", "switch", "narrow"]


class BarrierWaiting(_OfStep, frozen=True, kw_only=True):
    """A barrier is closed."""

    converged: int
    proxies: int
    stragglers: tuple[Reason, ...]


class WorkloadsWaiting(_OfStep, frozen=True, kw_only=True):
    """Workloads are not rolled out yet, or all are."""

    ready: int
    workloads: int
    stragglers: tuple[Reason, ...]


class IstiodAsked(_OfStep, frozen=True, kw_only=True):
    """Which replicas of istiod have seen every write."""

    seen_by: tuple[str, ...]
    not_checked: tuple[NotChecked, ...]


class NotCounted(_OfStep, frozen=True, kw_only=True):
    """Proxies that were not asked."""

    proxies: tuple[Reason, ...]


class BarrierOpened(_OfStep, frozen=True, kw_only=True):
    """Every proxy shows what the step needs."""

    proxies: int
    seconds: float
    slowest: str | None


class MeshWithoutProxies(LineBase, frozen=True, kw_only=True):
    """No Envoy runs."""


class SoakBegan(_OfStep, frozen=True, kw_only=True):
    """Requests under way get some time."""

    seconds: float


class ObjectWritten(_OfStep, frozen=True, kw_only=True):
    """One object was written or deleted."""

    action: Literal["apply", "delete"]
    resource: str
    result: str
    resource_version: str
    """Empty for a deletion."""


class StepEnded(_OfStep, frozen=True, kw_only=True):
    """All writes of a step are acknowledged."""


class RolloutSettled(LineBase, frozen=True, kw_only=True):
    """All is written, and the proxies show it."""

    seconds: float


class RolloutStopped(_OfStep, frozen=True, kw_only=True):
    """The rollout ended early, in a safe state."""

    why: str


class RollbackBegan(LineBase, frozen=True, kw_only=True):
    """The rollout takes too long, and the way back is next; its steps are counted from 1 again."""

    why: str


class Result(LineBase, frozen=True, kw_only=True):
    """The last line: how it ended, and every object once."""

    outcome: Outcome
    """Of the way there."""
    rollback: Outcome | None
    """Of the way back, where one was begun."""
    objects: tuple[ObjectResult, ...]
    refusals: tuple[str, ...]
    """Why nothing was written, one sentence each."""
    left: tuple[PlannedStep, ...]
    """What another run is to do, where only some phases were asked for."""


Line: TypeAlias = (
    LockAwaited
    | RolloutStarted
    | PlannedAgain
    | StepBegan
    | BarrierWaiting
    | WorkloadsWaiting
    | IstiodAsked
    | NotCounted
    | BarrierOpened
    | MeshWithoutProxies
    | SoakBegan
    | ObjectWritten
    | StepEnded
    | RolloutSettled
    | RolloutStopped
    | RollbackBegan
    | Result
)


def events_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of one line."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_PAGE,
        "title": f"A line of `safeapply apply -o events` ({SCHEMA})",
    }
    return head | msgspec.json.schema(Line)
