"""What a rollout did, as JSON: per step the writes, the waits and who was waited for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from safeapply.plans.plan import Action, Operation, Plan
from safeapply.report.results import result_line
from safeapply.resources.objects import ResourceId
from safeapply.rollout.events import Event, Settled, Stopped, Wrote
from safeapply.rollout.progress import Progress, StepProgress, progress_of
from safeapply.rollout.propagation import propagation

__all__ = [
    "FORMAT_VERSION",
    "final_words",
    "outcome_document",
    "outcome_json",
    "outcome_of",
    "result_lines",
    "would_be",
]

FORMAT_VERSION: Final = "1"
SLOWEST: Final = 3
"""How many of the proxies that were waited for are named."""
_MILLISECONDS = 3


def outcome_json(events: Iterable[Event], plan: Plan | None = None) -> str:
    """Return the report of a rollout as indented JSON, with a newline at the end."""
    return json.dumps(outcome_document(events, plan), indent=2, ensure_ascii=False) + "\n"


def outcome_document(events: Iterable[Event], plan: Plan | None = None) -> dict[str, Any]:
    """Return the report of a rollout; of one that was cut off, as far as it went.

    Args:
        events: what happened; nothing, where there was nothing to do or another run held the lock.
        plan: what was to happen; the first event has it too.
    """
    progress = progress_of(events, plan)
    return {
        "formatVersion": FORMAT_VERSION,
        "outcome": "unchanged" if plan is not None and not plan.steps else outcome_of(progress),
        "seconds": _rounded(progress.now - progress.started),
        "secondsSinceFirstWrite": _rounded(_since_first_write(progress)),
        "soakSeconds": _rounded(sum(step.soaked for step in progress.steps)),
        "steps": [_step(step, progress) for step in progress.steps if step.phase is not None],
        "settled": next((_barrier(step) for step in progress.steps if step.phase is None), None),
        "unchanged": [str(one) for one in progress.plan.unchanged],
        **({"left": [step.phase.value for step in progress.plan.left]} if progress.plan.left else {}),
        **_stopped(progress),
    }


def result_lines(plan: Plan, events: Iterable[Event]) -> tuple[str, ...]:
    """Return kubectl's line for every object: what was written in the end, then what needed no write."""
    return tuple(result_line(one, word) for one, word in final_words(plan, events).items())


def final_words(plan: Plan, events: Iterable[Event]) -> dict[ResourceId, str]:
    """Return kubectl's word for every object: what was written in the end, then what needed no write."""
    words: dict[ResourceId, str] = {}
    for event in events:
        if isinstance(event, Wrote):
            # A bridge creates and the desired version configures: to the user the object was created.
            words[event.resource] = _stronger(words.get(event.resource), event.word)
    return words | {one: "unchanged" for one in plan.unchanged if one not in words}


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


def outcome_of(progress: Progress) -> str:
    """Return how a rollout ended: settled, stopped, or unfinished."""
    match progress.ended:
        case Settled():
            return "settled"
        case Stopped():
            return "stopped"
        case None:
            return "unfinished"


def _stopped(progress: Progress) -> dict[str, Any]:
    match progress.ended:
        case Stopped(step=step, why=why):
            return {"stopped": {"step": step, "why": why}}
        case _:
            return {}


def _since_first_write(progress: Progress) -> float:
    first = min((wrote.at for step in progress.steps for wrote in step.wrote), default=progress.now)
    return progress.now - first


def _step(step: StepProgress, progress: Progress) -> dict[str, Any]:
    return {
        "phase": step.phase.value if step.phase else None,
        "state": step.state.value,
        **_barrier(step),
        "soakSeconds": _rounded(step.soaked),
        "writes": [_write(wrote, progress) for wrote in step.wrote],
    }


def _barrier(step: StepProgress) -> dict[str, Any]:
    told: dict[str, Any] = {
        "waitedSeconds": _rounded(step.waited),
        "proxies": step.proxies,
        "slowest": [{"proxy": proxy, "seconds": _rounded(at)} for proxy, at in step.slowest[:SLOWEST]],
    }
    if figures := propagation(step):
        told["propagationSeconds"] = {"p50": _rounded(figures.p50), "p99": _rounded(figures.p99)}
    if step.stragglers:
        told["stragglers"] = [{"proxy": one.proxy, "why": one.why} for one in step.stragglers]
    if step.left_out:
        told["notCounted"] = [{"proxy": one.proxy, "why": one.why} for one in step.left_out]
    if step.overseers or step.unasked:
        told["istiod"] = {
            "seenBy": list(step.overseers),
            "notChecked": [{"replica": one.replica, "why": one.why} for one in step.unasked],
        }
    return told


def _write(wrote: Wrote, progress: Progress) -> dict[str, Any]:
    told: dict[str, Any] = {
        "action": wrote.action.value,
        "resource": str(wrote.resource),
        "result": wrote.word,
        "resourceVersion": wrote.resource_version,
        "at": _rounded(wrote.at - progress.started),
    }
    return told | ({"bridge": True} if _is_bridge(wrote, progress.plan) else {})


def _is_bridge(wrote: Wrote, plan: Plan) -> bool:
    operations: tuple[Operation, ...] = (
        plan.steps[wrote.step - 1].operations if wrote.step <= len(plan.steps) else ()
    )
    return any(o.bridge and o.resource.id == wrote.resource and o.action is Action.APPLY for o in operations)


def _rounded(seconds: float) -> float:
    return round(seconds, _MILLISECONDS)
