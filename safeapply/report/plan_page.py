"""A plan as one page for a browser: the graph of objects, steps and waits as a table, then each step in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from safeapply.plans.plan import Plan, Step
from safeapply.report.alterations import Alteration, alterations
from safeapply.report.pages import filled
from safeapply.report.plan_text import headline
from safeapply.report.standing import left_over
from safeapply.report.wording import counted, rolled_out, short, together
from safeapply.resources.objects import Resource, ResourceId
from safeapply.rollout.durations import duration

__all__ = ["plan_page"]

_SIGNS: Final = {"+": "add", "~": "change", "-": "delete"}

Waits = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class _Operation:
    sign: str
    css: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class _Step:
    number: int
    phase: str
    waits: Waits
    soak: str
    operations: tuple[_Operation, ...]
    why: str
    without: str


@dataclass(frozen=True, slots=True)
class _Cell:
    gate: bool
    phase: str
    operation: _Operation | None


@dataclass(frozen=True, slots=True)
class _Lane:
    kind: str
    name: str
    cells: tuple[_Cell, ...]


@dataclass(frozen=True, slots=True)
class _Refusal:
    code: str
    objects: str
    request: str
    on: str
    remedy: str


@dataclass(frozen=True, slots=True)
class _Plan:
    title: str
    headline: str
    tiles: tuple[tuple[str, str], ...]
    steps: tuple[_Step, ...]
    lanes: tuple[_Lane, ...]
    settled: Waits
    warnings: tuple[object, ...]
    refusals: tuple[_Refusal, ...]
    unchanged: str
    left: str


def plan_page(
    plan: Plan,
    *,
    live: Mapping[ResourceId, Resource],
    desired: Mapping[ResourceId, Resource] = MappingProxyType({}),
) -> str:
    """Return a plan as HTML that needs no other file; the arguments are those of `plan_text`."""
    changed = alterations(plan, live, desired)
    steps = tuple(
        _step(number, step, altered)
        for number, (step, altered) in enumerate(zip(plan.steps, changed, strict=True), 1)
    )
    settled = _waits(plan.workloads, together(plan.settled))
    view = _Plan(
        title="Plan",
        headline=headline(plan).removeprefix("Plan: "),
        tiles=tuple(_tiles(plan, steps, settled)),
        steps=steps,
        lanes=tuple(_lanes(steps, changed)),
        settled=settled,
        warnings=plan.warnings,
        refusals=tuple(
            _Refusal(one.code, ", ".join(map(short, one.objects)), one.request, one.proxy_class, one.remedy)
            for one in plan.refusals
        ),
        unchanged=counted(len(plan.unchanged), "object") if plan.unchanged and plan.steps else "",
        left=left_over(plan),
    )
    return filled("plan.html", view)


def _tiles(plan: Plan, steps: Sequence[_Step], settled: Waits) -> Iterator[tuple[str, str]]:
    if not steps:
        return
    yield "Steps", str(len(steps))
    yield "Writes", str(sum(len(step.operations) for step in steps))
    yield "Objects", str(len({o.resource.id for step in plan.steps for o in step.operations}))
    yield "Barriers", str(sum(bool(step.waits) for step in steps) + bool(settled))
    yield "Soak", duration(sum(step.soak_seconds for step in plan.steps))


def _step(number: int, step: Step, altered: Sequence[Alteration]) -> _Step:
    return _Step(
        number,
        step.phase.value,
        _waits(step.workloads, together(step.expectations)),
        duration(step.soak_seconds) if step.soak_seconds else "",
        tuple(map(_operation, altered)),
        step.why,
        step.without,
    )


def _waits(workloads: Sequence[ResourceId], expected: Waits) -> Waits:
    ready: Waits = (("", tuple(map(rolled_out, workloads))),) if workloads else ()
    return (*ready, *expected)


def _operation(one: Alteration) -> _Operation:
    return _Operation(one.sign, _SIGNS[one.sign], short(one.id), one.text)


def _lanes(steps: Sequence[_Step], changed: Sequence[Sequence[Alteration]]) -> Iterator[_Lane]:
    """Yield a row for each object, in the order in which they are first written."""
    for one in dict.fromkeys(altered.id for step in changed for altered in step):
        kind, _, name = short(one).partition(" ")
        by_step = [{altered.id: _operation(altered) for altered in step} for step in changed]
        cells = (
            _Cell(bool(step.waits), step.phase, written.get(one))
            for step, written in zip(steps, by_step, strict=True)
        )
        yield _Lane(kind, name, tuple(cells))
