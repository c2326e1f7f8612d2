"""Envoy's routes for one VirtualService on one port, the same way on sidecars and gateways. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from safeapply.sandbox.controlplane.translation.actions import ClusterOf, envoy_route
from safeapply.sandbox.controlplane.translation.matches import Client, applies, envoy_match, is_catch_all
from safeapply.sandbox.controlplane.translation.metadata import Json, origin
from safeapply.sandbox.controlplane.translation.services import Service
from safeapply.sandbox.controlplane.translation.virtualservices import VirtualService
from safeapply.xds.names import Host, outbound_cluster

__all__ = ["cluster_at", "http_routes", "route_configuration", "virtual_host"]


def http_routes(service: VirtualService, client: Client, cluster_of: ClusterOf) -> list[Json]:
    """Return the routes that apply to a proxy and port, up to the first that leaves nothing over.

    None of them applying is not "no route": the caller then does as if the VirtualService did not exist
    (ISTIO.md 4.4).
    """
    found: list[Json] = []
    for route in _routes(service, client, cluster_of):
        found.append(route)
        if is_catch_all(route["match"]):
            break
    return found


def cluster_at(listener_port: int, find: Callable[[str], Service | None]) -> ClusterOf:
    """Return how a destination becomes a cluster's name (ISTIO.md 1.2).

    The port that it says, else the only port of the service that ``find`` finds, else the listener's. The host is
    that of the target where ``find`` finds an alias: one name is followed.
    """

    def cluster_of(destination: Json) -> str:
        number = (destination.get("port") or {}).get("number")
        service = find(destination["host"])
        if not number:
            alone = service is not None and len(service.ports) == 1
            number = service.ports[0].number if service is not None and alone else listener_port
        host = (service.alias if service is not None else "") or destination["host"]
        return outbound_cluster(Host(host), int(number), destination.get("subset") or "")

    return cluster_of


def virtual_host(host: str, port: int, domains: list[str], routes: list[Json]) -> Json:
    """Return Envoy's virtual host with istiod's name for it."""
    return {"name": f"{host}:{port}", "domains": domains, "routes": routes, "include_request_attempt_count": True}


def route_configuration(name: str, hosts: list[Json]) -> Json:
    """Return a route configuration; like istiod's it never asks whether its clusters exist (ISTIO.md 0.4)."""
    return {
        "name": name,
        "virtual_hosts": hosts,
        "validate_clusters": False,
        "ignore_port_in_host_matching": True,
        "max_direct_response_body_size_bytes": 1048576,
    }


def _routes(service: VirtualService, client: Client, cluster_of: ClusterOf) -> Iterator[Json]:
    metadata = origin(service.document)
    for http in service.http:
        if http.get("delegate"):
            continue
        matches: Sequence[Json] = http.get("match") or ({},)
        for match in matches:
            if applies(match, client):
                named = {**http, "name": _name(http, match)}
                yield envoy_route(named, envoy_match(match), metadata, cluster_of)


def _name(http: Json, match: Json) -> str:
    """Return ``route.match``: the names that users gave to a route and its match, as istiod joins them."""
    return ".".join(str(each["name"]) for each in (http, match) if each.get("name"))
