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
from itertools import pairwise, product
from typing import TypeAlias

from tests.oracle.delivery import RouteTable, Step, Write, counted_requests
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
from tests.oracle.translation import Request, clusters, routes, shares, target

Node: TypeAlias = tuple[Item | None, ...]


@dataclass(frozen=True, slots=True)
class Transition:
    """From what is live to what is desired, for the proxies of some namespaces."""

    live: World
    desired: World
    clients: tuple[Namespace, ...]


class Care(Enum):
    """What must hold in every state between the two worlds."""

    REQUESTS = "requests"
    """The promise: requests that are served before and after are served (DESIGN.md 1)."""
    REFERENCES = "references"
    """That, and each reference of each route finds its cluster, unless it dangles live (DESIGN.md 4.5)."""


Reference: TypeAlias = tuple[Namespace, Host, Cluster]
"""For calls by a client to a host, a cluster that some rule sends a share to."""


def references(tables: Mapping[Namespace, RouteTable]) -> frozenset[Reference]:
    """Return what the routes of some clients name; mirrors are soft."""
    return frozenset(
        (client, host, cluster)
        for client, table in tables.items()
        for host, rules in table.items()
        for rule in rules
        for cluster in shares(rule)
    )


def dangling(world: World, clients: Iterable[Namespace]) -> frozenset[Reference]:
    """Return the references of a settled world that find no cluster."""
    tables = {client: routes(world.services, world.virtual_services, client) for client in clients}
    held = {client: clusters(world.services, world.destination_rules, client) for client in tables}
    return frozenset(one for one in references(tables) if one[2] not in held[one[0]])


def newly_dangling(transition: Transition) -> frozenset[Reference]:
    """Return what dangles in the end and does not dangle yet: such a desired state is refused (DESIGN.md 4)."""
    return dangling(transition.desired, transition.clients) - dangling(transition.live, transition.clients)


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
    clients: tuple[Namespace, ...]
    requests: tuple[Request, ...]
    excused: frozenset[Reference] | None
    bits: dict[tuple[Namespace, Cluster], int] = field(default_factory=dict)
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
            world_of(*(item for name, item in before.items() if name not in names)),
            names,
            tuple((*pair, *(joins(*pair, subsets) if bridges else ())) for pair in ends),
            tuple(old for old, _ in ends),
            tuple(new for _, new in ends),
            transition.clients,
            counted_requests(transition.live, transition.desired, transition.clients),
            dangling(transition.live, transition.clients) if care is Care.REFERENCES else None,
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
        tables = {client: routes(world.services, world.virtual_services, client) for client in self.clients}
        aims = {(request.client, target(tables[request.client], request)) for request in self.requests}
        if any(aim is None for _, aim in aims):
            return None
        found = self._mask((client, aim) for client, aim in aims if aim)
        if self.excused is not None:
            found |= self._mask((client, aim) for client, host, aim in references(tables) - self.excused)
        return found

    def _held(self, mix: Node) -> int:
        world, found = self._world(mix), 0
        for client in self.clients:
            held = clusters(world.services, world.destination_rules, client)
            found |= self._mask((client, cluster) for cluster in held)
        return found

    def _mask(self, named: Iterable[tuple[Namespace, Cluster]]) -> int:
        found = 0
        for one in named:
            found |= 1 << self.bits.setdefault(one, len(self.bits))
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
