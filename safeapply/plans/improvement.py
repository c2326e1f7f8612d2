"""From the plan that the reference graph gives to one with as few barriers as can be, or out of a refusal.

The graph knows what has to come before what, one reference at a time. It can wait for more than a request needs,
and it can contradict itself where another way round is open. So small groups of objects are searched for the
shortest way: those that the graph finds no order for, and those on whose account a plan has as many steps as it
has. As the groups do not matter to each other, one whose shortest way is as long as the plan shows that no plan is
shorter (DESIGN 4.4).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from heapq import merge
from itertools import islice, pairwise
from math import prod
from typing import Final, TypeAlias

from safeapply.istio.kinds import DESTINATION_RULE, Declaration
from safeapply.plans.candidates import Candidate, joins, wide
from safeapply.plans.groups import groups_of
from safeapply.plans.plan import Plan
from safeapply.plans.search import MOST_NODES, Way, shortest_ways
from safeapply.plans.transition import Transition
from safeapply.plans.versions import Stage
from safeapply.plans.writes import Constraint, Part, longest_chain, stages_of, writes_of
from safeapply.resources.objects import Resource, ResourceId

__all__ = ["Attempt", "Course", "improved"]

Group: TypeAlias = tuple[ResourceId, ...]
Candidates: TypeAlias = Mapping[ResourceId, Sequence[Candidate]]

LONGEST: Final = 12
"""More steps than any group that can be searched needs."""
MOST_TRIED: Final = 12
"""How many ways of one group are tried: each costs a proof."""


class Pace(Enum):
    """How a group may go."""

    FREE = "by any versions"
    STRAIGHT = "from live to desired, without versions in between"
    SINGLY = "from live to desired, one object in each step"


@dataclass(frozen=True, slots=True)
class Course:
    """What a plan is made of: the versions, and which write follows which on account of the routes."""

    transition: Transition
    routing: frozenset[Constraint]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A plan, or the refusal that came of a course."""

    course: Course
    plan: Plan
    stuck: tuple[ResourceId, ...] = ()
    """The objects for which no safe order was found."""

    @property
    def barriers(self) -> int:
        """How often the rollout would wait between two writes."""
        return sum(1 for step in self.plan.steps[1:] if step.expectations)


def improved(first: Attempt, attempt: Callable[[Course], Attempt]) -> Attempt:
    """Return the best plan that small groups of objects allow for, or the first refusal where none is found."""
    if not first.stuck and not first.barriers:
        return first
    everything = groups_of(first.course.transition)
    apart = _apart(first, attempt, everything)
    better = apart is not None and (first.stuck or apart.barriers < first.barriers)
    groups = [group for group in everything if _can_be_searched(first.course, group)]
    found = _freed(apart if apart is not None and better else first, attempt, groups)
    if found.stuck:
        return first
    best = _shortened(found, attempt, groups)
    if apart is None or better or not best.barriers:
        return best
    return min(best, _shortened(apart, attempt, groups), key=lambda one: one.barriers)


def _apart(first: Attempt, attempt: Callable[[Course], Attempt], groups: Sequence[Group]) -> Attempt | None:
    """Try without what the graph asks for between groups: where no one object decides, it names them all."""
    member = {one: number for number, group in enumerate(groups) for one in group}
    bridges = first.course.transition.bridges
    # What a pin is for, no group knows (ISTIO.md 6.5).
    inside = frozenset(
        c
        for c in first.course.routing
        if member.get(c.first[0]) == member.get(c.then[0])
        or any(Stage.PINNED in bridges[one] for one in (c.first[0], c.then[0]))
    )
    if inside == first.course.routing:
        return None
    tried = attempt(replace(first.course, routing=inside))
    return None if tried.stuck else tried


def _freed(first: Attempt, attempt: Callable[[Course], Attempt], groups: Sequence[Group]) -> Attempt:
    """Search the groups that have no safe order until there is none, or none can be found."""
    found = first
    while found.stuck:
        stuck = [group for group in groups if not found.course.transition.on_their_way.issuperset(group)]
        group = next((one for one in stuck if not set(found.stuck).isdisjoint(one)), None)
        ways = _ways(found.course, group) if group else iter(())
        tried = (one for one in map(attempt, ways) if group is not None and set(one.stuck).isdisjoint(group))
        freed = next(tried, None)
        if freed is None:
            return first
        found = freed
    return found


def _ways(course: Course, group: Group) -> Iterator[Course]:
    """Yield the shortest ways, and those without bridges: no write of them can take a later one along.

    Last come those that write one object after the other: where no Envoy shows that a write has arrived, it is
    known to come before the next of its kind (``plans.arrivals``).
    """
    for pace in Pace:
        yield from _searched(course, group, LONGEST, pace)


def _shortened(found: Attempt, attempt: Callable[[Course], Attempt], groups: Sequence[Group]) -> Attempt:
    """Search the groups that need the most steps until one needs them indeed."""
    best = found
    inside = _inside(best.course, groups)
    lengths = {group: _length(best.course, group, inside[group]) for group in groups}
    while best.barriers and lengths:
        group = max(lengths, key=lambda one: lengths[one])
        tried = map(attempt, _searched(best.course, group, lengths.pop(group)))
        shorter = next((one for one in tried if not one.stuck and one.barriers <= best.barriers), None)
        if shorter is None:
            break
        best = shorter
    return best


