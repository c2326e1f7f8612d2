"""A plan as text for the one who has to say yes at 3 a.m.: what is written, after what, on which proxies, why.

No colour and no terminal here: each line has a role, and ``style`` may dress it. The same plan gives the same
text, so it can be kept in a file and compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import TypeAlias

from safeapply.checks.catalogue import NAMES
from safeapply.plans.phases import PHASE
from safeapply.plans.plan import Action, Plan, Refusal, Step
from safeapply.report.alterations import Alteration, alterations
from safeapply.report.wording import counted, rolled_out, short, together
from safeapply.resources.objects import Resource, ResourceId
from safeapply.rollout.durations import duration
from safeapply.rollout.folding import folded, shortened
from safeapply.xds.expectations import Expectation

__all__ = ["WIDTH", "Role", "Style", "headline", "plan_text"]

WIDTH = 100
_MARGIN = 2
_LABEL = 10
_OBJECTS_AT_MOST = 46
_TOLD_AT_MOST = 2_000
"""Characters of what one write changes: names of fields and hosts are as long as their author likes."""


class Role(Enum):
    """What a line is, for those who colour it."""

    HEADING = "heading"
    WAIT = "wait"
    ADD = "add"
    CHANGE = "change"
    DELETE = "delete"
    WHY = "why"
    WARNING = "warning"
    REFUSAL = "refusal"
    PLAIN = "plain"


Style: TypeAlias = Callable[[Role, str], str]

_ROLES = {"+": Role.ADD, "~": Role.CHANGE, "-": Role.DELETE}


@dataclass(frozen=True, slots=True)
class _Line:
    role: Role
    text: str
    first: str = ""
    """What it begins with."""
    rest: str = ""
    """What the lines begin with that it is folded into."""


def plan_text(
    plan: Plan,
    *,
    live: Mapping[ResourceId, Resource],
    desired: Mapping[ResourceId, Resource] = MappingProxyType({}),
    style: Style = lambda _, text: text,
    width: int = WIDTH,
) -> str:
    """Return a plan as lines.

    Args:
        plan: the plan.
        live: the live objects that the plan saw, against which changes are told.
        desired: what the API server makes of the manifests, where it was asked.
        style: dresses a line for a terminal; by default, nothing.
        width: columns; the same everywhere but on a terminal, so that plans can be compared.
    """
    lines = _lines(plan, alterations(plan, live, desired))
    return "".join(style(line.role, text) + "\n" for line in lines for text in _folded(line, width))


def _folded(line: _Line, width: int) -> Sequence[str]:
    return folded(line.text, width, first=line.first, rest=line.rest) or [""]


def _lines(plan: Plan, changed: Sequence[Sequence[Alteration]]) -> Iterator[_Line]:
    yield _Line(Role.REFUSAL if plan.refusals else Role.HEADING, headline(plan))
    for number, refusal in enumerate(plan.refusals, 1):
        yield from _refusal(number, refusal)
    for number, (step, altered) in enumerate(zip(plan.steps, changed, strict=True), 1):
        yield _Line(Role.PLAIN, "")
        yield _Line(Role.HEADING, f"Step {number} of {len(plan.steps)}: {step.phase.value}")
        yield from _step(step, altered)
    if plan.settled or plan.workloads:
        yield _Line(Role.PLAIN, "")
        yield _Line(Role.HEADING, "Done when")
        yield from _workloads("workloads", plan.workloads)
        yield from _expectations("the mesh", plan.settled)
    yield from _left(plan)
    yield from _warnings(plan)
    if plan.unchanged and plan.steps:
        yield _Line(Role.PLAIN, "")
        yield _Line(Role.PLAIN, f"{counted(len(plan.unchanged), 'object')} unchanged.")


def headline(plan: Plan) -> str:
    """Return what a plan comes to, in one line."""
    if plan.refusals:
        return f"Refused: {_reason(plan.refusals)}"
    if plan.left and not plan.steps:
        return f"No writes in these phases: {counted(len(plan.left), 'step')} left."
    if not plan.steps:
        return f"No changes: {counted(len(plan.unchanged), 'object')} live as desired."
    operations = [operation for step in plan.steps for operation in step.operations]
    deletions = sum(operation.action is Action.DELETE for operation in operations)
    bridges = sum(operation.bridge for operation in operations)
    barriers = sum(bool(step.expectations or step.workloads) for step in plan.steps)
    barriers += bool(plan.settled or plan.workloads)
    soak = sum(step.soak_seconds for step in plan.steps)
    parts = [
        counted(len(plan.steps), "step"),
        counted(len(operations) - deletions, "write") + (f" ({counted(bridges, 'bridge')})" if bridges else ""),
        *([counted(deletions, "deletion")] if deletions else []),
        counted(barriers, "barrier"),
        *([f"{duration(soak)} of soak"] if soak else []),
    ]
    return f"Plan: {', '.join(parts)}"


def _reason(refusals: Iterable[Refusal]) -> str:
    """Return why nothing will be written."""
    codes = {one.code for one in refusals}
    if codes == {"foreign-owner"}:
        return "another controller writes what would change. Nothing will be written."
    if codes == {"applyset"}:
        return "the apply set cannot be pruned like this. Nothing will be written."
    if codes == {PHASE}:
        return "it is not the turn of these phases. Nothing will be written."
    if codes <= NAMES.keys():
        return "requests would fail at rest. Nothing will be written; --skip-checks writes it all the same."
    return "no order of writes keeps every request served. Nothing will be written."


def _step(step: Step, altered: Sequence[Alteration]) -> Iterator[_Line]:
    yield from _workloads("wait for", step.workloads)
    yield from _expectations("" if step.workloads else "wait for", step.expectations)
    if step.soak_seconds:
        yield from _labelled(Role.WAIT, "then wait", f"{duration(step.soak_seconds)} for requests under way")
    yield from _writes(altered)
    yield from _labelled(Role.WHY, "why", step.why)
    if step.without:
        yield from _labelled(Role.WHY, "else", step.without)


def _workloads(label: str, workloads: Iterable[ResourceId]) -> Iterator[_Line]:
    for one in workloads:
        yield from _labelled(Role.WAIT, label, rolled_out(one))
        label = ""


def _expectations(label: str, expected: Iterable[Expectation]) -> Iterator[_Line]:
    """Tell expectations together that are about the same proxies."""
    for where, told in together(expected):
        for sentence in told:
            yield from _labelled(Role.WAIT, label, sentence)
            label = ""
        yield from _labelled(Role.WAIT, "", f"on {where}")


def _writes(altered: Sequence[Alteration]) -> Iterator[_Line]:
    column = min(max(len(short(one.id)) for one in altered), _OBJECTS_AT_MOST)
    for index, one in enumerate(altered):
        label = "" if index else "write"
        head = f"{one.sign} {short(one.id):{column}}  "
        indent = " " * (column + 4)
        yield from _labelled(_ROLES[one.sign], label, head + shortened(one.text, _TOLD_AT_MOST), hanging=indent)


def _refusal(number: int, refusal: Refusal) -> Iterator[_Line]:
    yield _Line(Role.PLAIN, "")
    title = f"{number}. {refusal.code}: {', '.join(short(one) for one in refusal.objects)}"
    yield _Line(Role.REFUSAL, title, rest="   ")
    yield from _labelled(Role.PLAIN, "request", refusal.request)
    yield from _labelled(Role.PLAIN, "on", refusal.proxy_class)
    yield from _labelled(Role.PLAIN, "remedy", refusal.remedy)


def _left(plan: Plan) -> Iterator[_Line]:
    """Tell what another run is to do."""
    if plan.left and plan.left[0].soak_seconds:
        yield from _labelled(
            Role.WAIT, "then wait", f"{duration(plan.left[0].soak_seconds)} for requests under way"
        )
    if plan.left:
        yield _Line(Role.PLAIN, "")
        yield _Line(Role.HEADING, "Left for another run")
    for step in plan.left:
        named = dict.fromkeys(short(one.resource.id) for one in step.operations)
        yield from _labelled(Role.PLAIN, step.phase.value, ", ".join(named))


def _warnings(plan: Plan) -> Iterator[_Line]:
    if plan.warnings:
        yield _Line(Role.PLAIN, "")
        yield _Line(Role.WARNING, "Warnings")
    for caution in plan.warnings:
        yield from _labelled(Role.WARNING, "", f"{caution.message} [{caution.code}]")


def _labelled(role: Role, label: str, text: str, *, hanging: str = "") -> Iterator[_Line]:
    """Put a text beside its label."""
    first = f"{'':{_MARGIN}}{label:{_LABEL}} "
    rest = " " * len(first) + hanging
    yield _Line(role, text, first, rest)
