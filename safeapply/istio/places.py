"""Where the rules of a VirtualService are installed: the look-up of VirtualServices (ISTIO.md 4).

Where an object has several versions (``istio.snapshot``), every place that *some* mixture of versions can show is
returned: the verifier asks what a proxy may do, not what it will do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from safeapply.istio.hosts import overlap
from safeapply.istio.kinds import MESH, Gateway, Port, Server, VirtualService
from safeapply.istio.listeners import Listener, is_visible, may_win, sidecar_listeners
from safeapply.istio.proxies import ProxyClass, Role
from safeapply.istio.scopes import Certainty, imports_route
from safeapply.istio.snapshot import Snapshot
from safeapply.resources.objects import ResourceId
from safeapply.xds.names import Host

__all__ = ["places"]


Places: TypeAlias = Iterator[tuple[VirtualService, Listener]]
"""Versions of VirtualServices, and where a proxy may show them."""


def places(snapshot: Snapshot, proxy_class: ProxyClass, routes: Iterable[ResourceId]) -> Places:
    """Yield where some of these VirtualServices may be installed on proxies of a class."""
    if proxy_class.role is Role.GATEWAY:
        return _on_gateway(snapshot, proxy_class, routes)
    return _on_sidecar(snapshot, proxy_class, routes)


def _on_sidecar(snapshot: Snapshot, proxy_class: ProxyClass, routes: Iterable[ResourceId]) -> Places:
    for route in routes:
        for version in snapshot.route_versions(route):
            if version is None or not is_visible(version, proxy_class) or MESH not in version.gateways:
                continue
            if imports_route(snapshot, proxy_class, version) is Certainty.NEVER:
                continue
            for listener in sidecar_listeners(snapshot, proxy_class, version):
                if may_win(snapshot, proxy_class, version, listener):
                    yield version, listener


def _on_gateway(snapshot: Snapshot, proxy_class: ProxyClass, routes: Iterable[ResourceId]) -> Places:
    """Gateways merge all routes of a host, so each may always show (ISTIO.md 4.1)."""
    bound = list(_bound_gateways(snapshot, proxy_class))
    for route in routes:
        for version in snapshot.route_versions(route):
            if version is None or not is_visible(version, proxy_class):
                continue
            for gateway in bound:
                if gateway.name in version.gateways:
                    yield from ((version, listener) for listener in _listeners(version, gateway))


def _bound_gateways(snapshot: Snapshot, proxy_class: ProxyClass) -> Iterator[Gateway]:
    for gateway in snapshot.index.gateways:
        for version in snapshot.gateway_versions(gateway):
            if version is not None and proxy_class.labels.match(dict(version.selector)):
                yield version


def _listeners(route: VirtualService, gateway: Gateway) -> Iterator[Listener]:
    for server in gateway.servers:
        for domain in _served(route, server):
            port = Port(server.port, http=server.http, tcp=not server.http)
            yield Listener(frozenset({gateway.name}), domain, domain, port, None)


def _served(route: VirtualService, server: Server) -> Iterator[Host]:
    for host in route.hosts:
        for answered in server.hosts:
            common = overlap(host, answered)
            if common is not None:
                yield common