def _inside(course: Course, groups: Iterable[Group]) -> Mapping[Group, set[Constraint]]:
    """Return for each group what follows what in it."""
    member = {one: group for group in groups for one in group}
    inside: dict[Group, set[Constraint]] = {group: set() for group in groups}
    for one in course.routing:
        group = member.get(one.first[0])
        if group is not None and group == member.get(one.then[0]):
            inside[group].add(one)
    return inside


def _length(course: Course, group: Group, inside: Collection[Constraint]) -> int:
    """Return how many steps a group has by itself."""
    between = stages_of(inside, course.transition.bridges, course.transition.on_their_way.intersection(group))
    return longest_chain(writes_of(group, inside, between))


def _can_be_searched(course: Course, group: Group) -> bool:
    transition = course.transition
    if any(Stage.PINNED in transition.bridges[one] for one in group):
        return False  # The search knows nothing of handshakes (ISTIO.md 6.5).
    # That a rule of a delegate is not dropped in favour of a later one is more than that requests are served.
    roots = transition.mesh.index.roots
    return not any(one in roots or any(one in several for several in roots.values()) for one in group)


def _searched(course: Course, group: Group, fewer_than: int, pace: Pace = Pace.FREE) -> Iterator[Course]:
    """Yield the courses on which a group goes its shortest ways."""
    ways = _shortest(course.transition, group, fewer_than, pace)
    courses = (_along(course, group, way) for way in ways)
    return islice((one for one in courses if one is not None), MOST_TRIED)


def _shortest(transition: Transition, group: Group, fewer_than: int, pace: Pace) -> Iterator[Way]:
    near = {one: joins(transition, one) for one in group}
    if pace is not Pace.FREE:
        ends = {one: several[:2] for one, several in near.items()}
        return shortest_ways(transition, ends, fewer_than=fewer_than, singly=pace is Pace.SINGLY)
    rules = _rules(transition, group)
    far = _fitting(near, {one: wide(transition, one, rules) for one in group})
    found = shortest_ways(transition, near, fewer_than=fewer_than)
    if far == near:
        return found
    # What widens more than it has to is written only where it saves a step.
    return merge(found, shortest_ways(transition, far, fewer_than=fewer_than), key=len)


def _fitting(near: Candidates, far: Candidates) -> Candidates:
    """Return what can be searched: where all is too much, only rules may widen more than they have to."""
    if prod(map(len, far.values())) <= MOST_NODES:
        return far
    return {one: far[one] if one.group_kind == DESTINATION_RULE else near[one] for one in far}


def _rules(transition: Transition, group: Group) -> tuple[ResourceId, ...]:
    """Return the DestinationRules, changed or not, that stand where those of a group do."""
    index = transition.mesh.index
    hosts = {rule.host for one in group for rule in transition.mesh.rule_versions(one) if rule is not None}
    reached = {known for host in hosts for known in (host, *index.hosts_under(host))}
    return tuple(dict.fromkeys(rule for host in sorted(reached) for rule in index.rules_for(host)))


def _along(course: Course, group: Group, way: Way) -> Course | None:
    """Return the course with a group's versions and their order as a way has them; None where they do not fit."""
    versions = {one: [step[one] for step in way if one in step] for one in group}
    desired = {one: joins(course.transition, one)[1] for one in group}
    bridging = (Stage.BRIDGE, Stage.RELEASE)
    if any(
        several[-1:] != [desired[one]]
        or len(several) > len(bridging) + 1
        or None in {v.resource for v in several[:-1]}
        for one, several in versions.items()
    ):
        return None
    staged = {one: (*bridging[: len(several) - 1], Stage.DESIRED) for one, several in versions.items()}
    transition = course.transition
    moved = replace(
        transition,
        bridges={**transition.bridges, **{one: _bridges(staged[one], versions[one]) for one in group}},
        stages={
            **transition.stages,
            **{one: _stages(transition, one, staged[one], versions[one]) for one in group},
        },
        on_their_way=transition.on_their_way.union(group),
    )
    outside = (c for c in course.routing if c.first[0] not in group or c.then[0] not in group)
    return Course(moved, frozenset((*outside, *_order(way, staged))))


def _bridges(stages: Sequence[Stage], versions: Sequence[Candidate]) -> Mapping[Stage, Resource]:
    return {stage: one.resource for stage, one in zip(stages[:-1], versions, strict=False) if one.resource}


def _stages(
    transition: Transition, one: ResourceId, stages: Sequence[Stage], versions: Sequence[Candidate]
) -> Mapping[Stage, Declaration | None]:
    known = transition.stages[one]
    between = {stage: version.declaration for stage, version in zip(stages[:-1], versions, strict=False)}
    return {Stage.LIVE: known[Stage.LIVE], **between, Stage.DESIRED: known[Stage.DESIRED]}


_PART: Final = {Stage.BRIDGE: Part.WIDENING, Stage.RELEASE: Part.WHOLE, Stage.DESIRED: Part.NARROWING}
"""What a constraint calls the write of a stage."""


def _order(way: Way, staged: Mapping[ResourceId, tuple[Stage, ...]]) -> Iterator[Constraint]:
    """Yield that each step's writes follow those of the step before."""
    left = {one: list(stages) for one, stages in staged.items()}
    ends = [[(one, _PART[left[one].pop(0)]) for one in step] for step in way]
    for before, after in pairwise(ends):
        yield from (Constraint(first, then) for first in before for then in after)
