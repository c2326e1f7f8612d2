"""The shortest ways of a few objects from live to desired, by looking at all ways (DESIGN 4.4).

A node gives each object one of its versions. Two nodes have an edge where the writes between them may arrive in any
order and each request that has to be served is served: what the routes of any mixture ask for, the rules of every
mixture give. A way of the fewest edges has the fewest barriers that any plan can have with these versions; of those
that are equally short the ones with the fewest writes come first. What their barriers would prove is not known
here, so there is more than one to try, and after the shortest come longer ones.

What a mixture asks for and gives is found once for each choice of versions, and as bits, so that an edge costs a
few operations on numbers. The verifier looks at the plan that comes of it as at any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise, product
from math import prod
from operator import and_
from typing import Final, TypeAlias

from safeapply.istio.fates import Promise
from safeapply.istio.kinds import DESTINATION_RULE, GATEWAY, VIRTUAL_SERVICE
from safeapply.istio.proxies import ProxyClass, Role
from safeapply.istio.reach import hosts_in_reach, routes_in_reach
from safeapply.istio.serving import Request, is_served, served
from safeapply.istio.snapshot import Snapshot
from safeapply.istio.view import Views
from safeapply.plans.candidates import Candidate
from safeapply.plans.paths import Node, shortest_paths
from safeapply.plans.transition import Transition
from safeapply.resources.objects import ResourceId
from safeapply.xds.names import ClusterName, parse_cluster

__all__ = ["MOST_NODES", "Way", "shortest_ways"]

MOST_NODES: Final = 3000
"""A group with more choices of versions is not searched."""

Way: TypeAlias = tuple[Mapping[ResourceId, Candidate], ...]
"""Steps: what each of them writes."""

LIVE, DESIRED = 0, 1


def shortest_ways(
    transition: Transition,
    candidates: Mapping[ResourceId, Sequence[Candidate]],
    *,
    fewer_than: int,
    singly: bool = False,
) -> Iterator[Way]:
    """Yield ways from live to desired that are safe at every step, the shortest first.

    Of those that are equally short, the ones with the fewest writes come first (``plans.paths`` for how many).

    Args:
        transition: from live to desired.
        candidates: the versions of each object of a group: live, desired, and others.
        fewer_than: how many steps are too many.
        singly: take only ways whose every step writes one object.
    """
    if prod(map(len, candidates.values())) > MOST_NODES:
        return
    space = _Space.of(transition, candidates, singly=singly)
    start, end = (LIVE,) * len(space.names), (DESIRED,) * len(space.names)
    for nodes in shortest_paths(start, end, space.neighbours, fewer_than=fewer_than):
        yield tuple(space.writes(*pair) for pair in pairwise(nodes))


@dataclass(slots=True)
class _Space:
    """The nodes and edges, and what is known of them."""

    names: tuple[ResourceId, ...]
    candidates: tuple[Sequence[Candidate], ...]
    base: Snapshot
    promise: Promise
    classes: tuple[ProxyClass, ...]
    routes: tuple[ResourceId, ...]
    kept: Mapping[ProxyClass, frozenset[Request]]
    asking: tuple[bool, ...]
    """For each object whether it decides about what is asked for."""
    giving: tuple[bool, ...]
    """For each object whether it decides about which clusters there are."""
    singly: bool
    """Whether a step writes one object only."""
    bits: dict[tuple[ProxyClass, ClusterName], int] = field(default_factory=dict)
    asked: dict[Node, int | None] = field(default_factory=dict)
    given: dict[Node, int] = field(default_factory=dict)
    asked_between: dict[tuple[Node, Node], int | None] = field(default_factory=dict)
    given_between: dict[tuple[Node, Node], int] = field(default_factory=dict)
    beside: dict[Node, tuple[Node, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, transition: Transition, candidates: Mapping[ResourceId, Sequence[Candidate]], *, singly: bool
    ) -> _Space:
        """Look at a group by itself: all else is live, for it makes no difference."""
        index = transition.mesh.index
        touched = [c.declaration for several in candidates.values() for c in several if c.declaration is not None]
        routes = routes_in_reach(index, touched)
        start, end = Views(transition.live), Views(transition.desired)
        classes = _unlike(transition, (*routes, *hosts_in_reach(index, touched)))
        kept = {
            one: _kept(start.snapshot, end.snapshot, one, routes) for one in classes if one.role is Role.GATEWAY
        }
        names = tuple(candidates)
        scoped = bool(index.sidecars)
        space = cls(
            names,
            tuple(candidates.values()),
            transition.mixture({}),
            Promise(start, end),
            classes,
            routes,
            kept,
            tuple(scoped or one.group_kind != DESTINATION_RULE for one in names),
            tuple(scoped or one.group_kind not in {VIRTUAL_SERVICE, GATEWAY} for one in names),
            singly,
        )
        space.ask_all()
        return space

    def ask_all(self) -> None:
        """Find what every choice of versions asks for, so that it is known which clusters matter."""
        choices = (range(len(c)) if asks else (0,) for c, asks in zip(self.candidates, self.asking, strict=True))
        self.asked = {node: self._asked(node) for node in product(*choices)}

    def neighbours(self, node: Node) -> tuple[Node, ...]:
        """Return the nodes that one step can lead to."""
        if node not in self.beside:
            self.beside[node] = tuple(self._neighbours(node))
        return self.beside[node]

    def _neighbours(self, node: Node) -> Iterator[Node]:
        """Yield the nodes that one step can lead to; what is not safe in part is not safe in whole."""
        waiting = [(node, 0)]
        while waiting:
            reached, place = waiting.pop()
            if place == len(node):
                if reached != node:
                    yield reached
                continue
            for version in self._allowed(node[place], place):
                if self.singly and version != node[place] and reached != node:
                    continue
                following = (*reached[:place], version, *reached[place + 1 :])
                if version == node[place] or self.is_safe(node, following):
                    waiting.append((following, place + 1))

    def is_safe(self, one: Node, other: Node) -> bool:
        """Tell whether each mixture of two nodes serves what has to be served."""
        need = self._asked_between(_half(one, self.asking), _half(other, self.asking))
        if need is None:
            return False
        return not need & ~self._given_between(_half(one, self.giving), _half(other, self.giving))

    def writes(self, before: Node, after: Node) -> Mapping[ResourceId, Candidate]:
        """Return what a step writes."""
        moved = zip(self.names, self.candidates, before, after, strict=True)
        return {name: known[new] for name, known, old, new in moved if old != new}

    def _allowed(self, now: int, place: int) -> Iterable[int]:
        """Return the versions that may follow: nothing is made again, for its age counts (ISTIO.md 4.10)."""
        known = self.candidates[place]
        if known[DESIRED].declaration is None and now == DESIRED:
            return (now,)
        begins = 1 if known[LIVE].declaration is None and now != LIVE else 0
        return range(begins, len(known))

    def _asked_between(self, one: Node, other: Node) -> int | None:
        key = (one, other)
        if key not in self.asked_between:
            found: int | None = 0
            for mixture in _mixtures(one, other):
                asked = self.asked[mixture]
                found = None if found is None or asked is None else found | asked
            self.asked_between[key] = found
        return self.asked_between[key]

    def _given_between(self, one: Node, other: Node) -> int:
        key = (one, other)
        if key not in self.given_between:
            self.given_between[key] = reduce(and_, map(self._given, _mixtures(one, other)))
        return self.given_between[key]

    def _asked(self, node: Node) -> int | None:
        """Return the clusters that routes ask for, or None where some request meets no route."""
        snapshot, found = self._snapshot(node), 0
        views = Views(snapshot)
        for one in self.classes:
            if one in self.kept and not _serves(snapshot, one, self.routes, self.kept[one]):
                return None
            for route in self.routes:
                for demand in self.promise.demands(snapshot, one, route):
                    if demand.clusters is None:
                        return None
                    found |= self._mask(one, demand.clusters)
                found |= self._mask(one, _connected(self.promise.start, views, one, route))
        return found

    def _given(self, node: Node) -> int:
        if node not in self.given:
            views = Views(self._snapshot(node))
            self.given[node] = sum(bit for (one, name), bit in self.bits.items() if _exists(views, one, name))
        return self.given[node]

    def _mask(self, one: ProxyClass, clusters: Iterable[ClusterName]) -> int:
        found = 0
        for name in clusters:
            found |= self.bits.setdefault((one, name), 1 << len(self.bits))
        return found

    def _snapshot(self, node: Node) -> Snapshot:
        chosen = zip(self.names, self.candidates, node, strict=True)
        return self.base.where({name: (known[number].declaration,) for name, known, number in chosen})


def _half(node: Node, counts: Sequence[bool]) -> Node:
    return tuple(number if matters else 0 for number, matters in zip(node, counts, strict=True))


def _mixtures(one: Node, other: Node) -> Iterator[Node]:
    return product(*((a,) if a == b else (a, b) for a, b in zip(one, other, strict=True)))


def _unlike(transition: Transition, subjects: Sequence[object]) -> tuple[ProxyClass, ...]:
    """Return one class of each kind that the group can tell apart."""
    everybody = Views(transition.mesh)
    found: dict[object, ProxyClass] = {}
    for one in transition.classes:
        found.setdefault(tuple(everybody.stance(one, subject) for subject in subjects), one)  # type: ignore[arg-type]
    return tuple(found.values())


def _kept(start: Snapshot, end: Snapshot, one: ProxyClass, routes: Iterable[ResourceId]) -> frozenset[Request]:
    before, after = (served(snapshot, one, routes) for snapshot in (start, end))
    return frozenset(request for request in before if is_served(request, after))


def _serves(snapshot: Snapshot, one: ProxyClass, routes: Iterable[ResourceId], kept: Iterable[Request]) -> bool:
    there = served(snapshot, one, routes)
    return all(is_served(request, there) for request in kept)


def _connected(start: Views, views: Views, one: ProxyClass, route: ResourceId) -> Iterator[ClusterName]:
    """Yield the clusters that TCP and TLS rules name, but for those that they miss already."""
    broken = {r.cluster for r in start.of(one, (route,)).dangling()}
    for reference in views.references(one, route):
        if reference.domain is None and reference.hard and reference.cluster not in broken:
            yield reference.cluster


def _exists(views: Views, one: ProxyClass, name: ClusterName) -> bool:
    parts = parse_cluster(name)
    return parts is not None and name in views.clusters(one, parts.host)
