"""All objects of a mesh at one moment, or at one of several moments that cannot be told apart.

While a step is under way each proxy may see each written object old or new. So a snapshot holds, for every
object, the *versions* that a proxy may see: one at rest, two while it is being written, None among them where
the object may be absent. One evaluator then serves the planner (one version each) and the verifier.
"""

from __future__ import annotations

from collections import ChainMap, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from safeapply.istio.hosts import is_wild
from safeapply.istio.kinds import (
    Declaration,
    DestinationRule,
    Gateway,
    Service,
    Services,
    VirtualService,
    Workload,
)
from safeapply.resources.objects import Namespace, ResourceId
from safeapply.xds.names import Host

__all__ = ["ISTIO_SYSTEM", "Declarations", "MeshSettings", "Snapshot", "snapshot_of"]

Versions: TypeAlias = tuple[Declaration | None, ...]
Declarations: TypeAlias = Mapping[ResourceId, Versions]


ISTIO_SYSTEM = Namespace("istio-system")


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """The parts of Istio's MeshConfig that decide who sees what."""

    root_namespace: Namespace = ISTIO_SYSTEM
    domain: str = "cluster.local"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The versions of every object, with the look-ups that evaluation needs."""

    versions: Declarations
    mesh: MeshSettings
    rules: Mapping[Namespace, Mapping[Host, tuple[ResourceId, ...]]]
    """DestinationRules by their namespace and host."""
    routed: Mapping[Host, tuple[ResourceId, ...]]
    """VirtualServices by the hosts they name."""
    wild: tuple[Host, ...]
    """The wildcard hosts among ``routed``."""
    registry: Mapping[Host, tuple[ResourceId, ...]]
    """Services and ServiceEntries by the hosts they declare."""
    gateways: tuple[ResourceId, ...]
    workloads: tuple[Workload, ...]

    def where(self, overrides: Declarations) -> Snapshot:
        """Return the snapshot in which these objects have these versions; each must be among those indexed."""
        return replace(self, versions=_overlaid(overrides, self.versions))

    def rule_versions(self, rule: ResourceId) -> tuple[DestinationRule | None, ...]:
        """Return the versions of a DestinationRule."""
        return tuple(v if isinstance(v, DestinationRule) else None for v in self.versions.get(rule, (None,)))

    def route_versions(self, route: ResourceId) -> tuple[VirtualService | None, ...]:
        """Return the versions of a VirtualService."""
        return tuple(v if isinstance(v, VirtualService) else None for v in self.versions.get(route, (None,)))

    def gateway_versions(self, gateway: ResourceId) -> tuple[Gateway | None, ...]:
        """Return the versions of a Gateway."""
        return tuple(v if isinstance(v, Gateway) else None for v in self.versions.get(gateway, (None,)))

    def service_versions(self, declaring: ResourceId, host: Host) -> tuple[Service | None, ...]:
        """Return the versions of a host's service, as one object declares it."""
        return tuple(_service(v, host) for v in self.versions.get(declaring, (None,)))


def snapshot_of(versions: Declarations, mesh: MeshSettings) -> Snapshot:
    """Index the versions of all objects."""
    rules: dict[Namespace, dict[Host, dict[ResourceId, None]]] = defaultdict(lambda: defaultdict(dict))
    routed: dict[Host, dict[ResourceId, None]] = defaultdict(dict)
    registry: dict[Host, dict[ResourceId, None]] = defaultdict(dict)
    gateways: dict[ResourceId, None] = {}
    workloads: list[Workload] = []
    for declaration in _all(versions.values()):
        match declaration:
            case DestinationRule():
                rules[declaration.id.namespace][declaration.host][declaration.id] = None
            case VirtualService():
                for host in declaration.hosts:
                    routed[host][declaration.id] = None
            case Services():
                for service in declaration.services:
                    registry[service.host][declaration.id] = None
            case Gateway():
                gateways[declaration.id] = None
            case Workload():
                workloads.append(declaration)
    return Snapshot(
        versions=versions,
        mesh=mesh,
        rules={ns: {host: tuple(ids) for host, ids in hosts.items()} for ns, hosts in rules.items()},
        routed={host: tuple(ids) for host, ids in routed.items()},
        wild=tuple(host for host in routed if is_wild(host)),
        registry={host: tuple(ids) for host, ids in registry.items()},
        gateways=tuple(gateways),
        workloads=tuple(workloads),
    )


def _overlaid(overrides: Declarations, base: Declarations) -> Declarations:
    # A view, not a copy: a step touches a few objects of a mesh that may hold tens of thousands.
    return ChainMap(dict(overrides), base)  # type: ignore[arg-type]


def _all(versions: Iterable[Versions]) -> Iterator[Declaration]:
    return (declaration for several in versions for declaration in several if declaration is not None)


def _service(declaration: Declaration | None, host: Host) -> Service | None:
    if not isinstance(declaration, Services):
        return None
    return next((service for service in declaration.services if service.host == host), None)
