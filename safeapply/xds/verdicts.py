"""Judge an expectation against what one Envoy answered (DESIGN 5). Polling is somebody else's: this only judges.

expectation             holds when
ClusterActive           active, and no newer copy is warming; with a healthy host where one is required
ClusterUnreferenced     no route configuration and no listener in any state names it; the routes that istiod gives
                        every host to its own default cluster do not count
ClusterAbsent           neither active nor warming
OriginGone              no route, listener or cluster bears the mark of the object
RouteRefers             the virtual host with the domain names it; for TCP, some listener does
RouteReleased           no virtual host with the domain names it; for TCP, no listener in any state does
ClusterSends            active, no newer copy is warming; its sockets, as its endpoints choose, send nothing else
InboundAccepts          the inbound listener's chains for the port take what the mode says; no newer one is warming
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from safeapply.xds.configdump import Clusters
from safeapply.xds.expectations import (
    ClusterAbsent,
    ClusterActive,
    ClusterSends,
    ClusterUnreferenced,
    Expectation,
    InboundAccepts,
    OriginGone,
    RouteRefers,
    RouteReleased,
)
from safeapply.xds.listeners import Listeners
from safeapply.xds.names import ClusterName, Host, Origin, parse_cluster
from safeapply.xds.references import RouteConfig
from safeapply.xds.shortfalls import (
    Absent,
    Holds,
    NoReadyEndpoint,
    NotReferred,
    Shortfall,
    StillMade,
    StillPresent,
    StillRefers,
    Unknown,
    Warming,
)
from safeapply.xds.sockets import Security
from safeapply.xds.tls_verdicts import accepted_otherwise, sent_otherwise

__all__ = ["Reading", "judge"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one Envoy said in one round; None for what it was not asked."""

    clusters: Clusters
    endpoints: Mapping[ClusterName, int]
    routes: tuple[RouteConfig, ...] | None = None
    listeners: Listeners | None = None
    security: Security | None = None
    marked: frozenset[Origin] | None = None
    """The objects asked about that clusters come from."""


def judge(expectation: Expectation, reading: Reading) -> Holds | Shortfall:  # noqa: PLR0911  one for each kind
    """Return whether an expectation holds on the Envoy that said this, and if not, why."""
    match expectation:
        case ClusterActive():
            return _active(expectation, reading)
        case ClusterAbsent(cluster=cluster):
            present = cluster in reading.clusters.active or cluster in reading.clusters.warming
            return StillPresent(cluster) if present else Holds()
        case ClusterUnreferenced(cluster=cluster):
            return _unreferenced(cluster, reading)
        case RouteRefers():
            return _refers(expectation, reading)
        case RouteReleased():
            return _released(expectation, reading)
        case OriginGone(origin=origin):
            return _gone(origin, reading)
        case ClusterSends(cluster=cluster):
            there = _active(ClusterActive(cluster), reading)
            return there if not isinstance(there, Holds) else sent_otherwise(expectation, reading.security) or there
        case InboundAccepts():
            return accepted_otherwise(expectation, reading.security) or Holds()
        case _:
            assert_never(expectation)


def _active(expectation: ClusterActive, reading: Reading) -> Holds | Shortfall:
    cluster = expectation.cluster
    if cluster in reading.clusters.warming:
        return Warming(cluster)
    if cluster not in reading.clusters.active:
        return Absent(cluster)
    if expectation.ready_endpoint and not reading.endpoints.get(cluster):
        return NoReadyEndpoint(cluster)
    return Holds()


def _unreferenced(cluster: ClusterName, reading: Reading) -> Holds | Shortfall:
    whole = _whole(reading)
    if isinstance(whole, Unknown):
        return whole
    routes, listeners = whole
    own = _host_of_default(cluster)
    for one in routes:
        if any(cluster in names and not (own and _serves(domains, own)) for domains, names in one.virtual_hosts):
            return StillRefers(cluster, f"route configuration {one.name}")
    named = listeners.references if own is None else listeners.routed
    if cluster in named:
        return StillRefers(cluster, f"listener {named[cluster]}")
    return Holds()


def _gone(origin: Origin, reading: Reading) -> Holds | Shortfall:
    if origin.kind == "destination-rule":
        if reading.marked is None:
            return Unknown("its clusters were not asked for")
        return StillMade(origin, "a cluster") if origin in reading.marked else Holds()
    whole = _whole(reading)
    if isinstance(whole, Unknown):
        return whole
    routes, listeners = whole
    named = next((f"route configuration {one.name}" for one in routes if origin in one.origins), None)
    if origin in listeners.origins:
        named = f"listener {listeners.origins[origin]}"
    return StillMade(origin, named) if named else Holds()


def _whole(reading: Reading) -> tuple[tuple[RouteConfig, ...], Listeners] | Unknown:
    """Return all routes and listeners of an Envoy, or why they do not tell what is not there."""
    routes, listeners = reading.routes, reading.listeners
    if routes is None or listeners is None:
        return Unknown("its routes and listeners were not asked for")
    missing = listeners.route_configs - {one.name for one in routes}
    if missing:
        # Its listeners wait for routes that are still on their way, and those may name the cluster.
        return Unknown(f"route configuration {', '.join(sorted(missing))} has not arrived")
    return routes, listeners


def _host_of_default(cluster: ClusterName) -> Host | None:
    """Return the host of a cluster without a subset.

    istiod routes every host that a proxy imports to its default cluster, by a virtual host or a listener of its
    own. These come and go with the cluster; to wait for their end before the removal would be to wait for ever.
    """
    parts = parse_cluster(cluster)
    return parts.host if parts is not None and not parts.subset else None


def _refers(expectation: RouteRefers, reading: Reading) -> Holds | Shortfall:
    cluster, domain = expectation.cluster, expectation.host
    if domain is None:
        if reading.listeners is None:
            return Unknown("its listeners were not asked for")
        named = cluster in reading.listeners.references
    else:
        if reading.routes is None:
            return Unknown("its routes were not asked for")
        hosts = (host for one in reading.routes for host in one.virtual_hosts)
        named = any(cluster in names and _serves(domains, domain) for domains, names in hosts)
    return Holds() if named else NotReferred(cluster, domain)


def _released(expectation: RouteReleased, reading: Reading) -> Holds | Shortfall:
    cluster, domain = expectation.cluster, expectation.host
    whole = _whole(reading)
    if isinstance(whole, Unknown):
        return whole
    routes, listeners = whole
    if domain is None:
        listener = listeners.references.get(cluster)
        return StillRefers(cluster, f"listener {listener}") if listener else Holds()
    for one in routes:
        if any(cluster in names and _serves(domains, domain) for domains, names in one.virtual_hosts):
            return StillRefers(cluster, f"the route of {domain} in route configuration {one.name}")
    return Holds()


def _serves(domains: frozenset[str], domain: Host) -> bool:
    """Tell whether a virtual host has a domain, with or without a port."""
    return any(one == domain or one.rpartition(":")[0] == domain for one in domains)
