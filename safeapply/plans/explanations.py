"""What each barrier is good for, found by leaving it out: the verifier says which request would fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from safeapply.plans.plan import Operation, Step
from safeapply.plans.verifier import Counterexample
from safeapply.resources.objects import ResourceId

__all__ = ["Judge", "explained"]

Judge = Callable[[Sequence[Step]], Counterexample | None]
"""The verifier, for the mesh of the plan."""

NOTHING = "nothing that could be found: the order of these writes alone is enough"


def explained(steps: Sequence[Step], judge: Judge, tell: Callable[[Counterexample], str]) -> tuple[Step, ...]:
    """Return the steps, each but the first with what would fail if it did not wait for the one before.

    Args:
        steps: a plan that has been proven.
        judge: verifies steps from live on.
        tell: says in words what a counterexample is.
    """
    told = list(steps)
    for number in range(1, len(steps)):
        found = judge([*steps[: number - 1], _together(steps[number - 1], steps[number])])
        told[number] = replace(steps[number], without=tell(found) if found else NOTHING)
    return tuple(told)


def _together(first: Step, second: Step) -> Step:
    """Return two steps as one; of an object that both write, the last version."""
    operations: dict[ResourceId, Operation] = {o.resource.id: o for o in (*first.operations, *second.operations)}
    return replace(second, operations=tuple(operations.values()))
