"""The writes of a rollout, and the levels at which they may go out (DESIGN 4.3, 4.4).

A changed object is written once, or, where others must see it both before and after their own change, twice:
a *widening* that adds and a *narrowing* that removes. Constraints say which write follows which; the longest
chain of them is the number of steps, and no plan has fewer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from graphlib import CycleError, TopologicalSorter
from typing import TypeAlias

from safeapply.istio.kinds import VIRTUAL_SERVICE
from safeapply.plans.plan import Phase
from safeapply.plans.versions import Stage
from safeapply.resources.objects import ResourceId

__all__ = ["Constraint", "Cycle", "Part", "Write", "edge", "level", "longest_chain", "stages_of", "writes_of"]


class Part(Enum):
    """What a constraint wants of an object's writes."""

    WIDENING = "widening"
    WHOLE = "whole"
    NARROWING = "narrowing"
    PINNING = "pinning"
    """Only of DestinationRules: that their clients send plaintext for a while."""


End: TypeAlias = tuple[ResourceId, Part]


@dataclass(frozen=True, slots=True)
class Constraint:
    """One write after another."""

    first: End
    then: End
    why: str = field(default="", compare=False)
    """What says so, as a sentence with ``{first}`` and ``{then}``; empty where the step's waits say it."""


@dataclass(frozen=True, slots=True)
class Write:
    """One write of one object: a bridge, or the desired version."""

    id: ResourceId
    stage: Stage


@dataclass(frozen=True, slots=True)
class Cycle:
    """Objects that wait for each other."""

    objects: tuple[ResourceId, ...]


def stages_of(
    constraints: Iterable[Constraint],
    bridges: Mapping[ResourceId, Collection[Stage]],
    on_their_way: Collection[ResourceId] = (),
) -> Mapping[ResourceId, tuple[Stage, ...]]:
    """Return the bridges that each object needs; an object with none is not listed.

    A join is needed where some others wait for what an object adds, and others free what it removes. Routes that
    others, or they themselves, wait for go over what they add, and over what they still hold, one by one. Objects
    on a way that was searched for go over all their bridges.
    """
    listed = list(constraints)
    widened = {c.first[0] for c in listed if c.first[1] is Part.WIDENING}
    narrowed = {c.then[0] for c in listed if c.then[1] is Part.NARROWING}
    pinned = {end[0] for c in listed for end in (c.first, c.then) if end[1] is Part.PINNING}
    needed: dict[ResourceId, tuple[Stage, ...]] = {}
    for one in widened | narrowed | pinned:
        asked = {Stage.BRIDGE: one in widened, Stage.RELEASE: one in narrowed}
        if one.group_kind != VIRTUAL_SERVICE:
            # A pinned rule holds what a join holds.
            asked = {Stage.PINNED: one in pinned, Stage.BRIDGE: one in (widened & narrowed) - pinned}
        needed[one] = tuple(stage for stage, wanted in asked.items() if wanted and stage in bridges.get(one, ()))
    return needed | {one: tuple(bridges[one]) for one in on_their_way}


def writes_of(
    objects: Iterable[ResourceId],
    constraints: Iterable[Constraint],
    between: Mapping[ResourceId, tuple[Stage, ...]],
) -> Mapping[Write, set[Write]]:
    """Return every write with the writes that it has to follow."""
    follows: dict[Write, set[Write]] = {}
    for one in objects:
        chain = [Write(one, stage) for stage in (*between.get(one, ()), Stage.DESIRED)]
        follows.update({write: {*chain[:index][-1:]} for index, write in enumerate(chain)})
    for constraint in constraints:
        first, then = edge(constraint, between)
        # An object that waits for itself and has no bridge is left to the verifier.
        if first != then:
            follows[then].add(first)
    return follows


def edge(constraint: Constraint, between: Mapping[ResourceId, tuple[Stage, ...]]) -> tuple[Write, Write]:
    """Return the two writes that a constraint is about."""
    return _write(constraint.first, between), _write(constraint.then, between)


_CARRIED_BY = {
    Part.WIDENING: (Stage.BRIDGE, Stage.PINNED),
    Part.PINNING: (Stage.PINNED,),
    Part.WHOLE: (Stage.RELEASE,),
    Part.NARROWING: (),
}
"""The write that does a part of the change, where there is one; the last write does the rest."""


def _write(end: End, between: Mapping[ResourceId, tuple[Stage, ...]]) -> Write:
    one, part = end
    own = between.get(one, ())
    return Write(one, next((stage for stage in _CARRIED_BY[part] if stage in own), Stage.DESIRED))


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


def longest_chain(follows: Mapping[Write, set[Write]]) -> int:
    """Return how many levels these writes need at least; those that go round in a circle need none."""
    try:
        order = list(TopologicalSorter(follows).static_order())
    except CycleError:
        return 0
    return max(_earliest(order, follows).values(), default=-1) + 1


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
