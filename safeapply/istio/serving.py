"""Which requests surely meet a route on gateways: what is left out is a 404 there (ISTIO.md 4.1, 5 no. 4).

Sidecars take one VirtualService for a host, or the default route; ``istio.fates`` tells of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import and_

from safeapply.istio.hosts import covering, overlap
from safeapply.istio.kinds import GATEWAY, MESH, Gateway, VirtualService
from safeapply.istio.proxies import ProxyClass, Role
from safeapply.istio.route_rules import Rule, Traffic
from safeapply.istio.snapshot import Snapshot
from safeapply.istio.visibility import exported_to
from safeapply.resources.objects import Namespace, ResourceId
from safeapply.xds.names import Host

__all__ = ["Request", "gateway_id", "is_served", "served"]


@dataclass(frozen=True, slots=True, order=True)
class Request:
    """Requests that a proxy treats alike."""

    port: int
    domain: Host
    match: str
    """The match of the rule that they take, as written; empty for a rule without one."""

    def __str__(self) -> str:
        """Say it to an operator: ``shop.example:80 (uri prefix /cart)``."""
        return f"{self.domain}:{self.port}" + (f" ({self.match})" if self.match else "")


def served(snapshot: Snapshot, proxy_class: ProxyClass, routes: Iterable[ResourceId]) -> frozenset[Request]:
    """Return the requests that some of these VirtualServices serve whichever versions a proxy sees."""
    if proxy_class.role is not Role.GATEWAY:
        return frozenset()
    snapshot = snapshot.seen_by(proxy_class.revision)
    return frozenset(one for route in routes for one in _always(_versions(snapshot, proxy_class, route)))


def is_served(request: Request, among: frozenset[Request]) -> bool:
    """Tell whether a request is served: by a rule of its own, by one without a match, or under a wider domain."""
    if request in among:
        return True
    wider = (
        replace(request, domain=domain, match=match)
        for domain in covering(request.domain)
        for match in {"", request.match}
    )
    return any(one in among for one in wider)


def gateway_id(name: str) -> ResourceId:
    """Return the Gateway that a VirtualService binds to as ``namespace/name``."""
    namespace, _, short = name.partition("/")
    return ResourceId(GATEWAY.group, GATEWAY.kind, Namespace(namespace), short)


def _versions(snapshot: Snapshot, proxy_class: ProxyClass, route: ResourceId) -> Iterator[frozenset[Request]]:
    for version in snapshot.route_versions(route):
        if version is None or not _visible(version, proxy_class):
            yield frozenset()
        else:
            names = version.gateways - {MESH}
            yield frozenset(one for name in names for one in _bound(snapshot, proxy_class, version, name))


def _always(versions: Iterable[frozenset[Request]]) -> frozenset[Request]:
    """Return what all versions have in common; there is always one."""
    return reduce(and_, versions)


def _visible(route: VirtualService, proxy_class: ProxyClass) -> bool:
    return exported_to(route.export_to, owner=route.id.namespace, viewer=proxy_class.namespace)


def _bound(snapshot: Snapshot, proxy_class: ProxyClass, route: VirtualService, name: str) -> frozenset[Request]:
    """Return what a route serves by one gateway, in all of the gateway's versions."""
    return _always(_offered(route, one, proxy_class) for one in snapshot.gateway_versions(gateway_id(name)))


def _offered(route: VirtualService, gateway: Gateway | None, proxy_class: ProxyClass) -> frozenset[Request]:
    if gateway is None or not proxy_class.labels.match(dict(gateway.selector)):
        return frozenset()
    return frozenset(
        Request(server.port, common, match)
        for server in gateway.servers
        for answered in server.hosts
        for host in route.hosts
        if (common := overlap(host, answered)) is not None
        for rule in route.rules
        if (rule.traffic is Traffic.HTTP) is server.http
        for match in _matches(rule, gateway, server.port)
    )


def _matches(rule: Rule, gateway: Gateway, port: int) -> Iterator[str]:
    if not rule.matches:
        yield ""
    for match in rule.matches:
        if match.port in {None, port} and (not match.gateways or gateway.name in match.gateways):
            yield match.request
