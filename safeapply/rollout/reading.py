"""Ask one Envoy what its expectations need, and no more.

Routes and listeners are large, so first only *when* each was last updated is asked for, and a body is fetched
when that has moved (ENVOY.md 4). While a few route configurations keep a barrier closed, only those are asked for:
what such a narrow look shows can keep a barrier closed, but only a wide one opens it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from safeapply.istio.proxies import Proxy, Role
from safeapply.ports import Answer, Proxies
from safeapply.xds import configdump, references
from safeapply.xds import sockets as security
from safeapply.xds.configdump import Clusters
from safeapply.xds.expectations import (
    ClusterAbsent,
    ClusterActive,
    ClusterSends,
    ClusterUnreferenced,
    Expectation,
    InboundAccepts,
    OriginGone,
    Removal,
    RouteRefers,
    RouteReleased,
)
from safeapply.xds.listeners import Listeners, listeners
from safeapply.xds.names import ClusterName, Origin
from safeapply.xds.questions import (
    CLUSTER_MARKS,
    INBOUND,
    LISTENER_BODIES,
    LISTENER_CHANGES,
    LISTENER_VERSION,
    READY,
    ROUTE_BODIES,
    ROUTE_CHANGES,
    ROUTE_TIMES,
    cluster_question,
    endpoint_question,
    parts,
    route_changes,
    route_question,
    without_pattern,
)
from safeapply.xds.references import Interest, RouteConfig
from safeapply.xds.shortfalls import Holds
from safeapply.xds.sockets import Marks, Security, Sockets
from safeapply.xds.verdicts import Reading, judge

__all__ = ["Reader"]

T = TypeVar("T")
TOO_LARGE = 400
"""What Envoy answers to an expression over its limit."""
NARROW_LOOKS = 8
"""How many looks in a row may be narrow: what is waited for may turn up elsewhere."""


@dataclass(slots=True)
class Reader:
    """Reads one proxy, round after round; what was read is remembered for as long as the barrier lasts."""

    proxies: Proxies
    proxy: Proxy
    expectations: tuple[Expectation, ...]
    deadline: float
    """Seconds that one answer may take."""
    spent: float = 0.0
    """Seconds that the proxy took for all answers so far."""
    _interest: Interest = field(init=False)
    _routes: dict[str, RouteConfig] = field(default_factory=dict)
    _listeners: Listeners | None = None
    _listeners_seen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    _listener_version: str = ""
    _narrow: int = 0
    """How many looks in a row were narrow."""

    def __post_init__(self) -> None:
        named = [
            one for one in self.expectations if isinstance(one, ClusterUnreferenced | RouteRefers | RouteReleased)
        ]
        hosts = (one.host for one in named if isinstance(one, RouteRefers))
        self._interest = Interest(
            frozenset(one.cluster for one in named),
            frozenset(h for h in hosts if h),
            frozenset(one.origin for one in self.expectations if isinstance(one, OriginGone)),
        )

    async def read(self) -> Reading:
        """Return what the Envoy shows now, as far as the expectations need it.

        Raises:
            ProxyError: it could not be asked.
            UnreadableError: an answer proves nothing.
        """
        in_play = [name for name, one in self._routes.items() if one.virtual_hosts]
        if in_play and self._narrow < NARROW_LOOKS and not self._waits_for_listeners():
            self._narrow += 1
            reading = await self._look(in_play)
            if not all(isinstance(judge(one, reading), Holds) for one in self.expectations):
                return reading
        self._narrow = 0
        return await self._look()

    def _waits_for_listeners(self) -> bool:
        return any(isinstance(one, RouteRefers) and one.host is None for one in self.expectations)

    async def _look(self, in_play: Collection[str] | None = None) -> Reading:
        """Ask for everything, or only for these route configurations."""
        removal = any(isinstance(one, Removal) for one in self.expectations)
        if removal and in_play is None:
            configdump.check_live((await self._ask(READY)).body)
        clusters = await self._clusters(
            one.cluster
            for one in self.expectations
            if isinstance(one, ClusterActive | ClusterAbsent | ClusterSends)
        )
        endpoints = await self._endpoints(
            one.cluster for one in self.expectations if isinstance(one, ClusterActive) and one.ready_endpoint
        )
        shown = await self._security()
        marked = await self._marked()
        if not (self._interest.clusters or self._interest.origins):
            return Reading(clusters, endpoints, security=shown)
        listeners = await self._read_listeners(wide=in_play is None)
        return Reading(clusters, endpoints, await self._read_routes(in_play), listeners, shown, marked)

    async def _ask(self, path: str) -> Answer:
        answer = await self.proxies.ask(self.proxy, path, deadline=self.deadline)
        self.spent += answer.seconds
        return answer

    async def _ask_briefly(self, path: str) -> Answer:
        """Ask, and ask for everything where this Envoy's limit on expressions is lower than Istio sets it."""
        answer = await self._ask(path)
        return await self._ask(without_pattern(path)) if answer.status == TOO_LARGE else answer

    async def _said(self, path: str, read: Callable[[int, bytes], T]) -> T:
        answer = await self._ask_briefly(path)
        return read(answer.status, answer.body)

    async def _clusters(self, names: Iterable[ClusterName]) -> Clusters:
        """Ask for the clusters in play; with none in play, for the control cluster alone."""
        read = [await self._some_clusters(part) for part in [*parts(names)] or [()]]
        return Clusters(
            frozenset().union(*(one.active for one in read)), frozenset().union(*(one.warming for one in read))
        )

    async def _some_clusters(self, names: tuple[ClusterName, ...]) -> Clusters:
        answer = await self._ask(cluster_question(names))
        if answer.status != TOO_LARGE or len(names) <= 1:
            return configdump.clusters(answer.status, answer.body)
        # This Envoy's limit on expressions is lower than Istio sets it (ENVOY.md 3): ask for half at a time.
        middle = len(names) // 2
        one, other = await self._some_clusters(names[:middle]), await self._some_clusters(names[middle:])
        return Clusters(one.active | other.active, one.warming | other.warming)

    async def _endpoints(self, names: Iterable[ClusterName]) -> Mapping[ClusterName, int]:
        found: dict[ClusterName, int] = {}
        for part in parts(names):
            answer = await self._ask(endpoint_question(part))
            found.update(configdump.endpoints(answer.status, answer.body))
        return found

    async def _security(self) -> Security | None:
        """Ask for what is sent through the clusters in question, and what is accepted; None where neither is."""
        names = [one.cluster for one in self.expectations if isinstance(one, ClusterSends)]
        wanted = any(isinstance(one, InboundAccepts) for one in self.expectations)
        if not names and not wanted:
            return None
        sockets: dict[ClusterName, Sockets] = {}
        marks: dict[ClusterName, frozenset[Marks]] = {}
        for part in parts(names):
            answer = await self._ask_briefly(cluster_question(part))
            sockets.update(security.sockets(answer.status, answer.body))
            answer = await self._ask_briefly(endpoint_question(part))
            marks.update(security.marks(answer.status, answer.body))
        if not wanted:
            return Security(sockets, marks)
        answer = await self._ask(INBOUND)
        return Security(sockets, marks, security.inbound(answer.status, answer.body))

    async def _marked(self) -> frozenset[Origin] | None:
        """Ask which objects clusters come from, where a DestinationRule is in question."""
        if not any(origin.kind == "destination-rule" for origin in self._interest.origins):
            return None
        answers = [await self._ask_briefly(question) for question in CLUSTER_MARKS]
        found = (references.marks(one.status, one.body, self._interest) for one in answers)
        return frozenset[Origin]().union(*found)

    async def _read_listeners(self, *, wide: bool) -> Listeners:
        known = self._listeners
        if known is not None and not wide and not known.references:
            return known
        # Asked before the bodies are: what comes in between shows next time.
        version = await self._said(LISTENER_VERSION, configdump.listener_version)
        if known is None or not await self._are_as_seen(known, version):
            known = await self._read_listener_bodies()
        self._listener_version = version
        return known

    async def _are_as_seen(self, known: Listeners, version: str) -> bool:
        """Tell whether listeners are what they were; those that name something may warm up or drain meanwhile."""
        if version and version == self._listener_version and not known.references:
            return True
        return await self._said(LISTENER_CHANGES, configdump.changes) == self._listeners_seen

    async def _read_listener_bodies(self) -> Listeners:
        """Read all listeners; their bodies tell as well when they were last updated."""
        answer = await self._ask_briefly(LISTENER_BODIES)
        self._listeners_seen = configdump.changes(answer.status, answer.body)
        self._listeners = listeners(
            answer.status, answer.body, self._interest, has_defaults=self.proxy.role is not Role.GATEWAY
        )
        return self._listeners

    async def _read_routes(self, in_play: Collection[str] | None) -> tuple[RouteConfig, ...]:
        if in_play is None and not self._routes:
            self._take(await self._ask_briefly(ROUTE_BODIES))
        elif in_play is not None or not await self._no_route_moved():
            await self._read_moved_routes(in_play)
        return tuple(self._routes.values())

    async def _no_route_moved(self) -> bool:
        known = sorted(route.last_updated for route in self._routes.values())
        return await self._said(ROUTE_TIMES, configdump.times) == known

    async def _read_moved_routes(self, in_play: Collection[str] | None) -> None:
        seen = await self._route_times(in_play)
        stale = [
            name for name, at in seen.items() if name not in self._routes or self._routes[name].last_updated != at
        ]
        for part in parts(stale):
            self._take(await self._ask_briefly(route_question(part)))
        gone = (self._routes.keys() if in_play is None else set(in_play)) - seen.keys()
        self._routes = {name: route for name, route in self._routes.items() if name not in gone}

    def _take(self, answer: Answer) -> None:
        """Remember the route configurations of an answer."""
        for one in references.route_configs(answer.status, answer.body, self._interest):
            self._routes[one.name] = one

    async def _route_times(self, in_play: Collection[str] | None) -> Mapping[str, str]:
        """Return when each route configuration was last updated."""
        questions = map(route_changes, parts(in_play)) if in_play is not None else (ROUTE_CHANGES,)
        found = [await self._said(question, configdump.changes) for question in questions]
        return {name: times[0] for one in found for name, times in one.items()}
