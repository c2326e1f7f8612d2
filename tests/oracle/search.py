"""The true optimum: the fewest barriers between two worlds, by breadth-first search over versions of objects.

A node gives each changed object a version out of {live, joins, desired, absent}. Two nodes have an edge where the
writes between them may arrive in any order at any proxy and lose no request that counts. The search knows no
phases and no order of kinds; it may go any way round, except that an object is never deleted and created again:
its age has a meaning (ISTIO.md 4.10).

An edge holds for the moves in both directions, since the states in between are the same. That makes it cheap to
search from both ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import reduce
from itertools import pairwise, product
from math import prod
from operator import and_
from typing import TypeAlias

from tests.oracle.delivery import Step, Write, counted_requests
from tests.oracle.model import (
    Cluster,
    DestinationRule,
    ExportTo,
    Item,
    ItemId,
    Namespace,
    Subset,
    VirtualService,
    World,
    id_of,
    world_of,
)
from tests.oracle.references import Reference, Transition, dangling, references
from tests.oracle.translation import Request, clusters, routes, target

Node: TypeAlias = tuple[int, ...]


class Care(Enum):
    """What must hold in every state between the two worlds."""

    REQUESTS = "requests"
    """The promise: requests that are served before and after are served (DESIGN.md 1)."""
    REFERENCES = "references"
    """That, and each reference of each route finds its cluster, unless it dangles live (DESIGN.md 4.5)."""
    MIRRORS = "mirrors"
    """That, and each mirror finds its cluster: more than anybody promised (ISTIO.md 1.3, a soft edge)."""


def size(transition: Transition) -> int:
    """Return how many nodes a search would look at."""
    space = _Space.between(transition, Care.REQUESTS, bridges=True)
    return prod(map(len, space.versions))


def minimum_plan(transition: Transition, care: Care = Care.REQUESTS, *, bridges: bool = True) -> int | None:
    """Return the fewest barriers with which no request is lost, or None where no order keeps the promise."""
    path = best_path(transition, care, bridges=bridges)
    return None if path is None else max(0, len(path) - 1)


def best_path(
    transition: Transition, care: Care = Care.REQUESTS, *, bridges: bool = True
) -> tuple[Step, ...] | None:
    """Return the steps of a plan with the fewest barriers, or None."""
    space = _Space.between(transition, care, bridges=bridges)
    nodes = _shortest(space)
    if nodes is None:
        return None
    return tuple(Step(space.writes(before, after)) for before, after in pairwise(nodes))


def joins(live: Item | None, desired: Item | None, subsets: frozenset[Subset]) -> tuple[Item, ...]:
    """Return the versions in between that a plan may write: the bridges of DESIGN.md 4.2.

    A route may be seen by all that see it before or after. A rule may hold every subset that any rule has: what it
    has and will have, and what it shadows or reveals.
    """
    known = [one for one in (live, desired) if one is not None]
    found: set[Item] = set()
    for one, other in product(known, known):
        match one, other:
            case DestinationRule(), DestinationRule():
                wide = replace(one, subsets=subsets)
                found |= {replace(wide, export_to=scope) for scope in _scopes(one.export_to, other.export_to)}
            case VirtualService(), VirtualService():
                found.add(replace(one, export_to=_either(one.export_to, other.export_to)))
            case _:
                pass
    return tuple(sorted(found - set(known), key=repr))


def _scopes(one: ExportTo, other: ExportTo) -> tuple[ExportTo, ...]:
    return one, other, _either(one, other)


def _either(one: ExportTo, other: ExportTo) -> ExportTo:
    if one == other:
        return one
    return ("*",) if not one or not other or "*" in {*one, *other} else tuple(sorted({*one, *other}))


@dataclass(slots=True)
class _Space:
    """The nodes and edges between two worlds; a search asks each edge once, and halves of edges are remembered.

    A node tells for each object which of its versions it has: 0 is live, 1 desired, then come the joins.
    """

    transition: Transition
    names: tuple[ItemId, ...]
    versions: tuple[tuple[Item | None, ...], ...]
    requests: tuple[Request, ...]
    excused: frozenset[Reference] | None
    mirrors: bool
    bits: dict[tuple[Namespace, Cluster], int] = field(default_factory=dict)
    asked: dict[Node, int | None] = field(default_factory=dict)
    held: dict[Node, int] = field(default_factory=dict)
    needed: dict[tuple[Node, Node], int | None] = field(default_factory=dict)
    given: dict[tuple[Node, Node], int] = field(default_factory=dict)

    @classmethod
    def between(cls, transition: Transition, care: Care, *, bridges: bool) -> _Space:
        """Return the search space of a transition."""
        before = {id_of(item): item for item in transition.live.items()}
        after = {id_of(item): item for item in transition.desired.items()}
        names = tuple(sorted(name for name in before | after if before.get(name) != after.get(name)))
        everything = (*transition.live.destination_rules, *transition.desired.destination_rules)
        subsets = frozenset(subset for rule in everything for subset in rule.subsets)
        ends = [(before.get(name), after.get(name)) for name in names]
        return cls(
            transition,
            names,
            tuple((*pair, *(joins(*pair, subsets) if bridges else ())) for pair in ends),
            counted_requests(transition.live, transition.desired, transition.clients),
            _excused(transition, care),
            care is Care.MIRRORS,
        )

    def nodes(self) -> list[Node]:
        """Return every node that is safe in itself."""
        every = product(*(range(len(known)) for known in self.versions))
        return [node for node in every if self.is_safe(node, node)]

    def is_allowed(self, before: Node, after: Node) -> bool:
        """Tell whether a move creates nothing that it took away, and takes away nothing that it made."""
        for known, old, new in zip(self.versions, before, after, strict=True):
            if old == new:
                continue
            if (known[1] is None and old == 1) or (known[0] is None and new == 0):
                return False
        return True

    def is_safe(self, one: Node, other: Node) -> bool:
        """Tell whether each mix of two nodes serves each request that counts."""
        need = self._needs(self._half(one, "VirtualService"), self._half(other, "VirtualService"))
        if need is None:
            return False
        return not need & ~self._gives(self._half(one, "DestinationRule"), self._half(other, "DestinationRule"))

    def writes(self, before: Node, after: Node) -> tuple[Write, ...]:
        """Return what a move writes."""
        moved = zip(self.names, self.versions, before, after, strict=True)
        return tuple(Write(name, known[new]) for name, known, old, new in moved if old != new)

    def _needs(self, one: Node, other: Node) -> int | None:
        """Return the clusters that any mix of routes asks for, or None where some mix has no route."""
        key = (one, other)
        if key not in self.needed:
            self.needed[key] = _union(self._asked(mix) for mix in _mixes(one, other))
        return self.needed[key]

    def _gives(self, one: Node, other: Node) -> int:
        """Return the clusters that every mix of rules has."""
        key = (one, other)
        if key not in self.given:
            self.given[key] = reduce(and_, (self._held(mix) for mix in _mixes(one, other)))
        return self.given[key]

    def _asked(self, mix: Node) -> int | None:
        if mix not in self.asked:
            world = self._world(mix)
            clients = self.transition.clients
            tables = {one: routes(world.services, world.virtual_services, one) for one in clients}
            aims = {(one.client, target(tables[one.client], one)) for one in self.requests}
            found = self._mask((client, aim) for client, aim in aims if aim)
            if self.excused is not None:
                named = references(tables, mirrors=self.mirrors) - self.excused
                found |= self._mask((client, aim) for client, _, aim in named)
            self.asked[mix] = None if any(aim is None for _, aim in aims) else found
        return self.asked[mix]

    def _held(self, mix: Node) -> int:
        if mix not in self.held:
            world = self._world(mix)
            self.held[mix] = self._mask(
                (client, cluster)
                for client in self.transition.clients
                for cluster in clusters(world.services, world.destination_rules, client)
            )
        return self.held[mix]

    def _mask(self, named: Iterable[tuple[Namespace, Cluster]]) -> int:
        found = 0
        for one in named:
            found |= 1 << self.bits.setdefault(one, len(self.bits))
        return found

    def _half(self, node: Node, kind: str) -> Node:
        # Routes come of Services and VirtualServices, clusters of Services and DestinationRules; the rest is live.
        wanted = {kind, "Service"}
        return tuple(number if name.kind in wanted else 0 for name, number in zip(self.names, node, strict=True))

    def _world(self, mix: Node) -> World:
        untouched = (item for item in self.transition.live.items() if id_of(item) not in self.names)
        chosen = (known[number] for known, number in zip(self.versions, mix, strict=True))
        return world_of(*untouched, *(item for item in chosen if item is not None))


def _excused(transition: Transition, care: Care) -> frozenset[Reference] | None:
    """Return what may dangle in between: what dangles live, and mirrors to what will never be."""
    mirrors = care is Care.MIRRORS
    if care is Care.REQUESTS:
        return None
    ends = (transition.live, transition.desired) if mirrors else (transition.live,)
    return frozenset().union(*(dangling(end, transition.clients, mirrors=mirrors) for end in ends))


def _mixes(one: Node, other: Node) -> Iterator[Node]:
    return product(*((a,) if a == b else (a, b) for a, b in zip(one, other, strict=True)))


def _union(masks: Iterable[int | None]) -> int | None:
    found = 0
    for mask in masks:
        if mask is None:
            return None
        found |= mask
    return found


def _shortest(space: _Space) -> list[Node] | None:
    """Return the nodes of a shortest path, searched for from both ends, the smaller edge of the search first."""
    start, end = (0,) * len(space.names), (1,) * len(space.names)
    nodes = space.nodes()
    there: dict[Node, Node | None] = {start: None}
    back: dict[Node, Node | None] = {end: None}
    front, rear = [start], [end]
    if start == end:
        return [start]
    while front and rear:
        if len(front) <= len(rear):
            front = _layer(space, nodes, front, there, forward=True)
            met = next((node for node in front if node in back), None)
        else:
            rear = _layer(space, nodes, rear, back, forward=False)
            met = next((node for node in rear if node in there), None)
        if met is not None:
            return [*reversed(_trail(there, met)), *_trail(back, met)[1:]]
    return None


def _layer(
    space: _Space, nodes: list[Node], edge: list[Node], known: dict[Node, Node | None], *, forward: bool
) -> list[Node]:
    found = []
    for one, other in product(edge, nodes):
        pair = (one, other) if forward else (other, one)
        if other not in known and space.is_allowed(*pair) and space.is_safe(*pair):
            known[other] = one
            found.append(other)
    return found


def _trail(known: Mapping[Node, Node | None], node: Node) -> list[Node]:
    trail = [node]
    while (following := known[trail[-1]]) is not None:
        trail.append(following)
    return trail
