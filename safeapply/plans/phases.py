"""A part of a plan: the steps of some phases, and what is left for a later run. Pure.

Where another tool changes something in between, as a GitOps controller does between its hooks, a rollout is taken
in parts. Every state between two steps is safe to stay in, so a part may end after any of them. It ends when the
proxies show that the first step left out could be taken: what the other tool takes away then, nobody asks for.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import takewhile
from typing import Final

from safeapply.plans.plan import Phase, Plan, Refusal, Step

__all__ = ["PHASE", "in_phases"]

PHASE: Final = "phase"
"""The code of a refusal to take steps before their turn."""
_ORDER: Final = {phase: number for number, phase in enumerate(Phase)}


def in_phases(plan: Plan, phases: Collection[Phase]) -> Plan:
    """Return the steps of some phases as a plan of their own, and the others as what is left.

    Args:
        plan: all of it.
        phases: those whose turn it is; none for all.

    Returns:
        The plan, refused where steps of an earlier phase would be left out.
    """
    if not phases or plan.refusals:
        return plan
    taken = tuple(takewhile(lambda step: step.phase in phases, plan.steps))
    left = plan.steps[len(taken) :]
    if not left:
        return plan
    if _ORDER[left[0].phase] < max(map(_ORDER.__getitem__, phases)):
        return replace(plan, steps=(), settled=(), workloads=(), refusals=(_refusal(left[0], phases, taken),))
    return replace(plan, steps=taken, left=left, settled=left[0].expectations, workloads=left[0].workloads)


def _refusal(step: Step, phases: Collection[Phase], taken: tuple[Step, ...]) -> Refusal:
    given = ",".join(phase.value for phase in Phase if phase in phases)
    before = [phase.value for phase in Phase if _ORDER[phase] < min(map(_ORDER.__getitem__, phases))]
    first = f"run --phase={','.join(before)} first, or all of it without --phase"
    return Refusal(
        code=PHASE,
        objects=tuple(one.resource.id for one in step.operations),
        proxy_class="none",
        request=f"a step of phase {step.phase.value} comes before those of --phase={given}, and would be left out",
        remedy=first if before and not taken else "run it without --phase",
    )
