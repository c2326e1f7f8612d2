"""A plan as a Mermaid flowchart, which code hosts draw in a pull request's description."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Final

from safeapply.plans.plan import Action, Plan, Step
from safeapply.report.wording import counted, expectation, rolled_out, short
from safeapply.rollout.durations import duration
from safeapply.visible import visible
from safeapply.xds.expectations import Expectation

__all__ = ["plan_mermaid"]

NAMED: Final = 3
"""How many expectations a wait names; a picture has room for few."""
_UNSAFE: Final = str.maketrans({one: f"#{ord(one)};" for one in '#"<>&`\\[]{}()|;\n\r'})


def plan_mermaid(plan: Plan) -> str:
    """Return the flowchart, with a line feed at the end: steps in order, their writes, and the waits in between."""
    return "\n".join(("flowchart TD", *(f"  {line}" for line in _lines(plan)))) + "\n"


def _lines(plan: Plan) -> Iterator[str]:
    if plan.refusals:
        yield from (f"refused{n}[{_quoted(one.request)}]" for n, one in enumerate(plan.refusals, 1))
        return
    before = "live"
    yield f"{before}([live])"
    for number, step in enumerate(plan.steps, 1):
        yield from _subgraph(number, step)
        before = yield from _wait(f"wait{number}", before, _told(step), f"step{number}")
    settled = [*map(rolled_out, plan.workloads), *map(expectation, plan.settled)]
    if plan.left:
        settled += _soak(plan.left[0])
        yield "left([left for another run])"
        yield from _wait("waitdone", before, settled, "left")
        yield from _left(plan)
    else:
        yield "desired([desired])"
        yield from _wait("waitdone", before, settled, "desired")


def _left(plan: Plan) -> Iterator[str]:
    """Yield the steps of another run, behind broken arrows: it reads the mesh anew, and waits for what it needs."""
    before = "left"
    for number, step in enumerate(plan.left, len(plan.steps) + 1):
        yield from _subgraph(number, step)
        yield f"{before} -.-> step{number}"
        before = f"step{number}"
    yield "desired([desired])"
    yield f"{before} -.-> desired"


def _subgraph(number: int, step: Step) -> Iterator[str]:
    title = f"{number} {step.phase.value}: {counted(len(step.operations), 'write')}"
    yield f"subgraph step{number}[{_quoted(title)}]"
    for index, one in enumerate(step.operations, 1):
        verb = "delete " if one.action is Action.DELETE else ""
        bridge = " (bridge)" if one.bridge else ""
        yield f"  write{number}_{index}[{_quoted(verb + short(one.resource.id) + bridge)}]"
    yield "end"


def _wait(name: str, before: str, told: list[str], after: str) -> Generator[str, None, str]:
    """Yield the edge from one step to the next, through the wait between them; return the next one's name."""
    if not told:
        yield f"{before} --> {after}"
        return after
    shown = [*told[:NAMED], *([f"and {len(told) - NAMED} more"] if len(told) > NAMED else [])]
    yield f"{name}{{{{{_quoted(*shown)}}}}}"
    yield f"{before} --> {name} --> {after}"
    return after


def _told(step: Step) -> list[str]:
    expected: tuple[Expectation, ...] = step.expectations
    return [*map(rolled_out, step.workloads), *map(expectation, expected), *_soak(step)]


def _soak(step: Step) -> list[str]:
    return [f"then {duration(step.soak_seconds)} for requests under way"] if step.soak_seconds else []


def _quoted(*lines: str) -> str:
    """Return a label; every character that Mermaid or HTML could take for more than text goes by its number."""
    return '"' + "<br>".join(visible(line).translate(_UNSAFE) for line in lines) + '"'
