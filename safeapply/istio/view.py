"""What one class of proxies gets from one snapshot: the function that everything else asks (DESIGN 3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

from safeapply.istio.proxies import ProxyClass
from safeapply.istio.registry import service_options
from safeapply.istio.routes import Reference, references
from safeapply.istio.snapshot import Snapshot
from safeapply.istio.subsets import effective_subsets, rules_in_path
from safeapply.resources.objects import ResourceId
from safeapply.xds.names import ClusterName, Host, outbound_cluster

__all__ = ["View", "clusters_of", "view"]


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


def view(
    snapshot: Snapshot, proxy_class: ProxyClass, routes: Iterable[ResourceId], hosts: Iterable[Host] = ()
) -> View:
    """Evaluate the given VirtualServices for a class, with the clusters of all hosts that they name.

    Args:
        snapshot: the versions of every object.
        proxy_class: whose view it is.
        routes: the VirtualServices to evaluate; delegates are reached through their roots.
        hosts: more hosts whose clusters are wanted, referred to or not.
    """
    found = frozenset(references(snapshot, proxy_class, routes))
    wanted = {*hosts, *(reference.host for reference in found)}
    return View(
        clusters=frozenset(name for host in wanted for name in clusters_of(snapshot, proxy_class, host)),
        references=found,
    )


def clusters_of(snapshot: Snapshot, proxy_class: ProxyClass, host: Host) -> frozenset[ClusterName]:
    """Return the clusters of a host that exist whichever versions of its objects a proxy sees.

    One cluster for each port, and one for each port and subset (ISTIO.md 1.1).
    """
    certain: frozenset[ClusterName] | None = None
    for service in service_options(snapshot, proxy_class, host):
        if service is None:
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
