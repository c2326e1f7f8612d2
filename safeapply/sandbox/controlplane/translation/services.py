"""The registry: Kubernetes Services and ServiceEntries as one kind of thing. Pure.

What a client can address is a host with ports; what answers is a set of backends, which are unix sockets here
(``sockets.backend_name``), named by the address and port that they would have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from safeapply.resources.objects import Document
from safeapply.sandbox.controlplane.translation.hosts import DOMAIN
from safeapply.sandbox.controlplane.translation.metadata import age, exported, name_of, namespace_of, texts

__all__ = ["Port", "Protocol", "Resolution", "Service", "cluster_ip", "services_of", "visible_services"]

HEADLESS = "None"
EXPORT_ANNOTATION = "networking.istio.io/exportTo"


class Protocol(Enum):
    """What a port speaks, as far as the shape of Envoy's configuration depends on it."""

    HTTP = "http"
    HTTP2 = "http2"
    TLS = "tls"
    TCP = "tcp"

    @property
    def is_http(self) -> bool:
        """Whether requests on it are routed by RDS."""
        return self in {Protocol.HTTP, Protocol.HTTP2}


PROTOCOLS = {
    "http": Protocol.HTTP, "kubernetes.io/ws": Protocol.HTTP,
    "http2": Protocol.HTTP2, "grpc": Protocol.HTTP2, "grpc-web": Protocol.HTTP2,
    "kubernetes.io/h2c": Protocol.HTTP2,
    "https": Protocol.TLS, "tls": Protocol.TLS, "kubernetes.io/wss": Protocol.TLS,
    "tcp": Protocol.TCP, "mongo": Protocol.TCP, "mysql": Protocol.TCP, "redis": Protocol.TCP,
}  # fmt: skip
"""By ``appProtocol`` or the first word of a port's name (istio ``pkg/config/protocol``)."""

UNNAMED = Protocol.HTTP
"""Istio sniffs such a port, on a listener of its own, and takes HTTP for HTTP; here it is HTTP unsniffed."""


class Resolution(Enum):
    """Where the endpoints of a service come from."""

    EDS = "EDS"
    DNS = "STRICT_DNS"
    NONE = "ORIGINAL_DST"


@dataclass(frozen=True, slots=True)
class Port:
    """One port of a service."""

    number: int
    name: str
    protocol: Protocol
    target: int | str
    """The number of the backend's port, or the name that its container gives to it."""


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """A host that clients can address."""

    host: str
    namespace: str
    ports: tuple[Port, ...]
    address: str
    """The address of its TCP listeners; empty for all addresses."""
    resolution: Resolution
    export_to: tuple[str, ...]
    document: Document
    is_entry: bool
    """Whether a ServiceEntry made it."""
    selectors: tuple[tuple[str, Mapping[str, str]], ...] = ()
    """The clusters that have such a Service, and which of their pods each selects."""
    external: bool = False
    """Whether what answers is outside of the mesh, as a ServiceEntry says unless it says otherwise."""
    alias: str = ""
    """The host that it is only another name of (``ExternalName``): it has neither clusters nor listeners."""

    @property
    def selected(self) -> Iterator[Mapping[str, str]]:
        """The labels of the pods behind it, once for each way in which it chooses them; none chooses nothing."""
        if self.is_entry:
            yield ((self.document.get("spec") or {}).get("workloadSelector") or {}).get("labels") or {}
        else:
            yield from (selector for _, selector in self.selectors)

    def port(self, number: int) -> Port | None:
        """Return the port with this number."""
        return next((port for port in self.ports if port.number == number), None)

    def with_ports(self, numbers: Iterable[int]) -> Service:
        """Return it with only these ports."""
        wanted = set(numbers)
        return replace(self, ports=tuple(port for port in self.ports if port.number in wanted))


