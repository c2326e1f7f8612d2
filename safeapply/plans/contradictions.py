"""Constraints that contradict each other: the weaker ones give way, until no write waits for itself.

Every round finds circles that have no write in common and takes out of each what is weakest, so that the work grows
with the constraints, not with their circles.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from typing import Final

from safeapply.plans.transition import Transition
from safeapply.plans.writes import Constraint, Write, edge, stages_of, writes_of

__all__ = ["FIRM", "reconciled"]

FIRM: Final = 0
"""The weakness of what never gives way."""


def reconciled(
    transition: Transition, hard: frozenset[Constraint], soft: Mapping[Constraint, int]
) -> frozenset[Constraint]:
    """Return all hard constraints, and the soft ones that contradict neither them nor firmer soft ones.

    What contradicts itself although nothing in it gives way is returned as it is, for the plan to be refused.
    """
    kept = {constraint: weakness for constraint, weakness in soft.items() if constraint not in hard}
    while kept:
        dropped = set(_contradicting(transition, hard | kept.keys(), kept))
        if not dropped:
            break
        for constraint in dropped:
            del kept[constraint]
    return hard | kept.keys()


def _contradicting(
    transition: Transition, constraints: Collection[Constraint], soft: Mapping[Constraint, int]
) -> Iterator[Constraint]:
    """Yield of each circle of writes the weakest constraints."""
    between = stages_of(constraints, transition.bridges, transition.on_their_way)
    circles = list(_circles(writes_of(transition.changes, constraints, between)))
    edges: dict[tuple[Write, Write], list[Constraint]] = defaultdict(list)
    for constraint in constraints if circles else ():
        edges[edge(constraint, between)].append(constraint)
    for circle in circles:
        along = [one for pair in circle for one in edges.get(pair, ())]
        weakest = max((soft.get(one, FIRM) for one in along), default=FIRM)
        yield from (one for one in along if weakest != FIRM and soft.get(one) == weakest)


def _circles(follows: Mapping[Write, set[Write]]) -> Iterator[list[tuple[Write, Write]]]:
    """Yield circles that have no write in common, as pairs of writes of which the second follows the first."""
    stuck = follows.keys() - _free(follows)
    before = {write: min((one for one in follows[write] if one in stuck), key=_key) for write in stuck}
    visited: set[Write] = set()
    for start in sorted(stuck, key=_key):
        path: dict[Write, int] = {}
        write = start
        while write not in visited:
            visited.add(write)
            path[write] = len(path)
            write = before[write]
        if write in path:
            yield [(before[one], one) for one in list(path)[path[write] :]]


def _free(follows: Mapping[Write, set[Write]]) -> set[Write]:
    """Return the writes that wait for no circle."""
    sorter, free = TopologicalSorter(follows), set[Write]()
    # It goes on as far as the circles let it.
    with suppress(CycleError):
        sorter.prepare()
    while ready := sorter.get_ready():
        free.update(ready)
        sorter.done(*ready)
    return free


def _key(write: Write) -> tuple[object, ...]:
    return write.id, write.stage.value
