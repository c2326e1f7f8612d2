"""What a rollout did, as JSON: per step the writes, the waits and who was waited for; the way back inside it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from safeapply.plans.plan import Action, Operation, Phase, Plan
from safeapply.report.outcome_format import (
    Ended,
    Istiod,
    Lagging,
    Outcome,
    Propagation,
    Slow,
    StepOutcome,
    StoppedAt,
    Unknown,
    Wait,
    Written,
)
from safeapply.report.results import result_line
from safeapply.resources.objects import ResourceId
from safeapply.rollout.events import Event, Settled, Stopped, Wrote
from safeapply.rollout.progress import Progress, StepProgress, progress_of
from safeapply.rollout.propagation import propagation
from safeapply.visible import visible_json

__all__ = [
    "Leg",
    "final_words",
    "outcome_document",
    "outcome_json",
    "result_lines",
    "would_be",
]

SLOWEST: Final = 3
"""How many of the proxies that were waited for are named."""
_MILLISECONDS = 3


def outcome_json(events: Iterable[Event], plan: Plan | None = None, back: Leg | None = None) -> str:
    """Return the report of a rollout as indented JSON, with a newline at the end."""
    text = msgspec.json.encode(_outcome(Leg(plan, tuple(events)), back))
    return visible_json(msgspec.json.format(text, indent=2).decode()) + "\n"


def outcome_document(events: Iterable[Event], plan: Plan | None = None, back: Leg | None = None) -> dict[str, Any]:
    """Return the report of a rollout, as ``report.outcome_format`` has it.

    Args:
        events: what happened; nothing, where there was nothing to do or another run held the lock.
        plan: what was to happen; the first event has it too.
        back: the way back, if one was begun.
    """
    document: dict[str, Any] = json.loads(outcome_json(events, plan, back))
    return document


@dataclass(frozen=True, slots=True)
class Leg:
    """One way of a rollout: there, or back."""

    plan: Plan | None
    """None where it came to no plan."""
    events: tuple[Event, ...] = ()

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why nothing was written, one sentence each."""
        return tuple(one.request for one in self.plan.refusals) if self.plan else ()

    @property
    def ending(self) -> Ended:
        """How it ended; of a plan that nothing was done about, what is to say of it."""
        return _ending(progress_of(self.events, self.plan), self.plan)


def _outcome(leg: Leg, back: Leg | None) -> Outcome:
    progress = progress_of(leg.events, leg.plan)
    final = next((step for step in progress.steps if step.phase is None), None)
    return Outcome(
        outcome=leg.ending,
        seconds=_rounded(progress.now - progress.started),
        seconds_since_first_write=_rounded(_since_first_write(progress)),
        soak_seconds=_rounded(sum(step.soaked for step in progress.steps)),
        steps=tuple(_step(step, step.phase, progress) for step in progress.steps if step.phase is not None),
        settled=Wait(**_wait(final)) if final else None,
        unchanged=tuple(str(one) for one in progress.plan.unchanged),
        refusals=leg.refusals or UNSET,
        left=tuple(step.phase.value for step in progress.plan.left) or UNSET,
        stopped=_stopped(progress),
        rollback=_outcome(back, None) if back else UNSET,
    )


def _ending(progress: Progress, plan: Plan | None) -> Ended:
    if progress.plan.refusals:
        return "refused"
    if plan is not None and not plan.steps:
        return "unchanged"
    match progress.ended:
        case Settled():
            return "settled"
        case Stopped():
            return "stopped"
        case None:
            return "unfinished"


def result_lines(plan: Plan | None, events: Iterable[Event]) -> tuple[str, ...]:
    """Return kubectl's line for every object: what was written in the end, then what needed no write."""
    return tuple(result_line(one, word) for one, word in final_words(plan, events).items())


def final_words(plan: Plan | None, events: Iterable[Event]) -> dict[ResourceId, str]:
    """Return kubectl's word for every object: what was written in the end, then what needed no write."""
    words: dict[ResourceId, str] = {}
    for event in events:
        if isinstance(event, Wrote):
            # A bridge creates and the desired version configures: to the user the object was created.
            words[event.resource] = _stronger(words.get(event.resource), event.word)
    return words | {one: "unchanged" for one in (plan.unchanged if plan else ()) if one not in words}


def would_be(plan: Plan, deletion: str) -> dict[ResourceId, str]:
    """Return kubectl's word for every object, as a rollout of the plan would have it.

    Args:
        plan: the plan.
        deletion: the word for what is taken away: deleted, or pruned.
    """
    words: dict[ResourceId, str] = {}
    for operation in (operation for step in plan.steps for operation in step.operations):
        one = operation.resource.id
        known = "configured" if one in plan.versions else "created"
        words[one] = deletion if operation.action is Action.DELETE else known
    return words | dict.fromkeys(plan.unchanged, "unchanged")


def _stronger(earlier: str | None, word: str) -> str:
    if earlier == "created" and word not in {"deleted", "pruned"}:
        return earlier
    return earlier if earlier is not None and word == "unchanged" else word


def _stopped(progress: Progress) -> StoppedAt | UnsetType:
    match progress.ended:
        case Stopped(step=step, why=why):
            return StoppedAt(step, why)
        case _:
            return UNSET


def _since_first_write(progress: Progress) -> float:
    first = min((wrote.at for step in progress.steps for wrote in step.wrote), default=progress.now)
    return progress.now - first


def _step(step: StepProgress, phase: Phase, progress: Progress) -> StepOutcome:
    return StepOutcome(
        phase=phase.value,
        state=step.state.value,
        **_wait(step),
        soak_seconds=_rounded(step.soaked),
        writes=tuple(_write(wrote, progress) for wrote in step.wrote),
    )


def _wait(step: StepProgress) -> dict[str, Any]:
    figures = propagation(step)
    return {
        "waited_seconds": _rounded(step.waited),
        "proxies": step.proxies,
        "slowest": tuple(Slow(proxy, _rounded(at)) for proxy, at in step.slowest[:SLOWEST]),
        "propagation_seconds": Propagation(_rounded(figures.p50), _rounded(figures.p99)) if figures else UNSET,
        "stragglers": tuple(Lagging(one.proxy, one.why) for one in step.stragglers) or UNSET,
        "not_counted": tuple(Lagging(one.proxy, one.why) for one in step.left_out) or UNSET,
        "istiod": _istiod(step) if step.overseers or step.unasked else UNSET,
    }


def _istiod(step: StepProgress) -> Istiod:
    return Istiod(step.overseers, tuple(Unknown(one.replica, one.why) for one in step.unasked))


def _write(wrote: Wrote, progress: Progress) -> Written:
    return Written(
        action=wrote.action.value,
        resource=str(wrote.resource),
        result=wrote.word,
        resource_version=wrote.resource_version,
        at=_rounded(wrote.at - progress.started),
        bridge=True if _is_bridge(wrote, progress.plan) else UNSET,
    )


def _is_bridge(wrote: Wrote, plan: Plan) -> bool:
    operations: tuple[Operation, ...] = (
        plan.steps[wrote.step - 1].operations if wrote.step <= len(plan.steps) else ()
    )
    return any(o.bridge and o.resource.id == wrote.resource and o.action is Action.APPLY for o in operations)


def _rounded(seconds: float) -> float:
    return round(seconds, _MILLISECONDS)
