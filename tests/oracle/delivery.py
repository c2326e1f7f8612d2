"""Writes on their way to the proxies: every state that a proxy may be in, and the request that it would lose.

The model of time, from DESIGN.md 1 and 4.5 and ISTIO.md 0:

* Every write reaches every proxy at a time of its own (0.2, 0.3: pipelines by kind, replicas, debounce, queues), so
  an Envoy's clusters and its routes each show any mix of versions between what it surely has and what is written.
* One push sends clusters before routes (0.1), and takes clusters away before new ones are warm (0.5). Both only
  pass through mixes of an older and a newer state; a cluster that both states hold stays in between. So a request
  that each mix of versions serves is served inside a push too.
* A watch hands over the writes of one kind in their order, and istiod keeps it: no proxy has what a later step
  wrote to one object without what an earlier step wrote to others of its kind. There is one exception: what is
  queued for an object takes later versions of it along, past other objects (client-go's DeltaFIFO). Within a step,
  and between kinds, there is no order (0.3).
* A barrier either proves everything (``proof=None``: each proxy shows each write), or only what was looked at: a
  proxy that shows all sights may still lack any write that they do not tell apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from itertools import product
from typing import TypeAlias

from tests.oracle.model import (
    Cluster,
    DestinationRule,
    Host,
    Item,
    ItemId,
    Namespace,
    Rule,
    VirtualService,
    World,
    id_of,
    world_of,
)
from tests.oracle.translation import DRAWS, Request, clusters, named, routes, target


@dataclass(frozen=True, slots=True)
class Write:
    """A new version of an object; None takes it away."""

    id: ItemId
    item: Item | None


class Look(Enum):
    """What can be read off an Envoy."""

    ACTIVE = "active"
    ABSENT = "absent"
    REFERRED = "referred"
    UNREFERRED = "unreferred"


@dataclass(frozen=True, slots=True)
class Sight:
    """Something that each Envoy of some clients was seen to show; clients None are all of them."""

    look: Look
    cluster: Cluster
    clients: frozenset[Namespace] | None = None
    host: Host | None = None
    """For a reference: the virtual host that was looked at; None is all of them."""


@dataclass(frozen=True, slots=True)
class Step:
    """Writes that go out together, and what the barrier before them has proven; ``None`` is all earlier writes."""

    writes: tuple[Write, ...]
    proof: tuple[Sight, ...] | None = None


RouteTable: TypeAlias = Mapping[Host, tuple[Rule, ...]]


@dataclass(frozen=True, slots=True)
class State:
    """One proxy at one instant, while a step is under way."""

    step: int
    client: Namespace
    clusters: frozenset[Cluster]
    routes: RouteTable


@dataclass(frozen=True, slots=True)
class Lost:
    """A request that fails though it is served before and after: for want of a cluster, or of a route."""

    step: int
    request: Request
    missing: Cluster | None


def served(world: World, request: Request) -> bool:
    """Tell whether a settled world serves a request."""
    found = target(routes(world.services, world.virtual_services, request.client), request)
    held = clusters(world.services, world.destination_rules, request.client)
    return found in held


def counted_requests(live: World, desired: World, clients: Iterable[Namespace]) -> tuple[Request, ...]:
    """Return the requests that the promise is about: those served both before and after."""
    asked = {request for world in (live, desired) for request in _requests(world, clients)}
    return tuple(sorted((one for one in asked if served(live, one) and served(desired, one)), key=repr))


def lost_request(live: World, steps: Iterable[Step], requests: Iterable[Request]) -> Lost | None:
    """Return the first request that some reachable state loses, or None."""
    asked = tuple(requests)
    for state in reachable_states(live, steps, {one.client for one in asked}):
        for request in asked:
            if request.client == state.client:
                found = target(state.routes, request)
                if found not in state.clusters:
                    return Lost(state.step, request, found)
    return None


def reachable_states(live: World, steps: Iterable[Step], clients: Iterable[Namespace]) -> Iterator[State]:
    """Yield every state that a proxy of each client may be in, by delivering all writes in all orders."""
    steps = tuple(steps)
    for client in sorted(clients):
        flight = _Flight.starting_from(live, steps)
        for number, step in enumerate(steps, 1):
            flight = flight.after_barrier(step.proof, client).with_writes(step.writes, number)
            held = {flight.clusters(one, client) for one in flight.in_clusters}
            tables = {
                tuple(sorted(flight.routes(one, client).items())): flight.routes(one, client)
                for one in flight.in_routes
            }
            for which, table in product(held, tables.values()):
                yield State(number, client, which, table)


def closed_barrier(live: World, steps: Iterable[Step], clients: Iterable[Namespace]) -> int | None:
    """Return the first step whose barrier stays closed though all that was written before has arrived, or None."""
    steps = tuple(steps)
    for client in sorted(clients):
        flight = _Flight.starting_from(live, steps)
        for number, step in enumerate(steps, 1):
            shown = flight.after_barrier(None, client).after_barrier(step.proof, client)
            if not shown.in_clusters or not shown.in_routes:
                return number
            flight = flight.with_writes(step.writes, number)
    return None


def final_world(live: World, steps: Iterable[Step]) -> World:
    """Return the world once everything has arrived."""
    items: dict[ItemId, Item | None] = {id_of(item): item for item in live.items()}
    for step in steps:
        items |= {write.id: write.item for write in step.writes}
    return world_of(*(item for item in items.values() if item is not None))


_Versions: TypeAlias = tuple[int, ...]
"""For each object that is ever written, how many of its writes have arrived."""


@dataclass(frozen=True, slots=True)
class _Flight:
    """What was written so far, and all that a proxy may have of it, for its clusters and for its routes."""

    untouched: World
    history: tuple[tuple[ItemId, tuple[Item | None, ...]], ...]
    steps: tuple[tuple[int, ...], ...]
    """For each version of each object, the step that wrote it."""
    in_clusters: frozenset[_Versions]
    in_routes: frozenset[_Versions]

    @classmethod
    def starting_from(cls, live: World, steps: Iterable[Step]) -> _Flight:
        """Return the quiet mesh before the first write."""
        written = sorted({write.id for step in steps for write in step.writes})
        before = {id_of(item): item for item in live.items()}
        untouched = world_of(*(item for name, item in before.items() if name not in written))
        nothing_arrived = frozenset({(0,) * len(written)})
        history = tuple((name, (before.get(name),)) for name in written)
        return cls(untouched, history, ((0,),) * len(written), nothing_arrived, nothing_arrived)

    def after_barrier(self, proof: tuple[Sight, ...] | None, client: Namespace) -> _Flight:
        """Keep what the barrier has not ruled out."""
        if proof is None:
            everything = frozenset({tuple(len(versions) - 1 for _, versions in self.history)})
            return replace(self, in_clusters=everything, in_routes=everything)
        asked = [one for one in proof if one.clients is None or client in one.clients]
        in_clusters = (one for one in self.in_clusters if _agrees(self.clusters(one, client), asked))
        in_routes = (one for one in self.in_routes if _refers(self.routes(one, client), asked))
        return replace(self, in_clusters=frozenset(in_clusters), in_routes=frozenset(in_routes))

    def with_writes(self, writes: tuple[Write, ...], step: int) -> _Flight:
        """Send more writes, and deliver all that is under way in every order."""
        new = {write.id: (write.item,) for write in writes}
        assert len(new) == len(writes), "one step writes an object once"
        history = tuple((name, versions + new.get(name, ())) for name, versions in self.history)
        named = zip(self.history, self.steps, strict=True)
        written = tuple(known + ((step,) if name in new else ()) for (name, _), known in named)
        kinds = tuple(name.kind for name, _ in history)
        return _Flight(
            self.untouched,
            history,
            written,
            _delivered(self.in_clusters, written, kinds, self._matters_to(DestinationRule)),
            _delivered(self.in_routes, written, kinds, self._matters_to(VirtualService)),
        )

    def clusters(self, versions: _Versions, client: Namespace) -> frozenset[Cluster]:
        """Return the clusters that come of these versions."""
        world = self._world(versions)
        return clusters(world.services, world.destination_rules, client)

    def routes(self, versions: _Versions, client: Namespace) -> RouteTable:
        """Return the routes that come of these versions."""
        world = self._world(versions)
        return routes(world.services, world.virtual_services, client)

    def _world(self, versions: _Versions) -> World:
        chosen = (known[number] for (_, known), number in zip(self.history, versions, strict=True))
        return world_of(*self.untouched.items(), *(item for item in chosen if item is not None))

    def _matters_to(self, kind: type[Item]) -> tuple[bool, ...]:
        # Clusters come of Services and DestinationRules, routes of Services and VirtualServices.
        return tuple(name.kind in {kind.__name__, "Service"} for name, _ in self.history)


def _delivered(
    known: Iterable[_Versions],
    steps: tuple[tuple[int, ...], ...],
    kinds: tuple[str, ...],
    matters: tuple[bool, ...],
) -> frozenset[_Versions]:
    """Return all that can be had by one delivery after another, up to the newest version of everything."""
    # What does not matter to this half of the proxy is set to its end: it would only repeat states.
    ends = tuple(len(written) - 1 for written in steps)
    start = {tuple(n if m else e for n, e, m in zip(one, ends, matters, strict=True)) for one in known}
    reached, waiting = set(start), list(start)
    while waiting:
        versions = waiting.pop()
        for place, number in enumerate(versions):
            if number == ends[place] or not _is_next(versions, place, steps, kinds):
                continue
            # What is queued for an object takes the later versions of it along.
            for newer in range(number + 1, ends[place] + 1):
                following = (*versions[:place], newer, *versions[place + 1 :])
                if following not in reached:
                    reached.add(following)
                    waiting.append(following)
    return frozenset(reached)


def _is_next(versions: _Versions, place: int, steps: tuple[tuple[int, ...], ...], kinds: tuple[str, ...]) -> bool:
    """Tell whether all of this kind that earlier steps wrote has arrived."""
    due = steps[place][versions[place] + 1]
    return all(
        number == len(written) - 1 or written[number + 1] >= due
        for number, written, kind in zip(versions, steps, kinds, strict=True)
        if kind == kinds[place]
    )


def _agrees(held: frozenset[Cluster], asked: Iterable[Sight]) -> bool:
    present = {Look.ACTIVE: True, Look.ABSENT: False}
    return all((one.cluster in held) == present[one.look] for one in asked if one.look in present)


def _refers(table: RouteTable, asked: Iterable[Sight]) -> bool:
    expected = {Look.REFERRED: True, Look.UNREFERRED: False}
    return all(_is_named(table, one) == expected[one.look] for one in asked if one.look in expected)


def _is_named(table: RouteTable, sight: Sight) -> bool:
    looked_at = [(host, rules) for host, rules in table.items() if sight.host in {None, host}]
    if sight.look is Look.UNREFERRED:
        # A host's route to its own whole service comes and goes with it, so it is not counted.
        looked_at = [(host, rules) for host, rules in looked_at if sight.cluster != Cluster(host)]
    return any(sight.cluster in named(rule) for _, rules in looked_at for rule in rules)


def _requests(world: World, clients: Iterable[Namespace]) -> Iterator[Request]:
    keys = {rule.key for one in world.virtual_services for rule in one.rules} | {None}
    for client, service, key, draw in product(clients, world.services, keys, DRAWS):
        yield Request(client, service.host, key, draw)