def services_of(
    services: Iterable[tuple[str, Document]], entries: Iterable[Document], unsaid: tuple[str, ...] = ()
) -> tuple[Service, ...]:
    """Return the registry, oldest first; for whom they are that do not say so is told.

    A Service of several clusters is one, that of the first, with the pods of all (istio ``mergeService``).
    """
    merged: dict[str, Service] = {}
    for cluster, document in sorted(services, key=lambda one: one[0]):
        own = _from_service(cluster, document)
        known = merged.setdefault(own.host, own)
        if known is not own:
            merged[own.host] = replace(known, selectors=(*known.selectors, *own.selectors))
    found = [*merged.values(), *(service for document in entries for service in _from_entry(document))]
    found = [one if one.export_to else replace(one, export_to=unsaid) for one in found]
    return tuple(sorted(found, key=lambda service: (age(service.document), service.host)))


def visible_services(registry: Iterable[Service], client: str) -> dict[str, Service]:
    """Return what a namespace sees, one service per host.

    Of several with one host: the client namespace's own, else a Kubernetes Service, else the oldest (ISTIO.md 2.6).
    """
    found: dict[str, Service] = {}
    for service in registry:
        if not exported(service.export_to, service.namespace, client):
            continue
        rival = found.get(service.host)
        if rival is None or _rank(service, client) < _rank(rival, client):
            found[service.host] = service
    return found


def cluster_ip(namespace: str, name: str) -> str:
    """Return the address that a Service has as long as nobody gave it one: always the same for one name."""
    digest = hashlib.blake2b(f"{namespace}/{name}".encode(), digest_size=2).digest()
    return f"10.96.{digest[0]}.{digest[1]}"


def _rank(service: Service, client: str) -> tuple[bool, bool]:
    return service.namespace != client, service.is_entry


def _from_service(cluster: str, document: Document) -> Service:
    spec, name, namespace = document.get("spec") or {}, name_of(document), namespace_of(document)
    address = str(spec.get("clusterIP") or cluster_ip(namespace, name))
    annotation = (document["metadata"].get("annotations") or {}).get(EXPORT_ANNOTATION, "")
    return Service(
        host=f"{name}.{namespace}.{DOMAIN}",
        namespace=namespace,
        ports=tuple(_service_ports(spec.get("ports") or ())),
        address="" if address == HEADLESS else address,
        resolution=Resolution.EDS,
        export_to=tuple(to.strip() for to in annotation.split(",") if to.strip()),
        document=document,
        is_entry=False,
        selectors=((cluster, spec.get("selector") or {}),),
        alias=str(spec.get("externalName") or "") if spec.get("type") == "ExternalName" else "",
    )


def _service_ports(ports: Iterable[Document]) -> Iterator[Port]:
    for port in ports:
        if port.get("protocol", "TCP") == "TCP":
            number, name = int(port["port"]), str(port.get("name") or "")
            said = str(port.get("appProtocol") or name.partition("-")[0]).lower()
            yield Port(number, name, PROTOCOLS.get(said, UNNAMED), _target(port, number))


def _from_entry(document: Document) -> Iterator[Service]:
    spec = document.get("spec") or {}
    addresses = [str(each) for each in spec.get("addresses") or () if "/" not in str(each)]
    for host in spec.get("hosts") or ():
        yield Service(
            host=str(host).lower(),
            namespace=namespace_of(document),
            ports=tuple(_entry_ports(spec.get("ports") or ())),
            address=addresses[0] if addresses else "",
            resolution=_resolution(spec),
            export_to=texts(spec.get("exportTo")),
            document=document,
            is_entry=True,
            external=spec.get("location") != "MESH_INTERNAL",
        )


def _entry_ports(ports: Iterable[Document]) -> Iterator[Port]:
    for port in ports:
        number, said = int(port["number"]), str(port.get("protocol") or "").lower()
        if said != "udp":
            yield Port(number, str(port.get("name") or ""), PROTOCOLS.get(said, UNNAMED), _target(port, number))


def _target(port: Document, number: int) -> int | str:
    said = port.get("targetPort") or number
    return said if isinstance(said, int) else str(said)


def _resolution(spec: Mapping[str, object]) -> Resolution:
    match spec.get("resolution") or "NONE":
        case "STATIC":
            return Resolution.EDS
        case "DNS" | "DNS_ROUND_ROBIN":
            return Resolution.DNS
        case _:
            return Resolution.NONE
