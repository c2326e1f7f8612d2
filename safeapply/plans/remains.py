"""Whether a plan that was made anew goes on as the one before would have. Pure.

A rollout that is disturbed reads the cluster and plans again. It may go on by itself where what is left to write is
what its operator agreed to; the new plan has its own proof, so how its writes are grouped does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from safeapply.plans.plan import Action, Operation, Plan, Step
from safeapply.resources.objects import ResourceId

__all__ = ["joined", "overtaken", "surprises"]


def surprises(left: Iterable[Operation], fresh: Plan) -> tuple[str, ...]:
    """Return what a new plan does that is not the rest of the old one, one line for each; nothing if it goes on.

    Args:
        left: the operations of the old plan that were not seen to be done, in order.
        fresh: the new plan. It may leave out what was done after all.
    """
    if fresh.refusals:
        return tuple(f"refused: {one.request} ({one.remedy})" for one in fresh.refusals)
    before, after = _by_object(left), _by_object(o for step in fresh.steps for o in step.operations)
    return tuple(
        _told(one, before.get(one, ()), operations)
        for one, operations in after.items()
        if not _is_end_of(operations, before.get(one, ()))
    )


def overtaken(left: Iterable[Operation], fresh: Plan) -> tuple[Operation, ...]:
    """Return the operations of the old plan that the new one, which goes on from it, need not do any more.

    They were done, and the answer was lost; or somebody else did the same.
    """
    after = _by_object(o for step in fresh.steps for o in step.operations)
    before = _by_object(left).items()
    return tuple(o for one, told in before for o in told[: len(told) - len(after.get(one, ()))])


def joined(done: Sequence[Step], fresh: Plan) -> Plan:
    """Return the plan of a whole rollout: what it did, and how it goes on."""
    return replace(fresh, steps=(*done, *fresh.steps))


def _by_object(operations: Iterable[Operation]) -> Mapping[ResourceId, Sequence[Operation]]:
    found: dict[ResourceId, list[Operation]] = {}
    for one in operations:
        # The parent of a set is written before and after whatever else happens (KEP-3659).
        if not one.manager:
            found.setdefault(one.resource.id, []).append(one)
    return found


def _is_end_of(after: Sequence[Operation], before: Sequence[Operation]) -> bool:
    if len(after) > len(before):
        return False
    return all(map(_is_same, after, before[len(before) - len(after) :]))


def _is_same(one: Operation, other: Operation) -> bool:
    if one.action is Action.DELETE and other.action is Action.DELETE:
        # What the rollout itself creates for a while has no uid in its plan.
        return other.resource.metadata.get("uid") in {None, one.resource.metadata.get("uid")}
    return one.action is other.action and one.resource.document == other.resource.document


def _told(one: ResourceId, before: Sequence[Operation], after: Sequence[Operation]) -> str:
    planned = (
        f"{len(before)} more write{'' if len(before) == 1 else 's'} planned" if before else "no more write planned"
    )
    if any(o.action is Action.DELETE for o in after) and not any(o.action is Action.DELETE for o in before):
        return f"{one}: {planned}, now it would be deleted"
    what = "another one" if before else "one"
    return f"{one}: {planned}, now it would take {what if len(after) == 1 else len(after)}"
