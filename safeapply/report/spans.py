"""When each step waited, soaked and wrote: the stretches of a timeline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from safeapply.rollout.events import (
    BarrierPassed,
    Event,
    Soaking,
    StepDone,
    StepStarted,
    Stopped,
    Waiting,
    WorkloadsAwaited,
    Wrote,
)

__all__ = ["Span", "spans"]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one step, on the rollout's clock."""

    step: int
    kind: Literal["wait", "soak", "write"]
    start: float
    end: float


def spans(events: Iterable[Event]) -> tuple[Span, ...]:
    """Return the stretches in their order; what was cut off ends with the last event."""
    found: list[Span] = []
    doing: Span | None = None
    for event in events:
        match event:
            case StepStarted():
                # Unless a barrier turns out to be closed, the step writes from here on.
                doing = Span(event.step, "write", event.at, event.at)
            case Waiting() | WorkloadsAwaited():
                begun = doing.start if doing is not None and doing.step == event.step else event.at
                doing = Span(event.step, "wait", begun, event.at)
            case BarrierPassed() | Soaking() | Wrote() | StepDone() | Stopped():
                if doing is not None and doing.step == event.step:
                    found.append(_ended(doing, event.at))
                kind: Literal["soak", "write"] = "soak" if isinstance(event, Soaking) else "write"
                over = isinstance(event, StepDone | Stopped)
                doing = None if over else Span(event.step, kind, event.at, event.at)
            case _:
                continue
        if doing is not None:
            doing = _ended(doing, event.at)
    return tuple(found if doing is None or doing.end == doing.start else [*found, doing])


def _ended(span: Span, at: float) -> Span:
    return Span(span.step, span.kind, span.start, at)
