"""The writes of a rollout, and the levels at which they may go out (DESIGN 4.3, 4.4).

A changed object is written once, or, where others must see it both before and after their own change, twice:
a *widening* that adds and a *narrowing* that removes. Constraints say which write follows which; the longest
chain of them is the number of steps, and no plan has fewer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from graphlib import CycleError, TopologicalSorter
from typing import TypeAlias

from safeapply.plans.plan import Phase
from safeapply.resources.objects import ResourceId

__all__ = ["Constraint", "Cycle", "Part", "Write", "level", "split", "writes_of"]


class Part(Enum):
    """What a constraint wants of an object's writes."""

    WIDENING = "widening"
    WHOLE = "whole"
    NARROWING = "narrowing"


End: TypeAlias = tuple[ResourceId, Part]


@dataclass(frozen=True, slots=True)
class Constraint:
    """One write after another."""

    first: End
    then: End


@dataclass(frozen=True, slots=True)
class Write:
    """One write of one object: the bridge, or the desired version."""

    id: ResourceId
    bridge: bool


@dataclass(frozen=True, slots=True)
class Cycle:
    """Objects that wait for each other."""

    objects: tuple[ResourceId, ...]


def split(constraints: Iterable[Constraint], joinable: Iterable[ResourceId]) -> frozenset[ResourceId]:
    """Return the objects that need a bridge: some others wait for what they add, others free what they remove."""
    listed = list(constraints)
    widened = {c.first[0] for c in listed if c.first[1] is Part.WIDENING}
    narrowed = {c.then[0] for c in listed if c.then[1] is Part.NARROWING}
    return frozenset(widened & narrowed & set(joinable))


def writes_of(
    objects: Iterable[ResourceId], constraints: Iterable[Constraint], bridged: frozenset[ResourceId]
) -> Mapping[Write, set[Write]]:
    """Return every write with the writes that it has to follow."""
    follows: dict[Write, set[Write]] = {Write(one, bridge=False): set() for one in objects}
    for one in bridged:
        follows[Write(one, bridge=True)] = set()
        follows[Write(one, bridge=False)].add(Write(one, bridge=True))
    for constraint in constraints:
        first, then = (_write(end, bridged) for end in (constraint.first, constraint.then))
        follows[then].add(first)
    return follows


def _write(end: End, bridged: frozenset[ResourceId]) -> Write:
    one, part = end
    return Write(one, bridge=part is Part.WIDENING and one in bridged)


def level(follows: Mapping[Write, set[Write]], phases: Mapping[Write, Phase]) -> list[list[Write]] | Cycle:
    """Put every write on a level so that there are as few levels as the longest chain is long.

    Within that bound a write goes where its phase belongs, so that a reader finds what widens, what switches
    and what narrows together.
    """
    try:
        order = list(TopologicalSorter(follows).static_order())
    except CycleError as cycle:
        return Cycle(tuple(dict.fromkeys(write.id for write in cycle.args[1])))
    earliest = _earliest(order, follows)
    last = max(earliest.values(), default=-1)
    latest = _latest(order, follows, last)
    middle = max((earliest[w] for w in order if phases[w] is Phase.SWITCH), default=0)
    preferred = {Phase.WIDEN: 0, Phase.SWITCH: middle, Phase.NARROW: last}
    chosen: dict[Write, int] = {}
    for write in order:
        wanted = min(max(preferred[phases[write]], earliest[write]), latest[write])
        chosen[write] = max([wanted, *(chosen[before] + 1 for before in follows[write])])
    levels: dict[int, list[Write]] = defaultdict(list)
    for write in order:
        levels[chosen[write]].append(write)
    return [sorted(levels[number], key=lambda write: write.id) for number in sorted(levels)]


def _earliest(order: list[Write], follows: Mapping[Write, set[Write]]) -> dict[Write, int]:
    earliest: dict[Write, int] = {}
    for write in order:
        earliest[write] = max((earliest[before] + 1 for before in follows[write]), default=0)
    return earliest


def _latest(order: list[Write], follows: Mapping[Write, set[Write]], last: int) -> dict[Write, int]:
    latest = dict.fromkeys(order, last)
    for write in reversed(order):
        for before in follows[write]:
            latest[before] = min(latest[before], latest[write] - 1)
    return latest
