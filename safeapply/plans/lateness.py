"""The proof that no write comes too late: what barriers do not show may still be under way (DESIGN 4.5).

``plans.verifier`` looks at each step as though all before it had arrived. Here each barrier is taken at its word,
and rules out what an Envoy that shows its expectations cannot have. Clusters and routes of one proxy stem from
different moments, so a request is safe where every routing that the proxy may have finds its cluster in all that it
may hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from operator import and_
from typing import TypeAlias

from safeapply.istio.fates import Promise
from safeapply.istio.kinds import MESH
from safeapply.istio.localities import Locality, localities
from safeapply.istio.proxies import ProxyClass, Role
from safeapply.istio.reach import hosts_in_reach, routes_in_reach
from safeapply.istio.routes import Reference
from safeapply.istio.serving import Request, gateway_id
from safeapply.istio.snapshot import Index, Snapshot
from safeapply.istio.view import Views
from safeapply.plans.arrivals import Half, Versions
from safeapply.plans.showing import Showing
from safeapply.resources.objects import ResourceId
from safeapply.xds.expectations import (
    Expectation,
    concerns,
)
from safeapply.xds.names import ClusterName, Host, parse_cluster

__all__ = ["Late", "Schedule", "late"]

Late: TypeAlias = tuple[int, ProxyClass, Reference | Request]


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is written when, and what is seen before."""

    everything: Snapshot
    """With all versions of all objects."""
    live: Versions
    writes: Sequence[Versions]
    expectations: Sequence[Sequence[Expectation]]


def late(plan: Schedule, promise: Promise, classes: Iterable[ProxyClass]) -> Late | None:
    """Return the step, the class and the request of a state that is reached because some write has not arrived."""
    if len(plan.writes) < 2:  # noqa: PLR2004  nothing is before the first step
        return None
    index = plan.everything.index
    touched = [v for step in plan.writes for one, new in step.items() for v in (plan.live.get(one), new) if v]
    routes, hosts = routes_in_reach(index, touched), hosts_in_reach(index, touched)
    by_cluster, around = [_by_host(expected) for expected in plan.expectations], tuple(_around(plan))
    everybody = Views(plan.everything)
    for locality in localities(plan.everything, classes, routes, hosts):
        place = _Place(plan, promise, locality, by_cluster, around, everybody)
        if len(place.steps()) > 1:
            for one in locality.crowds:
                if found := next(place.losses(one), None):
                    return found
    return None


def _around(plan: Schedule) -> Iterator[Snapshot]:
    """Yield for each step the mesh in which what it writes may be seen as before it or after."""
    before = {one: plan.live.get(one) for step in plan.writes for one in step}
    for step in plan.writes:
        either = {one: tuple({version: 0, step.get(one, version): 0}) for one, version in before.items()}
        yield plan.everything.where(either)
        before |= step


_ByHost: TypeAlias = Mapping[Host, Sequence[Expectation]]


def _by_host(expected: Iterable[Expectation]) -> _ByHost:
    found: dict[Host, list[Expectation]] = {}
    for one in expected:
        parts = parse_cluster(one.cluster)
        if parts is not None:
            found.setdefault(parts.host, []).append(one)
    return found


@dataclass(frozen=True, slots=True)
class _Place:
    """One locality: its writes, and what may have arrived of them."""

    plan: Schedule
    promise: Promise
    locality: Locality
    expected: Sequence[_ByHost]
    """For each step what its barrier expects of the clusters of a host."""
    around: Sequence[Snapshot]
    everybody: Views
    _views: dict[tuple[int, tuple[object, ...]], Views] = field(default_factory=dict)

    @property
    def index(self) -> Index:
        return self.plan.everything.index

    def steps(self) -> set[int]:
        """Return the steps that write something here."""
        halves = (
            *(self._deciding_routes(d) for d in self._domains()),
            *map(self._deciding_clusters, self._hosts()),
        )
        objects = {one for several in halves for one in several}
        return {number for number, step in enumerate(self.plan.writes) if not objects.isdisjoint(step)}

    def losses(self, one: ProxyClass) -> Iterator[Late]:
        """Yield what proxies of a class may lose."""
        live, writes = self.plan.live, self.plan.writes
        domains = [domain for domain in self._domains() if self._calls(one, domain)]
        if not domains:
            return
        routing = {domain: Half.of(self._deciding_routes(domain), live, writes) for domain in domains}
        holding = {host: Half.of(self._deciding_clusters(host), live, writes) for host in self._hosts()}
        for number in range(len(writes)):
            moment = _Moment(self, number, one)
            routing = {domain: moment.routing(domain, half) for domain, half in routing.items()}
            holding = {host: moment.holding(host, half) for host, half in holding.items()}
            behind = {host for host, half in holding.items() if half.lacks_before(number)}
            for domain, half in routing.items():
                # What lacks nothing, the verifier has looked at.
                if half.lacks_before(number) or not behind.isdisjoint(self.named_by(domain)):
                    given = {
                        host: moment.given(host, holding[host]) for host in self.named_by(domain) if host in holding
                    }
                    yield from ((number, one, lost) for lost in moment.lost(domain, half, given))

    def _calls(self, one: ProxyClass, domain: Host) -> bool:
        """Tell whether a class ever has a route of a domain that sends requests somewhere."""
        return any(self.everybody.references(one, route) for route in self.routes_of(domain))

    def routes_of(self, domain: Host) -> tuple[ResourceId, ...]:
        """Return the VirtualServices that may serve a domain."""
        return tuple(dict.fromkeys(self.index.routes_for(domain)))

    def named_by(self, domain: Host) -> Iterable[Host]:
        """Return the hosts that some version of a domain's routes sends requests to, by aliases as well."""
        hosts = dict.fromkeys(self._destinations(domain))
        return dict.fromkeys((*hosts, *(to for host in hosts for to in self.index.aliases.get(host, ()))))

    def views(self, number: int, chosen: Versions) -> Views:
        """Return what a step's mesh looks like with these versions; of others, before and after the step."""
        key = (number, tuple(chosen.items()))
        if key not in self._views:
            known = {one: (version,) for one, version in chosen.items()}
            self._views[key] = Views(self.around[number].where(known))
        return self._views[key]

    def _domains(self) -> Iterable[Host]:
        routes = (v for route in self.locality.routes for v in self.plan.everything.route_versions(route) if v)
        return dict.fromkeys(host for route in routes for host in route.hosts)

    def _hosts(self) -> Iterable[Host]:
        return self.locality.hosts

    def _destinations(self, domain: Host) -> Iterator[Host]:
        for one in dict.fromkeys(self._naming(domain)):
            rules = (rule for v in self.plan.everything.route_versions(one) if v for rule in v.rules)
            yield from (d.host for rule in rules for d in (*rule.destinations, *rule.mirrors))

    def _deciding_routes(self, domain: Host) -> Iterator[ResourceId]:
        yield from self._naming(domain)
        if self.index.aliases:
            # An alias that has not arrived is a host that nobody has (ISTIO.md 1.2).
            aliases = (host for host in self._destinations(domain) if host in self.index.aliases)
            yield from (one for alias in aliases for one in self.index.registry.get(alias, ()))

    def _naming(self, domain: Host) -> Iterator[ResourceId]:
        yield from self.index.registry.get(domain, ())
        yield from self._scopes()
        for route in self.routes_of(domain):
            yield route
            for version in filter(None, self.plan.everything.route_versions(route)):
                yield from (rule.delegate for rule in version.rules if rule.delegate)
                yield from (gateway_id(name) for name in version.gateways if name != MESH)

    def _deciding_clusters(self, host: Host) -> Iterator[ResourceId]:
        yield from self.index.registry.get(host, ())
        yield from self.index.rules_for(host)
        if self.index.sidecars:
            # A scope takes in what its routes name (ISTIO.md 9.1).
            yield from self._scopes()
            yield from self.index.referring.get(host, ())

    def _scopes(self) -> Iterator[ResourceId]:
        return (sidecar for several in self.index.sidecars.values() for sidecar in several)


