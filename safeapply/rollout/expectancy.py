"""How long a rollout may still take, judged by what it has taken so far."""

from __future__ import annotations

from statistics import median

from safeapply.rollout.progress import Progress, State, StepProgress

__all__ = ["left"]


def left(progress: Progress, now: float) -> float | None:
    """Return seconds: the soaks to come, and for each barrier to come as long as the middle one took so far.

    None before the first barrier has opened, and when one takes longer than that: then nothing is known.
    """
    opened = [step.waited for step in progress.steps if step.state is State.DONE and step.proxies]
    if not opened or progress.ended is not None:
        return None
    typical = median(opened)
    current = progress.current
    waiting = current is not None and current.state is State.WAITING and current.proxies > 0
    spent = now - current.since if current is not None and waiting else 0.0
    if spent > typical:
        return None
    soaking = current is not None and current.state is State.SOAKING
    rest = max(0.0, current.soaked - (now - current.soak_since)) if current is not None and soaking else 0.0
    coming = [step for step in progress.steps if _is_to_come(step, progress)]
    soaks = sum(_soak(step, progress) for step in coming)
    return rest + soaks + (typical - spent if waiting else 0.0) + typical * sum(_waits(s, progress) for s in coming)


def _is_to_come(step: StepProgress, progress: Progress) -> bool:
    return step.state is State.PENDING and (step.phase is None or step.number <= len(progress.plan.steps))


def _soak(step: StepProgress, progress: Progress) -> float:
    return 0.0 if step.phase is None else progress.plan.steps[step.number - 1].soak_seconds


def _waits(step: StepProgress, progress: Progress) -> bool:
    return bool(progress.plan.settled if step.phase is None else progress.plan.steps[step.number - 1].expectations)
