"""The events of a rollout as lines of JSON, one object each, for programs that follow it: ``-o events``.

``report.event_format`` says what a line may be. Lines stay small, however large the mesh: stragglers are told
by their reasons, each with the first of its proxies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, assert_never

import msgspec

from safeapply.plans.plan import Step
from safeapply.report.event_format import (
    SCHEMA,
    BarrierOpened,
    BarrierWaiting,
    IstiodAsked,
    Line,
    LockAwaited,
    MeshWithoutProxies,
    NotChecked,
    NotCounted,
    ObjectResult,
    ObjectWritten,
    PlannedAgain,
    PlannedStep,
    PlannedWrite,
    Reason,
    Result,
    RollbackBegan,
    RolloutSettled,
    RolloutStarted,
    RolloutStopped,
    SoakBegan,
    StepBegan,
    StepEnded,
    WorkloadsWaiting,
)
from safeapply.report.outcome import Leg, final_words
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
from safeapply.visible import visible_json

__all__ = ["EventLines"]

NAMED: Final = 10
"""How many proxies are named for each reason; their number is always told."""
_MILLISECONDS: Final = 3


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

    def turning_back(self, why: str) -> str:
        """Return the line between the way there and the way back."""
        return _encoded(RollbackBegan(**self._head(), why=why))

    def result(self, there: Leg, back: Leg | None = None, would_be: Mapping[ResourceId, str] | None = None) -> str:
        """Return the last line.

        Args:
            there: what was to be done, and what happened.
            back: the way back, if one was begun.
            would_be: of a dry-run, what would become of each object.
        """
        events = (*there.events, *(back.events if back else ()))
        words = final_words(there.plan, events) if would_be is None else would_be
        line = Result(
            **self._head(),
            outcome="planned" if would_be is not None and not there.refusals else there.ending,
            rollback=back.ending if back else None,
            objects=tuple(ObjectResult(str(one), word) for one, word in words.items()),
            refusals=(*there.refusals, *(back.refusals if back else ())),
            left=_steps(there.plan.left if there.plan else ()),
        )
        return _encoded(line)

    def _head(self) -> dict[str, Any]:
        time = self.begun + timedelta(seconds=self.last)
        told = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"schema": SCHEMA, "time": told, "at": _rounded(self.last)}


def _line(event: Event, head: dict[str, Any]) -> Line:  # noqa: C901, PLR0911, PLR0912  one for each event
    match event:
        case Queued(why=why, patience=patience):
            return LockAwaited(**head, why=why, patience_seconds=_rounded(patience))
        case PlanStarted(plan=plan):
            return RolloutStarted(**head, steps=_steps(plan.steps), left=_steps(plan.left))
        case Replanned(step=step, why=why, plan=plan):
            to_come = _steps(plan.steps[step - 1 :])
            return PlannedAgain(**head, step=step, why=why, steps=to_come, left=_steps(plan.left))
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


def _steps(steps: Iterable[Step]) -> tuple[PlannedStep, ...]:
    return tuple(
        PlannedStep(
            phase=step.phase.value,
            why=step.why,
            writes=tuple(PlannedWrite(o.action.value, str(o.resource.id), o.bridge) for o in step.operations),
        )
        for step in steps
    )


def _reasons(stragglers: Iterable[Straggler]) -> tuple[Reason, ...]:
    return tuple(Reason(why, len(names), names[:NAMED]) for why, names in by_reason(stragglers))


def _encoded(line: Line) -> str:
    return visible_json(msgspec.json.encode(line).decode())


def _rounded(seconds: float) -> float:
    return round(seconds, _MILLISECONDS)
