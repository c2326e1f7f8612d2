"""What has to be taken for granted without a cluster: services and gateways that no file declares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from safeapply.istio.hosts import is_wild
from safeapply.istio.kinds import (
    GATEWAY,
    MESH,
    SERVICE,
    SERVICE_ENTRY,
    Declaration,
    DestinationRule,
    Gateway,
    Port,
    Server,
    Service,
    Services,
    VirtualService,
)
from safeapply.istio.mesh_settings import MeshSettings
from safeapply.istio.route_rules import Destination
from safeapply.istio.snapshot import Declarations
from safeapply.resources.objects import Namespace, ResourceId
from safeapply.xds.names import Host

__all__ = ["assumed"]

INGRESS = (("istio", "ingressgateway"),)
"""The label of Istio's own ingress gateway."""


def assumed(versions: Declarations, mesh: MeshSettings) -> Mapping[ResourceId, Declaration]:
    """Return a service for every host, and a Gateway for every gateway, that is named and never declared."""
    declarations = [one for several in versions.values() for one in several if one is not None]
    declared = {s.host for one in declarations if isinstance(one, Services) for s in one.services}
    known = {one.name for one in declarations if isinstance(one, Gateway)}
    services: dict[ResourceId, Declaration] = {}
    for host, ports in _named_hosts(declarations).items():
        if host not in declared and not is_wild(host):
            one = _service(host, ports, mesh)
            services[one.id] = one
    bound = {g for one in declarations if isinstance(one, VirtualService) for g in one.gateways}
    gateways = {one.id: one for one in map(_gateway, sorted(bound - known - {MESH}))}
    return {**services, **gateways}


def _named_hosts(declarations: list[Declaration]) -> Mapping[Host, set[int]]:
    """Return every host that is routed to or ruled, with the ports that are mentioned for it."""
    hosts: dict[Host, set[int]] = {}
    targets: dict[Host, Host] = {}
    for one in declarations:
        match one:
            case DestinationRule(host=host):
                hosts.setdefault(host, set())
            case VirtualService():
                for destination in _destinations(one):
                    hosts.setdefault(destination.host, set()).update(
                        {destination.port} if destination.port is not None else ()
                    )
            case Services(services=services):
                for service in services:
                    if service.alias is None:
                        continue
                    targets.setdefault(service.host, service.alias)
                    hosts.setdefault(service.alias, set()).update(port.number for port in service.ports)
            case _:
                pass
    for alias, target in targets.items():
        # Whoever names a port of an alias means its target's (ISTIO.md 1.2).
        hosts[target].update(hosts.get(alias, ()))
    return hosts


def _destinations(route: VirtualService) -> Iterator[Destination]:
    for rule in route.rules:
        yield from rule.destinations
        yield from rule.mirrors


def _service(host: Host, ports: set[int], mesh: MeshSettings) -> Services:
    suffix = f".svc.{mesh.domain}"
    name, _, namespace = host.removesuffix(suffix).partition(".")
    owner = (
        ResourceId(SERVICE.group, SERVICE.kind, Namespace(namespace), name)
        if host.endswith(suffix)
        else ResourceId(SERVICE_ENTRY.group, SERVICE_ENTRY.kind, mesh.root_namespace, host)
    )
    numbers = tuple(Port(number, http=True, tcp=True) for number in sorted(ports or {80}))
    # Nobody says which pods stand behind it; those of a Service mostly bear its name.
    selector = (("app", name),) if owner.group_kind == SERVICE else ()
    return Services(owner, (Service(owner, "", host, numbers, selector, None),))


def _gateway(name: str) -> Gateway:
    namespace, _, short = name.partition("/")
    one = ResourceId(GATEWAY.group, GATEWAY.kind, Namespace(namespace), short)
    everything = (Host("*"),)
    return Gateway(
        one, INGRESS, (Server(80, http=True, hosts=everything), Server(443, http=False, hosts=everything))
    )
