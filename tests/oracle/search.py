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
from itertools import pairwise, product
from typing import TypeAlias

from tests.oracle.delivery import Step, Write, counted_requests
from tests.oracle.model import (
    Cluster,
    DestinationRule,
    ExportTo,
    Host,
    Item,
    ItemId,
    Namespace,
    Service,
    Subset,
    VirtualService,
    World,
    id_of,
    world_of,
)
from tests.oracle.translation import Request, clusters, routes, shares, targets

Node: TypeAlias = tuple[Item | None, ...]


@dataclass(frozen=True, slots=True)
class Transition:
    """From what is live to what is desired, for the proxies of some namespaces."""

    live: World
    desired: World
    clients: tuple[Namespace, ...]


def dangling(world: World, clients: Iterable[Namespace]) -> frozenset[tuple[Namespace, Host, Cluster]]:
    """Return the clusters that routes name, for calls to a host, and that are not there: mirrors are soft."""
    found = set()
    for client in clients:
        held = clusters(world.services, world.destination_rules, client)
        for host, rules in routes(world.services, world.virtual_services, client).items():
            named = {cluster for rule in rules for cluster in shares(rule)}
            found |= {(client, host, cluster) for cluster in named - held}
    return frozenset(found)


def newly_dangling(transition: Transition) -> frozenset[tuple[Namespace, Host, Cluster]]:
    """Return what dangles in the end and does not dangle yet: such a desired state is refused (DESIGN.md 4)."""
    return dangling(transition.desired, transition.clients) - dangling(transition.live, transition.clients)


def minimum_plan(transition: Transition, *, bridges: bool = True) -> int | None:
    """Return the fewest barriers with which no request is lost, or None where no order keeps the promise."""
    path = best_path(transition, bridges=bridges)
    return None if path is None else max(0, len(path) - 1)


def best_path(transition: Transition, *, bridges: bool = True) -> tuple[Step, ...] | None:
    """Return the steps of a plan with the fewest barriers, or None."""
    space = _Space.between(transition, bridges=bridges)
    nodes = _shortest(space)
    if nodes is None:
        return None
    return tuple(Step(space.writes(before, after)) for before, after in pairwise(nodes))


def joins(live: Item | None, desired: Item | None, subsets: frozenset[Subset]) -> tuple[Item, ...]:
    """Return the versions in between that a plan may write: the bridges of DESIGN.md 4.2.

    A rule may hold every subset that any rule has: what it has and will have, and what it shadows or reveals.
    """
    known = [one for one in (live, desired) if one is not None]
    found: set[Item] = set()
    for one, other in product(known, known):
        match one, other:
            case DestinationRule(), DestinationRule():
                wide = replace(one, subsets=subsets)
                found |= {replace(wide, export_to=scope) for scope in _scopes(one.export_to, other.export_to)}
            case VirtualService(), VirtualService():
                found |= {replace(one, export_to=scope) for scope in _scopes(one.export_to, other.export_to)}
            case _:
                pass
    return tuple(sorted(found - set(known), key=repr))


def _scopes(one: ExportTo, other: ExportTo) -> Iterator[ExportTo]:
    yield one
    yield other
    yield ("*",) if not one or not other else tuple(sorted({*one, *other}))


@dataclass(slots=True)
class _Space:
    """The nodes and edges between two worlds; a search asks each edge once, and halves of edges are remembered."""

    untouched: World
    names: tuple[ItemId, ...]
    versions: tuple[tuple[Item | None, ...], ...]
    start: Node
    end: Node
    requests: tuple[Request, ...]
    bits: dict[tuple[Namespace, Cluster], int] = field(default_factory=dict)
    needed: dict[tuple[Node, Node], int | None] = field(default_factory=dict)
    given: dict[tuple[Node, Node], int] = field(default_factory=dict)

    @classmethod
    def between(cls, transition: Transition, *, bridges: bool) -> _Space:
        """Return the search space of a transition."""
        before = {id_of(item): item for item in transition.live.items()}
        after = {id_of(item): item for item in transition.desired.items()}
        names = tuple(sorted(name for name in before | after if before.get(name) != after.get(name)))
        everything = (*transition.live.destination_rules, *transition.desired.destination_rules)
        subsets = frozenset(subset for rule in everything for subset in rule.subsets)
        ends = [(before.get(name), after.get(name)) for name in names]
        return cls(
            world_of(*(item for name, item in before.items() if name not in names)),
            names,
            tuple((*pair, *(joins(*pair, subsets) if bridges else ())) for pair in ends),
            tuple(old for old, _ in ends),
            tuple(new for _, new in ends),
            counted_requests(transition.live, transition.desired, transition.clients),
        )

    def nodes(self) -> Iterator[Node]:
        """Yield every node that is safe in itself."""
        return (node for node in product(*self.versions) if self.is_safe(node, node))

    def is_allowed(self, before: Node, after: Node) -> bool:
        """Tell whether a move deletes nothing that stays, and creates nothing that goes."""
        for old, new, first, last in zip(before, after, self.start, self.end, strict=True):
            if (old is None and new is not None and first is not None) or (
                old is not None and new is None and last is not None
            ):
                return False
        return True

    def is_safe(self, one: Node, other: Node) -> bool:
        """Tell whether each mix of two nodes serves each request that counts."""
        need = self._needs(_half(one, VirtualService), _half(other, VirtualService))
        if need is None:
            return False
        return not need & ~self._gives(_half(one, DestinationRule), _half(other, DestinationRule))

    def writes(self, before: Node, after: Node) -> tuple[Write, ...]:
        """Return what a move writes."""
        moved = zip(self.names, before, after, strict=True)
        return tuple(Write(name, new) for name, old, new in moved if old != new)

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
            found = -1
            for mix in _mixes(one, other):
                found &= self._held(mix)
            self.given[key] = found
        return self.given[key]

    def _asked(self, mix: Node) -> int | None:
        world = self._world(mix)
        found = 0
        for request in self.requests:
            table = routes(world.services, world.virtual_services, request.client)
            aims = targets(table, request)
            if aims is None:
                return None
            found |= self._mask(request.client, aims)
        return found

    def _held(self, mix: Node) -> int:
        world, found = self._world(mix), 0
        for client in {request.client for request in self.requests}:
            found |= self._mask(client, clusters(world.services, world.destination_rules, client))
        return found

    def _mask(self, client: Namespace, named: Iterable[Cluster]) -> int:
        found = 0
        for cluster in named:
            found |= 1 << self.bits.setdefault((client, cluster), len(self.bits))
        return found

    def _world(self, mix: Node) -> World:
        return world_of(*self.untouched.items(), *(item for item in mix if item is not None))


def _half(node: Node, kind: type[VirtualService | DestinationRule]) -> Node:
    # Routes come of Services and VirtualServices, clusters of Services and DestinationRules.
    return tuple(item if isinstance(item, (kind, Service)) else None for item in node)


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
    if space.start == space.end:
        return [space.start]
    nodes = list(space.nodes())
    there: dict[Node, Node | None] = {space.start: None}
    back: dict[Node, Node | None] = {space.end: None}
    front, rear = [space.start], [space.end]
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
