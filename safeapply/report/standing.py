"""Where the mesh stands when a rollout ended early: what is written, what is left, and how to go on. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from safeapply.plans.plan import Operation, Phase, Plan
from safeapply.report.wording import counted, short
from safeapply.rollout.progress import Progress, State

__all__ = ["left_over", "standing"]

SHOWN = 10
"""How many objects are named of those written, and of those left."""


def standing(progress: Progress) -> str:
    """Return what the operator has to know at 3 a.m., in a few lines."""
    written = [f"{short(one.resource)} {one.word}" for step in progress.steps for one in step.wrote]
    if not written:
        return "nothing was written; run the same command again to begin"
    left = list(map(_told, _left(progress)))
    rest = (
        _named("still to do", left) if left else ["everything is written; what is left is to see it on the proxies"]
    )
    lines = [
        *_named("written", written),
        *rest,
        "the mesh is in a safe state: run the same command again to go on, or `safeapply rollback` to go back",
    ]
    return "\n".join(lines)


def _left(progress: Progress) -> Iterator[Operation]:
    """Yield what has not been written, of every step."""
    for step, known in zip(progress.plan.steps, progress.steps, strict=False):
        if known.state is not State.DONE:
            done = {one.resource for one in known.wrote}
            yield from (one for one in step.operations if one.resource.id not in done)


def _told(operation: Operation) -> str:
    bridge = " (bridge)" if operation.bridge else ""
    return f"{operation.action.value} {short(operation.resource.id)}{bridge}"


def _named(what: str, objects: list[str]) -> list[str]:
    more = len(objects) - SHOWN
    rest = [f"  and {more} more"] if more > 0 else []
    return [f"{what} ({counted(len(objects), 'write')}):", *(f"  {one}" for one in objects[:SHOWN]), *rest]


def left_over(plan: Plan) -> str:
    """Return a sentence about what a rollout in parts has left, and what does it; empty where nothing is left."""
    if not plan.left:
        return ""
    phases = ",".join(phase.value for phase in Phase if any(step.phase is phase for step in plan.left))
    objects = {one.resource.id for step in plan.left for one in step.operations}
    return f"left for another run, with --phase={phases}: {', '.join(map(short, sorted(objects)))}"