@dataclass(frozen=True, slots=True)
class _Moment:
    """A step, from its barrier on, for one class."""

    place: _Place
    number: int
    one: ProxyClass

    def routing(self, domain: Host, half: Half) -> Half:
        """Return what may decide about a domain's routes once the step is written."""
        by_host, named = self.place.expected[self.number], self.place.named_by(domain)
        expected = [e for host in named for e in by_host.get(host, ()) if self._concerns(e)]
        return self._after(half, [partial(self._routed, domain, one) for one in expected])

    def holding(self, host: Host, half: Half) -> Half:
        """Return what may decide about a host's clusters once the step is written."""
        expected = [e for e in self.place.expected[self.number].get(host, ()) if self._concerns(e)]
        return self._after(half, [partial(self._held, host, one) for one in expected])

    def given(self, host: Host, half: Half) -> frozenset[ClusterName]:
        """Return the clusters of a host that the proxy surely holds."""
        return reduce(and_, (self._views(chosen).clusters(self.one, host) for chosen in half.mixtures()))

    def lost(
        self, domain: Host, half: Half, given: Mapping[Host, frozenset[ClusterName]]
    ) -> Iterator[Reference | Request]:
        """Yield requests to a domain that some routing sends nowhere."""
        for chosen in half.mixtures():
            views = self._views(chosen)
            for route in self.place.routes_of(domain):
                yield from self._lost(views, domain, route, given)

    def _lost(
        self, views: Views, domain: Host, route: ResourceId, given: Mapping[Host, frozenset[ClusterName]]
    ) -> Iterator[Reference | Request]:
        promise, references = self.place.promise, views.references(self.one, route)
        missing = {r.cluster for r in references if r.cluster not in given.get(r.host, {r.cluster})}
        # That requests meet no route is told of sidecars only (istio.fates).
        asked = missing or self.one.role is not Role.GATEWAY
        for demand in promise.demands(views.snapshot, self.one, route) if asked else ():
            if demand.domain == domain and demand.clusters is None:
                yield Request(demand.port, domain, demand.text)
            elif demand.domain == domain:
                names = missing & (demand.clusters or frozenset())
                yield from (r for r in references if r.domain == domain and r.cluster in names)
        if any(r.domain is None and r.cluster in missing for r in references):
            broken = {(r.port, r.cluster) for r in promise.start.of(self.one, (route,)).dangling()}
            yield from (
                r
                for r in references
                if r.domain is None and r.hard and r.cluster in missing and (r.port, r.cluster) not in broken
            )

    def _after(self, half: Half, shown: Iterable[Callable[[Views], bool]]) -> Half:
        for shows in shown:
            half = half.after_barrier(partial(self._shown, shows))
        return half.with_step(self.number)

    def _routed(self, domain: Host, expected: Expectation, views: Views) -> bool:
        return Showing(views, self.one).routed(domain, self.place.routes_of(domain), expected)

    def _held(self, host: Host, expected: Expectation, views: Views) -> bool:
        return Showing(views, self.one).held(host, expected)

    def _shown(self, shows: Callable[[Views], bool], chosen: Versions) -> bool:
        return shows(self._views(chosen))

    def _views(self, chosen: Versions) -> Views:
        return self.place.views(self.number, chosen)

    def _concerns(self, expected: Expectation) -> bool:
        return concerns(expected, self.one)
