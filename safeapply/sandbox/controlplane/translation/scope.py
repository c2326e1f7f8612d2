"""Which services and VirtualServices a proxy has, Sidecar objects included (ISTIO.md 9.1). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from safeapply.resources.objects import Document
from safeapply.sandbox.controlplane.translation.hosts import overlap, within
from safeapply.sandbox.controlplane.translation.metadata import namespace_of
from safeapply.sandbox.controlplane.translation.services import Service, visible_services
from safeapply.sandbox.controlplane.translation.virtualservices import (
    MESH,
    VirtualService,
    applicable,
    destinations,
)
from safeapply.sandbox.controlplane.translation.world import Node, World

__all__ = ["Scope", "scope_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """What a proxy has been given to see."""

    services: Mapping[str, Service]
    """By host."""
    virtual_services: Sequence[VirtualService]
    """Those for ``mesh``, in order of precedence."""
    allows_any: bool = True
    """Whether unknown hosts are passed through (the mesh default) or refused."""


def scope_of(world: World, node: Node) -> Scope:
    """Return what a proxy sees; everything that is exported to its namespace, unless a Sidecar says less."""
    services = visible_services(world.registry, node.namespace)
    routing = applicable(world.virtual_services, node.namespace, MESH)
    sidecar = world.sidecar(node)
    spec = (sidecar or {}).get("spec") or {}
    allows_any = (spec.get("outboundTrafficPolicy") or {}).get("mode") != "REGISTRY_ONLY"
    egress = [str(host) for listener in spec.get("egress") or () for host in listener.get("hosts") or ()]
    if sidecar is None or not egress:
        return Scope(services, routing, allows_any)
    patterns = tuple(_patterns(sidecar, egress))
    chosen = [each for each in routing if any(_imports(pattern, each) for pattern in patterns)]
    return Scope(_imported(services, patterns, chosen), chosen, allows_any)


def _patterns(sidecar: Document, egress: Iterable[str]) -> Iterator[tuple[str, str]]:
    for entry in egress:
        namespace, _, host = entry.rpartition("/")
        if namespace != "~":
            yield namespace_of(sidecar) if namespace == "." else namespace, host.lower()


def _imports(pattern: tuple[str, str], service: VirtualService) -> bool:
    namespace, wanted = pattern
    return namespace in {"*", service.namespace} and any(overlap(host, wanted) for host in service.hosts)


def _imported(
    services: Mapping[str, Service], patterns: Sequence[tuple[str, str]], chosen: Iterable[VirtualService]
) -> dict[str, Service]:
    """Return the services that are named, and the ports of others that imported routes lead to (ISTIO.md 9.1)."""
    found = {
        host: service
        for host, service in services.items()
        if any(namespace in {"*", service.namespace} and within(host, wanted) for namespace, wanted in patterns)
    }
    inferred: dict[str, set[int]] = {}
    for virtual_service in chosen:
        for destination in destinations(virtual_service):
            service = services.get(destination["host"])
            if service is not None and service.host not in found:
                number = (destination.get("port") or {}).get("number")
                wanted = {int(number)} if number else {port.number for port in service.ports}
                inferred.setdefault(service.host, set()).update(wanted)
    return found | {host: services[host].with_ports(numbers) for host, numbers in inferred.items()}
