"""Which services and VirtualServices a proxy has, Sidecar objects included (ISTIO.md 9.1). Pure.

Follows istio ``convertIstioListenerToWrapper`` and ``collectImportedServices``. The ports of egress listeners are
not looked at: every listener is taken for the one that catches all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from safeapply.sandbox.controlplane.translation.hosts import overlap, within
from safeapply.sandbox.controlplane.translation.services import Service, visible_services
from safeapply.sandbox.controlplane.translation.virtualservices import (
    MESH,
    VirtualService,
    applicable,
    destinations_from,
)
from safeapply.sandbox.controlplane.translation.world import Node, World

__all__ = ["Scope", "scope_of"]

EXCLUDED = "~"


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """What a proxy has been given to see."""

    services: Mapping[str, Service]
    """By host; these have clusters."""
    called: Mapping[str, Service]
    """Those that it can call by name: a service that only a route leads to has clusters, and nothing else."""
    virtual_services: Sequence[VirtualService]
    """Those for ``mesh``, in order of precedence."""
    allows_any: bool = True
    """Whether unknown hosts are passed through (the mesh default) or refused."""


def scope_of(world: World, node: Node) -> Scope:
    """Return what a proxy sees; everything that is exported to its namespace, unless a Sidecar says less."""
    services = visible_services(world.registry, node.namespace)
    routing = applicable(world.virtual_services, node.namespace, MESH)
    spec = (world.sidecar(node) or {}).get("spec") or {}
    allows_any = (spec.get("outboundTrafficPolicy") or {}).get("mode") != "REGISTRY_ONLY"
    if not spec.get("egress"):
        return Scope(services, services, routing, allows_any)
    imports = _Imports.of(
        (str(host) for listener in spec["egress"] for host in listener.get("hosts") or ()), node.namespace
    )
    chosen = [each for each in routing if any(imports.has_route(each.namespace, host) for host in each.hosts)]
    named = [each for each in world.registry if imports.has_service(each.namespace, each.host)]
    called = visible_services(named, node.namespace)
    return Scope(_with_inferred(called, services, node.namespace, chosen), called, chosen, allows_any)


@dataclass(frozen=True, slots=True)
class _Imports:
    """The hosts of egress listeners, as pairs of a namespace (or ``*``) and a pattern."""

    wanted: tuple[tuple[str, str], ...]
    excluded: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, hosts: Iterable[str], namespace: str) -> _Imports:
        """Read ``namespace/host``; ``.`` is the namespace of the proxy, also where the Sidecar is the root's."""
        wanted: list[tuple[str, str]] = []
        excluded: list[tuple[str, str]] = []
        for host in hosts:
            space, _, pattern = host.lower().partition("/")
            found = excluded if space.startswith(EXCLUDED) else wanted
            own = space.removeprefix(EXCLUDED) or "*"
            found.append((namespace if own == "." else own, pattern))
        return cls(tuple(wanted), tuple(excluded))

    def has_service(self, namespace: str, host: str) -> bool:
        """Tell whether a service is named: all of its names have to be."""
        return not self._excludes(namespace, host) and any(
            within(host, pattern) for pattern in _meant(self.wanted, namespace)
        )

    def has_route(self, namespace: str, host: str) -> bool:
        """Tell whether a VirtualService is taken in by one of its hosts: some names in common are enough."""
        return not self._excludes(namespace, host) and any(
            overlap(host, pattern) for pattern in _meant(self.wanted, namespace)
        )

    def _excludes(self, namespace: str, host: str) -> bool:
        return any(within(host, pattern) for pattern in _meant(self.excluded, namespace))


def _meant(patterns: Iterable[tuple[str, str]], namespace: str) -> Iterator[str]:
    return (pattern for space, pattern in patterns if space in {"*", namespace})


def _with_inferred(
    called: Mapping[str, Service], visible: Mapping[str, Service], namespace: str, chosen: Iterable[VirtualService]
) -> Mapping[str, Service]:
    """Return the services that are named, and the ports of others that imported routes lead to (ISTIO.md 9.1)."""
    inferred: dict[str, set[int]] = {}
    for virtual_service in chosen:
        for destination in destinations_from(virtual_service, namespace):
            service = visible.get(destination["host"])
            if service is not None and service.host not in called:
                number = (destination.get("port") or {}).get("number")
                wanted = {int(number)} if number else {port.number for port in service.ports}
                inferred.setdefault(service.host, set()).update(wanted)
    found = {host: visible[host].with_ports(ports) for host, ports in inferred.items()}
    return {**called, **{host: service for host, service in found.items() if service.ports}}
