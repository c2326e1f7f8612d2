"""Which write has to come after which so that no server refuses what its clients send (ISTIO.md 6.5).

For each host that is met, the shortest way from live to desired is searched through the versions of the few objects
that decide about it; whatever two following steps of it must not be one is a constraint. A mesh is searched host by
host first, because hosts share no more than a PeerAuthentication or a rule; where their ways contradict each other,
those that share one are searched together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from heapq import heappop, heappush
from itertools import count, pairwise, product
from typing import Final, TypeAlias

from safeapply.istio.handshake_words import wanted
from safeapply.istio.handshakes import Conflict, Handshakes
from safeapply.istio.kinds import DESTINATION_RULE, PEER_AUTHENTICATION
from safeapply.istio.localities import Locality, met
from safeapply.istio.proxies import ProxyClass
from safeapply.istio.registry import is_declared
from safeapply.istio.snapshot import Snapshot
from safeapply.istio.view import Views
from safeapply.plans.transition import Transition
from safeapply.plans.versions import Stage
from safeapply.plans.writes import Constraint, End, Part
from safeapply.resources.objects import ResourceId
from safeapply.xds.names import Host

__all__ = ["new_conflicts", "tls_order"]

MOST_OBJECTS = 6
"""So many versions are searched through; of more, the verifier says whether any order will do."""

_BETWEEN: Final = {PEER_AUTHENTICATION: Stage.BRIDGE, DESTINATION_RULE: Stage.PINNED}
"""The version in between that can help."""

Move: TypeAlias = tuple[tuple[ResourceId, Stage], ...]
"""The writes of a step."""
Place: TypeAlias = tuple[int, ...]
"""For each object how far it has come."""


def new_conflicts(transition: Transition) -> tuple[Conflict, ...]:
    """Return the requests that will be reset once all is written, and are not today."""
    live, desired = (Handshakes(Views(end)) for end in (transition.live, transition.desired))
    staying = (host for host in transition.met if is_declared(live.views.snapshot, host))
    return tuple(
        replace(conflict, proxy_class=other)
        for locality in met(transition.mesh, transition.classes, staying)
        for host, (one, alike) in product(locality.hosts, locality.crowds.items())
        for conflict in _unknown(one, host, live, desired)
        for other in alike
    )


def tls_order(transition: Transition, *, together: bool = False) -> frozenset[Constraint]:
    """Return what the handshakes of all hosts ask for.

    Args:
        transition: from live to desired.
        together: search hosts that share an object as one; for when their own ways contradict each other.
    """
    if not transition.met:
        return frozenset()
    everything = Handshakes(Views(transition.mesh))
    live = Handshakes(Views(transition.live))
    # Everything else that changes may be as it is or as it will be.
    others = (one for one in transition.stages if one.group_kind not in _BETWEEN)
    around = transition.mixture(dict.fromkeys(others, (Stage.LIVE, Stage.DESIRED)))
    found: dict[Constraint, None] = {}
    meetings = [
        _Meeting((host,), tuple(locality.crowds), dict.fromkeys(_deciding(transition, everything, locality, host)))
        for locality in met(transition.mesh, transition.classes, transition.met)
        for host in locality.hosts
    ]
    for meeting in _joined(meetings) if together else meetings:
        chains = {one: _chain(transition, one) for one in meeting.deciding}
        search = _Search(transition, meeting, chains, live, around)
        found |= dict.fromkeys(search.constraints())
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class _Meeting:
    """Hosts, who calls them, and the changed objects that decide what is sent and accepted."""

    hosts: tuple[Host, ...]
    classes: tuple[ProxyClass, ...]
    """One of each that nothing tells apart."""
    deciding: Mapping[ResourceId, None]


def _unknown(one: ProxyClass, host: Host, live: Handshakes, then: Handshakes) -> Iterator[Conflict]:
    """Yield the conflicts of a class that it has not got today."""
    conflicts = list(then.conflicts(one, host))
    known = {conflict.pair for conflict in live.conflicts(one, host)} if conflicts else set()
    yield from (conflict for conflict in conflicts if conflict.pair not in known)


def _joined(meetings: Iterable[_Meeting]) -> list[_Meeting]:
    """Put those together that share a changed object."""
    joined: list[_Meeting] = []
    for one in meetings:
        sharing = [other for other in joined if other.deciding.keys() & one.deciding.keys()]
        whole = reduce(_both, sharing, one)
        joined = [*(other for other in joined if other not in sharing), whole]
    return joined


def _both(one: _Meeting, other: _Meeting) -> _Meeting:
    classes = tuple(dict.fromkeys((*one.classes, *other.classes)))
    return _Meeting((*one.hosts, *other.hosts), classes, {**one.deciding, **other.deciding})


def _deciding(
    transition: Transition, everything: Handshakes, locality: Locality, host: Host
) -> Iterator[ResourceId]:
    """Yield the changed objects that decide what is sent to a host, and what is accepted there."""
    mesh, index = transition.mesh, transition.mesh.index
    spaces = {one.namespace for one in index.registry.get(host, ())} | {mesh.mesh.root_namespace}
    servers = {s.server for one in locality.crowds for s in everything.of(one, host)}
    for namespace in sorted(spaces):
        for policy in index.authentications.get(namespace, ()):
            versions = [version for version in mesh.authentication_versions(policy) if version is not None]
            selectors = [dict(version.selector) for version in versions]
            if policy in transition.stages and any(s.labels.match(sel) for s in servers for sel in selectors):
                yield policy
    yield from (rule for rule in index.rules_for(host) if rule in transition.stages)
    if any(rule in index.speaking for rule in index.rules_for(host)):
        yield from (route for route in locality.routes if route in transition.stages)


def _chain(transition: Transition, one: ResourceId) -> tuple[Stage, ...]:
    wanted = _BETWEEN.get(one.group_kind)
    return (Stage.LIVE, *(stage for stage in transition.stages[one] if stage is wanted), Stage.DESIRED)


@dataclass(frozen=True, slots=True)
class _Search:
    """The shortest way from live to desired, for some hosts."""

    transition: Transition
    meeting: _Meeting
    chains: Mapping[ResourceId, tuple[Stage, ...]]
    """The objects that decide, each with the versions that it may go through."""
    live: Handshakes
    around: Snapshot
    """The mesh in which the objects that do not decide are."""
    _judged: dict[tuple[Place, Place], Conflict | None] = field(default_factory=dict)

    def constraints(self) -> Iterator[Constraint]:
        """Yield what the shortest way asks for; nothing where one step will do, or where there is no way."""
        if len(self.chains) > MOST_OBJECTS:
            return
        way = self._way()
        bridged = {one for move in way for one, stage in move if stage is not Stage.DESIRED}
        place = self._start()
        for first, then in pairwise(way):
            conflict = self._judge(place, self._moved(self._moved(place, first), then))
            why = _why(conflict) if conflict else ""
            place = self._moved(place, first)
            for one, other in product(first, then):
                if one[0] != other[0]:
                    yield Constraint(_end(one, bridged), _end(other, bridged), why)

    def _start(self) -> Place:
        return (0,) * len(self.chains)

    def _way(self) -> Sequence[Move]:
        """Return the steps of the shortest way, the one with the fewest writes; nothing where there is none."""
        start, goal = self._start(), tuple(len(chain) - 1 for chain in self.chains.values())
        if self._judge(start, goal) is None:
            return ()
        ticket = count()
        waiting: list[tuple[int, int, int, Place, tuple[Move, ...]]] = [(0, 0, next(ticket), start, ())]
        reached: set[Place] = set()
        while waiting:
            steps, writes, _, place, way = heappop(waiting)
            if place == goal:
                return way
            if place in reached:
                continue
            reached.add(place)
            for after in self._next(place, goal):
                if after not in reached and self._judge(place, after) is None:
                    move = self._move(place, after)
                    heappush(waiting, (steps + 1, writes + len(move), next(ticket), after, (*way, move)))
        return ()

    def _next(self, place: Place, goal: Place) -> Iterator[Place]:
        return (
            after
            for after in product(*(range(now, end + 1) for now, end in zip(place, goal, strict=True)))
            if after != place
        )

    def _move(self, before: Place, after: Place) -> Move:
        """Return the writes from one place to another; a rule that never pinned need not be taken away."""
        stages = self.transition.stages
        return tuple(
            (one, chain[then])
            for (one, chain), now, then in zip(self.chains.items(), before, after, strict=True)
            if then != now and (stages[one][chain[then]] or stages[one][chain[now]])
        )

    def _moved(self, place: Place, move: Move) -> Place:
        stages = dict(move)
        return tuple(
            chain.index(stages[one]) if one in stages else now
            for (one, chain), now in zip(self.chains.items(), place, strict=True)
        )

    def _judge(self, before: Place, after: Place) -> Conflict | None:
        """Return a request that may be reset while these writes are under way, and is not today."""
        key = (before, after)
        if key not in self._judged:
            self._judged[key] = self._conflict(before, after)
        return self._judged[key]

    def _conflict(self, before: Place, after: Place) -> Conflict | None:
        stages = self.transition.stages
        chosen = {
            one: tuple(stages[one][stage] for stage in dict.fromkeys((chain[now], chain[then])))
            for (one, chain), now, then in zip(self.chains.items(), before, after, strict=True)
        }
        shakes = Handshakes(Views(self.around.where(chosen)))
        pairs = product(self.meeting.hosts, self.meeting.classes)
        return next((found for host, one in pairs for found in _unknown(one, host, self.live, shakes)), None)


def _end(write: tuple[ResourceId, Stage], bridged: Iterable[ResourceId]) -> End:
    """Return the part of a change that a write of the way stands for."""
    one, stage = write
    if stage is Stage.PINNED:
        return (one, Part.PINNING)
    if stage is Stage.BRIDGE:
        return (one, Part.WIDENING)
    if one in bridged:
        return (one, Part.NARROWING)
    # A rule that is written as both, for its subsets, has its own TLS from the first write on.
    return (one, Part.WIDENING if one.group_kind == DESTINATION_RULE else Part.WHOLE)


def _why(conflict: Conflict) -> str:
    return (
        "{then} has to wait for {first}: until every proxy has it, some clients may send "
        f"{conflict.sending.sent.value} where the server wants {wanted(conflict)}, and their requests be reset"
    )
