"""Whether the proxies of a class would show what a barrier expects, if they had what is in a mesh."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from safeapply.istio.proxies import ProxyClass
from safeapply.istio.routes import Reference
from safeapply.istio.view import Views
from safeapply.resources.objects import ResourceId
from safeapply.xds.expectations import (
    ClusterAbsent,
    ClusterActive,
    ClusterUnreferenced,
    Expectation,
    RouteRefers,
    RouteReleased,
)
from safeapply.xds.names import ClusterName, Host, parse_cluster

__all__ = ["Showing"]

Routes: TypeAlias = tuple[ResourceId, ...]
"""The VirtualServices that decide about a domain."""


@dataclass(frozen=True, slots=True)
class Showing:
    """What a class has of a mesh."""

    views: Views
    one: ProxyClass

    def held(self, host: Host, expected: Expectation) -> bool:
        """Tell whether the clusters of a host are as expected."""
        match expected:
            case ClusterActive(cluster=name):
                return name in self.views.clusters(self.one, host)
            case ClusterAbsent(cluster=name):
                return name not in self.views.clusters(self.one, host)
            case _:
                return True

    def routed(self, domain: Host, routes: Routes, expected: Expectation) -> bool:
        """Tell whether the routes of a domain are as expected."""
        match expected:
            case RouteRefers(host=host, cluster=name):
                return host not in {domain, None} or self._refers(domain, routes, host, name)
            case RouteReleased(host=host, cluster=name):
                return host not in {domain, None} or (host, name) not in self._named(domain, routes)
            case ClusterUnreferenced(cluster=name):
                return all(name != named for _, named in self._named(domain, routes))
            case _:
                return True

    def _refers(self, domain: Host, routes: Routes, host: Host | None, name: ClusterName) -> bool:
        """Tell whether a domain can name a cluster; where no VirtualService serves a port, istiod's own does."""
        references, parts = tuple(self._references(domain, routes)), parse_cluster(name)
        ports = {r.port for r in references if r.domain == domain}
        if parts and (parts.host, parts.subset) == (domain, "") and parts.port not in ports:
            return True
        return any((r.domain, r.cluster) == (host, name) for r in references)

    def _named(self, domain: Host, routes: Routes) -> set[tuple[Host | None, ClusterName]]:
        """Return what the routes of a domain name, but for its default route (ISTIO.md 4.4)."""
        return {
            (reference.domain, reference.cluster)
            for reference in self._references(domain, routes)
            if reference.subset or reference.host != domain
        }

    def _references(self, domain: Host, routes: Routes) -> Iterator[Reference]:
        """Yield what the VirtualServices of a domain name for it, or for the connections to its hosts."""
        for route in routes:
            yield from (r for r in self.views.references(self.one, route) if r.domain in {domain, None})
