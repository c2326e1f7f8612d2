"""Ask one Envoy what its expectations need, and no more.

Routes and listeners are large, so first only *when* each was last updated is asked for, and a body is fetched
when that has moved (ENVOY.md 4). What was read is remembered for as long as the barrier lasts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from safeapply.istio.proxies import Proxy
from safeapply.ports import Answer, Proxies
from safeapply.xds import configdump
from safeapply.xds.configdump import Clusters, Listeners, RouteConfig
from safeapply.xds.expectations import ClusterActive, ClusterUnreferenced, Expectation, RouteRefers
from safeapply.xds.names import ClusterName
from safeapply.xds.questions import (
    LISTENER_BODIES,
    LISTENER_CHANGES,
    ROUTE_CHANGES,
    cluster_question,
    endpoint_question,
    parts,
    route_question,
)
from safeapply.xds.verdicts import Reading

__all__ = ["Reader"]

TOO_LARGE = 400
"""What Envoy answers to an expression over its limit."""


@dataclass(slots=True)
class Reader:
    """Reads one proxy, round after round."""

    proxies: Proxies
    proxy: Proxy
    deadline: float
    """Seconds that one answer may take."""
    _routes: dict[str, RouteConfig] = field(default_factory=dict)
    _listeners: Listeners | None = None
    _listeners_seen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    async def read(self, expectations: Collection[Expectation]) -> Reading:
        """Return what the Envoy shows now.

        Raises:
            ProxyError: it could not be asked.
            UnreadableError: an answer proves nothing.
        """
        clusters = await self._clusters(one.cluster for one in expectations)
        endpoints = await self._endpoints(
            one.cluster for one in expectations if isinstance(one, ClusterActive) and one.ready_endpoint
        )
        unreferenced = any(isinstance(one, ClusterUnreferenced) for one in expectations)
        moved = [one for one in expectations if isinstance(one, RouteRefers)]
        listeners = await self._read_listeners() if unreferenced or any(not m.host for m in moved) else None
        routes = await self._read_routes() if unreferenced or any(m.host for m in moved) else None
        return Reading(clusters, endpoints, routes, listeners)

    async def _ask(self, path: str) -> Answer:
        return await self.proxies.ask(self.proxy, path, deadline=self.deadline)

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

    async def _read_listeners(self) -> Listeners:
        answer = await self._ask(LISTENER_CHANGES)
        seen = configdump.changes(answer.status, answer.body)
        if self._listeners is None or seen != self._listeners_seen:
            answer = await self._ask(LISTENER_BODIES)
            self._listeners = configdump.listeners(answer.status, answer.body)
            self._listeners_seen = seen
        return self._listeners

    async def _read_routes(self) -> tuple[RouteConfig, ...]:
        answer = await self._ask(ROUTE_CHANGES)
        seen = {name: times[0] for name, times in configdump.changes(answer.status, answer.body).items()}
        stale = [
            name for name, at in seen.items() if name not in self._routes or self._routes[name].last_updated != at
        ]
        for part in parts(stale):
            answer = await self._ask(route_question(part))
            for one in configdump.route_configs(answer.status, answer.body):
                self._routes[one.name] = one
        self._routes = {name: route for name, route in self._routes.items() if name in seen}
        return tuple(self._routes.values())
