"""Hosts and ports that rules cannot take hold of ("Route rules have no effect on my application")."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from safeapply.checks import catalogue
from safeapply.checks.findings import Finding, Severity
from safeapply.checks.requests import listed, named
from safeapply.checks.scene import Scene
from safeapply.istio.hosts import is_wild
from safeapply.istio.kinds import MESH, SERVICE, Service, VirtualService
from safeapply.istio.route_rules import Traffic
from safeapply.resources.objects import FieldPath
from safeapply.xds.names import Host

__all__ = ["port_names", "unknown_route_hosts", "wrong_protocols"]

_HTTP_1_0: Final = re.compile(r"^https?[-/]?1[-.]?0(-|$)", re.IGNORECASE)


def unknown_route_hosts(scene: Scene) -> Iterator[Finding]:
    """Yield the VirtualServices for sidecars none of whose hosts is in the mesh."""
    for route in scene.routes():
        if route.gateways != {MESH} or not route.hosts or any(_is_known(scene, host) for host in route.hosts):
            continue
        meant = [name for name in map(scene.meant, route.hosts) if name]
        # Without a cluster, a host that nobody declares may well be there.
        if meant or not scene.sight.offline:
            yield _outside(route, meant)


def wrong_protocols(scene: Scene) -> Iterator[Finding]:
    """Yield the VirtualServices whose rules are all for a protocol that no port of a host speaks."""
    for route in scene.routes():
        kinds = {rule.traffic is Traffic.HTTP for rule in route.rules}
        if MESH in route.gateways and len(kinds) == 1:
            for index, host in enumerate(route.hosts):
                service = next((s for s in scene.services(host) if s.id not in scene.assumed), None)
                if service is not None and service.ports and not _takes(service, http=True in kinds):
                    yield _wrong(route, index, service, http=True in kinds)


def port_names(scene: Scene) -> Iterator[Finding]:
    """Yield the ports of routed Services whose protocol has to be guessed, or that speak HTTP/1.0."""
    for host in scene.snapshot.index.routes:
        for service in scene.services(host):
            if service.id.group_kind == SERVICE and service.id not in scene.assumed and _has_http(scene, host):
                yield from _guessed(scene, service)


def _is_known(scene: Scene, host: Host) -> bool:
    return is_wild(host) or any(scene.services(host))


def _outside(route: VirtualService, meant: list[Host]) -> Finding:
    remedy = f"Write {listed(meant)}." if meant else "Declare it as a Service or ServiceEntry, or correct it."
    why = (
        "a name with a dot in it is taken to the letter" if meant else "sidecars take such a name on port 80 alone"
    )
    return Finding(
        code=catalogue.HOST_OUTSIDE_MESH,
        severity=Severity.WARNING,
        object=route.id,
        field=FieldPath("spec.hosts[0]"),
        effect=f"Requests do not meet these rules: {listed(route.hosts)} is no host of the mesh, and {why}.",
        remedy=remedy,
        about=f"hosts {' '.join(route.hosts)}",
    )


def _takes(service: Service, *, http: bool) -> bool:
    return any(port.http if http else port.tcp for port in service.ports)


def _wrong(route: VirtualService, index: int, service: Service, *, http: bool) -> Finding:
    ports = ", ".join(str(port.number) for port in service.ports)
    is_, are = ("TCP or TLS", "HTTP") if http else ("HTTP", "TCP")
    return Finding(
        code=catalogue.WRONG_PROTOCOL,
        severity=Severity.WARNING,
        object=route.id,
        field=FieldPath(f"spec.hosts[{index}]"),
        effect=f"Requests to {service.host} do not meet these rules: {named(service.id)} declares port {ports} as "
        f"{is_}, and all the rules are for {are}.",
        remedy="Begin the port's name with what it speaks (http, grpc, tcp), or set appProtocol, or write rules of "
        "the other kind.",
        about=f"host {service.host}",
    )


def _has_http(scene: Scene, host: Host) -> bool:
    routes = (scene.route(one) for one in scene.snapshot.index.routes.get(host, ()))
    return any(rule.traffic is Traffic.HTTP for route in routes if route for rule in route.rules)


def _guessed(scene: Scene, service: Service) -> Iterator[Finding]:
    ports = scene.spec_at(service.id, "ports")
    for index, port in enumerate(ports if isinstance(ports, list) else ()):
        number, said = int(port["port"]), str(port.get("appProtocol") or port.get("name") or "")
        known = service.port(number)
        if _HTTP_1_0.match(said):
            yield _hint(
                catalogue.HTTP_1_0,
                service,
                index,
                f"Requests to {service.host}:{number} in HTTP/1.0 are answered 426 by Envoy.",
                "Let client and server speak HTTP/1.1, or declare the port as TCP.",
            )
        elif known is not None and known.http and known.tcp:
            name = f"{said!r} does not say" if said else "no name says"
            yield _hint(
                catalogue.PORT_NAME,
                service,
                index,
                f"Requests to {service.host}:{number} meet HTTP rules only where their first bytes look like HTTP: "
                f"{name} what the port speaks.",
                "Set appProtocol: http (grpc, http2), or begin the port's name with it.",
            )


def _hint(code: str, service: Service, index: int, effect: str, remedy: str) -> Finding:
    return Finding(
        code=code,
        severity=Severity.INFO,
        object=service.id,
        field=FieldPath(f"spec.ports[{index}]"),
        effect=effect,
        remedy=remedy,
        about=effect,
    )
