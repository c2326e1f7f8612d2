"""The events of a rollout as lines of JSON, one object each, for programs that follow it: ``-o events``.

The classes here are the format: ``docs/events.schema.json`` is generated from them, and a test holds the two
together. Within ``events/v1`` lines only gain fields and types. Lines stay small, however large the mesh:
stragglers are told by their reasons, each with the first of its proxies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias, assert_never

import msgspec

from safeapply.plans.plan import Plan
from safeapply.report.outcome import final_words
from safeapply.resources.objects import ResourceId
from safeapply.rollout.events import (
    BarrierPassed,
    Event,
    LeftOut,
    NoProxies,
    PlanStarted,
    Queued,
    Replanned,
    ReplicasAsked,
    Settled,
    Soaking,
    StepDone,
    StepStarted,
    Stopped,
    Straggler,
    Waiting,
    WorkloadsAwaited,
    Wrote,
)
from safeapply.rollout.progress import by_reason

__all__ = ["SCHEMA", "EventLines", "Line", "events_schema"]

SCHEMA: Final = "safeapply.dev/events/v1"
SCHEMA_PAGE: Final = "https://safeapply.dev/schemas/events-v1.json"
NAMED: Final = 10
"""How many proxies are named for each reason; their number is always told."""
_MILLISECONDS: Final = 3

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


class PlannedAgain(_OfStep, frozen=True, kw_only=True):
    """The mesh changed meanwhile; the steps from this one on are these."""

    why: str
    steps: tuple[PlannedStep, ...]


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


class Result(LineBase, frozen=True, kw_only=True):
    """The last line: how it ended, and every object once."""

    outcome: Outcome
    objects: tuple[ObjectResult, ...]
    refusals: tuple[str, ...]
    """Why nothing was written, one sentence each."""


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


@dataclass(slots=True)
class EventLines:
    """Turns the events of one rollout into lines, in their order.

    Args:
        begun: the wall clock's time of the first event, in UTC.
    """

    begun: datetime
    first: float | None = None
    last: float = field(default=0.0)

    def line(self, event: Event) -> str:
        """Return the line of the next event, without a line feed."""
        self.first = event.at if self.first is None else self.first
        self.last = event.at - self.first
        return _encoded(_line(event, self._head()))

    def result(self, plan: Plan, events: Iterable[Event], would_be: Mapping[ResourceId, str] | None = None) -> str:
        """Return the last line.

        Args:
            plan: what was to be done.
            events: what happened.
            would_be: of a dry-run, what would become of each object.
        """
        told = tuple(events)
        words = final_words(plan, told) if would_be is None else would_be
        line = Result(
            **self._head(),
            outcome=_outcome(plan, told, planned=would_be is not None),
            objects=tuple(ObjectResult(str(one), word) for one, word in words.items()),
            refusals=tuple(one.request for one in plan.refusals),
        )
        return _encoded(line)

    def _head(self) -> dict[str, Any]:
        time = self.begun + timedelta(seconds=self.last)
        told = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"schema": SCHEMA, "time": told, "at": _rounded(self.last)}


def _outcome(plan: Plan, events: tuple[Event, ...], *, planned: bool) -> Outcome:
    if plan.refusals:
        return "refused"
    if planned:
        return "planned"
    match events[-1] if events else None:
        case Settled():
            return "settled"
        case Stopped():
            return "stopped"
        case _:
            return "unfinished" if plan.steps else "unchanged"


def _line(event: Event, head: dict[str, Any]) -> Line:  # noqa: C901, PLR0911, PLR0912  one for each event
    match event:
        case Queued(why=why, patience=patience):
            return LockAwaited(**head, why=why, patience_seconds=_rounded(patience))
        case PlanStarted(plan=plan):
            return RolloutStarted(**head, steps=_steps(plan))
        case Replanned(step=step, why=why, plan=plan):
            return PlannedAgain(**head, step=step, why=why, steps=_steps(plan)[step - 1 :])
        case StepStarted(step=step, total=total, phase=phase):
            return StepBegan(**head, step=step, steps=total, phase=phase.value)
        case Waiting(step=step, converged=converged, total=total, stragglers=behind):
            return BarrierWaiting(
                **head, step=step, converged=converged, proxies=total, stragglers=_reasons(behind)
            )
        case WorkloadsAwaited(step=step, ready=ready, total=total, stragglers=behind):
            return WorkloadsWaiting(**head, step=step, ready=ready, workloads=total, stragglers=_reasons(behind))
        case ReplicasAsked(step=step, seen=seen, unasked=unasked):
            silent = tuple(NotChecked(one.replica, one.why) for one in unasked)
            return IstiodAsked(**head, step=step, seen_by=seen, not_checked=silent)
        case LeftOut(step=step, proxies=left_out):
            return NotCounted(**head, step=step, proxies=_reasons(left_out))
        case BarrierPassed(step=step, proxies=proxies, seconds=seconds, slowest=slowest):
            return BarrierOpened(**head, step=step, proxies=proxies, seconds=_rounded(seconds), slowest=slowest)
        case NoProxies():
            return MeshWithoutProxies(**head)
        case Soaking(step=step, seconds=seconds):
            return SoakBegan(**head, step=step, seconds=_rounded(seconds))
        case Wrote():
            return _written(event, head)
        case StepDone(step=step):
            return StepEnded(**head, step=step)
        case Settled(seconds=seconds):
            return RolloutSettled(**head, seconds=_rounded(seconds))
        case Stopped(step=step, why=why):
            return RolloutStopped(**head, step=step, why=why)
        case _:
            assert_never(event)


def _written(event: Wrote, head: dict[str, Any]) -> ObjectWritten:
    return ObjectWritten(
        **head,
        step=event.step,
        action=event.action.value,
        resource=str(event.resource),
        result=event.word,
        resource_version=event.resource_version,
    )


def _steps(plan: Plan) -> tuple[PlannedStep, ...]:
    return tuple(
        PlannedStep(
            phase=step.phase.value,
            why=step.why,
            writes=tuple(PlannedWrite(o.action.value, str(o.resource.id), o.bridge) for o in step.operations),
        )
        for step in plan.steps
    )


def _reasons(stragglers: Iterable[Straggler]) -> tuple[Reason, ...]:
    return tuple(Reason(why, len(names), names[:NAMED]) for why, names in by_reason(stragglers))


def _encoded(line: Line) -> str:
    return msgspec.json.encode(line).decode()


def _rounded(seconds: float) -> float:
    return round(seconds, _MILLISECONDS)
