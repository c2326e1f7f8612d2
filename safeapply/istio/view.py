"""What one class of proxies gets from one snapshot: the function that everything else asks (DESIGN 3).

A mesh has many classes, and most of them are strangers to most hosts: they get the same answer. So a ``Views``
remembers each answer by what can tell classes apart for that host or route, and planning stays linear.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product
from typing import TypeAlias

from safeapply.istio.audiences import Audience, host_audience, route_audience, surely_scoped
from safeapply.istio.proxies import Labels, ProxyClass, Role
from safeapply.istio.registry import service_options
from safeapply.istio.revisions import Revision
from safeapply.istio.routes import Reference, references
from safeapply.istio.snapshot import Snapshot
from safeapply.istio.subsets import effective_subsets, rules_in_path
from safeapply.resources.objects import Namespace, ResourceId
from safeapply.xds.names import ClusterName, Host, outbound_cluster

__all__ = ["Stance", "View", "Views", "view"]

Stance: TypeAlias = tuple[Role, Namespace | bool, Labels, Revision | None]
"""What can tell two classes apart; where nobody names the namespace, only whether a Sidecar there scopes it."""


@dataclass(frozen=True, slots=True)
class View:
    """What a class gets, as far as it was asked for."""

    clusters: frozenset[ClusterName]
    """Clusters that are there whichever versions a proxy sees."""
    references: frozenset[Reference]
    """References that may be there, depending on the versions that a proxy sees."""

    def dangling(self) -> frozenset[Reference]:
        """Return the references that can meet a missing cluster: 503 NC (ISTIO.md 4.8)."""
        return frozenset(ref for ref in self.references if ref.cluster not in self.clusters)


@dataclass(frozen=True, slots=True)
class Views:
    """The views of one snapshot, each answer computed once."""

    snapshot: Snapshot
    _told_apart: dict[Host | ResourceId, Audience] = field(default_factory=dict, init=False)
    _clusters: dict[tuple[Host, Stance], frozenset[ClusterName]] = field(default_factory=dict, init=False)
    _references: dict[tuple[ResourceId, Stance], frozenset[Reference]] = field(default_factory=dict, init=False)

    def of(self, proxy_class: ProxyClass, routes: Iterable[ResourceId], hosts: Iterable[Host] = ()) -> View:
        """Evaluate the given VirtualServices for a class, with the clusters of all hosts that they name.

        Args:
            proxy_class: whose view it is.
            routes: the VirtualServices to evaluate; delegates are reached through their roots.
            hosts: more hosts whose clusters are wanted, referred to or not.
        """
        found = frozenset(ref for route in routes for ref in self.references(proxy_class, route))
        wanted = {*hosts, *(reference.host for reference in found)}
        return View(frozenset(name for host in wanted for name in self.clusters(proxy_class, host)), found)

    def references(self, proxy_class: ProxyClass, route: ResourceId) -> frozenset[Reference]:
        """Return the references that one VirtualService may put on proxies of a class."""
        key = (route, self.stance(proxy_class, route))
        if key not in self._references:
            self._references[key] = frozenset(references(self.snapshot, proxy_class, (route,)))
        return self._references[key]

    def clusters(self, proxy_class: ProxyClass, host: Host) -> frozenset[ClusterName]:
        """Return the clusters of a host that exist whichever versions of its objects a proxy sees.

        One cluster for each port, and one for each port and subset (ISTIO.md 1.1).
        """
        key = (host, self.stance(proxy_class, host))
        if key not in self._clusters:
            self._clusters[key] = _clusters_of(self.snapshot, proxy_class, host)
        return self._clusters[key]

    def stance(self, proxy_class: ProxyClass, subject: Host | ResourceId) -> Stance:
        """Return what tells a class apart for a host or a route: equal stances, equal answers."""
        if subject not in self._told_apart:
            self._told_apart[subject] = (
                route_audience(self.snapshot, subject)
                if isinstance(subject, ResourceId)
                else host_audience(self.snapshot, subject)
            )
        return self._stance(proxy_class, self._told_apart[subject])

    def _stance(self, proxy_class: ProxyClass, audience: Audience) -> Stance:
        space = proxy_class.namespace
        if proxy_class.role is Role.GATEWAY:
            return (Role.GATEWAY, space, proxy_class.labels, proxy_class.revision)
        named = space if space in audience.spaces else surely_scoped(self.snapshot, space)
        labels = proxy_class.labels if audience.labels else Labels()
        return (proxy_class.role, named, labels, proxy_class.revision)


def view(snapshot: Snapshot, proxy_class: ProxyClass) -> View:
    """Return all that a class gets from a snapshot."""
    index = snapshot.index
    routes = {route for several in index.routes.values() for route in several}
    return Views(snapshot).of(proxy_class, sorted(routes), index.registry)


def _clusters_of(snapshot: Snapshot, proxy_class: ProxyClass, host: Host) -> frozenset[ClusterName]:
    snapshot = snapshot.seen_by(proxy_class.revision)
    certain: frozenset[ClusterName] | None = None
    for service in service_options(snapshot, proxy_class, host):
        # An alias is a name in the routes of its target, and has no clusters (ISTIO.md 1.2).
        if service is None or service.alias is not None:
            return frozenset()
        path = rules_in_path(snapshot, proxy_class, service)
        for mixture in product(*(snapshot.rule_versions(rule) for rule in path)):
            rules = [rule for rule in mixture if rule is not None]
            subsets = effective_subsets(rules, proxy_class, service, snapshot.mesh)
            names = frozenset(
                outbound_cluster(host, port.number, subset)
                for port in service.ports
                for subset in ("", *(subset.name for subset in subsets))
            )
            certain = names if certain is None else certain & names
    return certain or frozenset()
