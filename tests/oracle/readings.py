"""Two readings of one world, made comparable: what ``view`` says a proxy gets, and what is sent to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from safeapply.istio.declarations import declare
from safeapply.istio.mesh_settings import ISTIO_SYSTEM, settings_of
from safeapply.istio.proxies import ProxyClass
from safeapply.istio.snapshot import PLAIN_PORT, snapshot_of
from safeapply.istio.view import View, view
from safeapply.resources.objects import Resource
from safeapply.sandbox.controlplane.translation.configuration import Configuration

ROUTED = "/virtual-service/"
"""What the metadata says of a route that a VirtualService made, and not istiod by itself."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Outbound clusters; and for each domain and port, the clusters that routes of VirtualServices name."""

    clusters: frozenset[str]
    references: frozenset[tuple[str, int, str]]

    def unlike(self, other: Reading) -> str:
        """Tell what only one of the two has; nothing where they agree."""
        parts = (
            ("clusters only here", self.clusters - other.clusters),
            ("clusters only there", other.clusters - self.clusters),
            ("references only here", self.references - other.references),
            ("references only there", other.references - self.references),
        )
        return "; ".join(f"{what}: {sorted(found)}" for what, found in parts if found)


def by_view(objects: Iterable[Resource], proxy_class: ProxyClass) -> Reading:
    """Return what the product's evaluator says; every object has its one version."""
    found = _view(objects, proxy_class)
    named = ((one.domain, one.port, one.cluster) for one in found.references)
    return Reading(frozenset(found.clusters), frozenset((host, port, name) for host, port, name in named if host))


def dangling(objects: Iterable[Resource], proxy_class: ProxyClass) -> bool:
    """Tell whether some route, and not only a mirror, names a cluster that a proxy does not get."""
    return any(one.hard for one in _view(objects, proxy_class).dangling())


def _view(objects: Iterable[Resource], proxy_class: ProxyClass) -> View:
    known = {one.id: one for one in objects}
    mesh = settings_of(known, ISTIO_SYSTEM)
    declared = {one.id: (declare(one, created=one.created, mesh=mesh),) for one in known.values()}
    return view(snapshot_of(declared, mesh), proxy_class)


def by_translation(found: Configuration) -> Reading:
    """Return what the embedded control plane sends."""
    return reading(found.clusters, found.routes.values())


def reading(clusters: Iterable[str], route_configs: Iterable[Mapping[str, Any]]) -> Reading:
    """Return what some clusters and route configurations are, those of Envoy's dumps among them."""
    outbound = frozenset(name for name in clusters if name.startswith("outbound|"))
    ports = {(host, int(port)) for _, port, _, host in (name.split("|") for name in outbound)}
    hosts = {host for host, _ in ports}
    # Istiod installs any host on port 80; one that has other ports is not called there, and ``view`` leaves it out.
    return Reading(
        outbound,
        frozenset(
            one
            for config in route_configs
            for one in _references(config)
            if one[1] != PLAIN_PORT or one[0] not in hosts or one[:2] in ports
        ),
    )


def _references(config: Mapping[str, Any]) -> Iterator[tuple[str, int, str]]:
    for host in config.get("virtual_hosts", ()):
        domain, _, port = host["name"].rpartition(":")
        for route in host.get("routes", ()):
            origin = route.get("metadata", {}).get("filter_metadata", {}).get("istio", {}).get("config", "")
            if ROUTED in origin:
                yield from ((domain, int(port), name) for name in _named(route.get("route", {})))


def _named(action: Mapping[str, Any]) -> Iterator[str]:
    if "cluster" in action:
        yield action["cluster"]
    yield from (one["name"] for one in action.get("weighted_clusters", {}).get("clusters", ()))
    yield from (one["cluster"] for one in action.get("request_mirror_policies", ()))
