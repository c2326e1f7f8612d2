"""The sentence that a report has for each event; counts that only change on the way have none."""

from __future__ import annotations

from typing import assert_never

from safeapply.report.wording import counted
from safeapply.rollout.durations import duration
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
    Waiting,
    WorkloadsAwaited,
    Wrote,
)

__all__ = ["sentence"]


def sentence(event: Event) -> str:  # noqa: C901, PLR0911, PLR0912  one for each event
    """Return what happened; empty for what the figures tell better."""
    match event:
        case Queued(why=why):
            return why
        case PlanStarted(plan=plan):
            return f"{counted(len(plan.steps), 'step')} to go"
        case Replanned(why=why, left=left):
            return f"{why}: planned again, {counted(left, 'step')} to go as before"
        case StepStarted() | Waiting() | WorkloadsAwaited() | StepDone():
            return ""
        case ReplicasAsked(seen=seen, unasked=unasked):
            told = [f"{one} has seen every write" for one in seen]
            return "; ".join([*told, *(f"not known of {one.replica}: {one.why}" for one in unasked)])
        case LeftOut(proxies=proxies):
            return f"{counted(len(proxies), 'proxy')} not counted, {proxies[0].proxy} first: {proxies[0].why}"
        case BarrierPassed(proxies=proxies, seconds=seconds):
            return f"all of {counted(proxies, 'proxy')} ready after {duration(seconds)}"
        case NoProxies():
            return "no proxy runs in this mesh, so there is nothing to wait for"
        case Soaking(seconds=seconds):
            return f"{duration(seconds)} for requests under way"
        case Wrote(resource=resource, word=word):
            return f"{resource} {word}"
        case Settled(seconds=seconds):
            return f"settled after {duration(seconds)}"
        case Stopped(why=why):
            return f"stopped: {why.splitlines()[0] if why else ''}"
        case _:
            assert_never(event)
