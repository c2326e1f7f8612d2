"""The objects that decide where requests go, as values: what Istio reads of them and nothing else.

``istio.declarations`` and ``istio.virtual_services`` make them from manifests. Hosts are resolved, lists are
tuples, and each destination remembers the field it was read from, so that a refusal can point at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from safeapply.istio.revisions import Revision
from safeapply.istio.route_rules import Pairs, Rule
from safeapply.istio.tls import Mode, TlsPolicy
from safeapply.resources.objects import GroupKind, Namespace, ResourceId
from safeapply.xds.names import Host

__all__ = [
    "DESTINATION_RULE",
    "GATEWAY",
    "MESH",
    "NEWEST",
    "PEER_AUTHENTICATION",
    "POD",
    "ROUTING_KINDS",
    "SERVICE",
    "SERVICE_ENTRY",
    "SIDECAR",
    "VIRTUAL_SERVICE",
    "WORKLOAD_KINDS",
    "Declaration",
    "DestinationRule",
    "Gateway",
    "PeerAuthentication",
    "Port",
    "Server",
    "Service",
    "Services",
    "Sidecar",
    "Subset",
    "VirtualService",
    "Workload",
]

NETWORKING = "networking.istio.io"
VIRTUAL_SERVICE = GroupKind(NETWORKING, "VirtualService")
DESTINATION_RULE = GroupKind(NETWORKING, "DestinationRule")
GATEWAY = GroupKind(NETWORKING, "Gateway")
SERVICE_ENTRY = GroupKind(NETWORKING, "ServiceEntry")
SERVICE = GroupKind("", "Service")
SIDECAR = GroupKind(NETWORKING, "Sidecar")
PEER_AUTHENTICATION = GroupKind("security.istio.io", "PeerAuthentication")
POD = GroupKind("", "Pod")
WORKLOAD_KINDS = (
    GroupKind("apps", "Deployment"),
    GroupKind("apps", "StatefulSet"),
    GroupKind("apps", "DaemonSet"),
)
ROUTING_KINDS = (VIRTUAL_SERVICE, DESTINATION_RULE, GATEWAY, SERVICE_ENTRY, SERVICE, SIDECAR, PEER_AUTHENTICATION)
"""The kinds that decide where requests go, and whether they are let in there."""

MESH = "mesh"
"""The reserved gateway name that stands for all sidecars."""
NEWEST = "~"
"""The creation time of an object that does not exist yet: sorts after every timestamp."""


class _Aged:
    """Objects of which the oldest wins."""

    __slots__ = ()
    id: ResourceId
    created: str

    @property
    def age(self) -> tuple[str, str, str]:
        """Istio's order of objects of one kind: creation time, name, namespace."""
        return (self.created, self.id.name, self.id.namespace)


@dataclass(frozen=True, slots=True)
class Subset:
    """A named part of a host's endpoints."""

    name: str
    labels: Pairs
    tls: TlsPolicy | None = None
    """None where it has no ``trafficPolicy``."""


@dataclass(frozen=True, slots=True)
class DestinationRule(_Aged):
    """What clients need to know of a host: its subsets, their TLS, and who may see them."""

    id: ResourceId
    created: str
    host: Host
    export_to: frozenset[str] | None
    """None where the field is absent: Istio does not take that for ``*`` when it merges (ISTIO.md 3.3)."""
    selector: Pairs | None
    subsets: tuple[Subset, ...]
    tls: TlsPolicy | None = None
    hidden: bool = False
    """Whether it is for its own namespace by the mesh's default; it is merged as one that says nothing."""
    revision: Revision | None = None
    """Whose istiods read it; None where all do."""

    @property
    def private(self) -> bool:
        """Whether Istio keeps it out of the look-ups of other namespaces: it names its own, and no other."""
        return self.hidden or self.export_to in (frozenset({"."}), frozenset({str(self.id.namespace)}))


@dataclass(frozen=True, slots=True)
class VirtualService(_Aged):
    """Routes of some hosts. Without hosts it is a delegate (ISTIO.md 4.6)."""

    id: ResourceId
    created: str
    hosts: tuple[Host, ...]
    gateways: frozenset[str]
    """``mesh``, or ``namespace/name``."""
    export_to: frozenset[str] | None
    rules: tuple[Rule, ...]
    revision: Revision | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """One port of a Gateway and the hosts it answers for."""

    port: int
    http: bool
    hosts: tuple[Host, ...]


@dataclass(frozen=True, slots=True)
class Gateway:
    """What some gateway proxies listen to."""

    id: ResourceId
    selector: Pairs
    servers: tuple[Server, ...]
    revision: Revision | None = None

    @property
    def name(self) -> str:
        """``namespace/name``, as VirtualServices refer to it."""
        return f"{self.id.namespace}/{self.id.name}"


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """A port of a service, and what Istio takes its traffic for."""

    number: int
    http: bool
    tcp: bool
    """Both are true where Istio sniffs the protocol."""
    target: str = ""
    """The pods' port, by number or name; empty where it is the same."""


@dataclass(frozen=True, slots=True)
class Service:
    """A host of the registry: a Kubernetes Service, or one host of a ServiceEntry."""

    id: ResourceId
    created: str
    host: Host
    ports: tuple[Port, ...]
    selector: Pairs
    export_to: frozenset[str] | None
    external: bool = False
    """Whether it lies outside the mesh, and knows nothing of its TLS."""
    headless: bool = False
    endpoints: tuple[Pairs, ...] | None = None
    """The labels of each endpoint, where a cluster is made of those that there are (resolution DNS); None where
    endpoints are told to a cluster that is there without any."""
    alias: Host | None = None
    """The host that a Service of type ExternalName is another name of: it has no clusters itself (ISTIO.md 1.2)."""

    @property
    def namespace(self) -> Namespace:
        """The namespace that owns the host."""
        return self.id.namespace

    def port(self, number: int) -> Port | None:
        """Return a port by its number."""
        return next((port for port in self.ports if port.number == number), None)


@dataclass(frozen=True, slots=True)
class Services:
    """All hosts that one object declares."""

    id: ResourceId
    services: tuple[Service, ...]
    revision: Revision | None = None


@dataclass(frozen=True, slots=True)
class Sidecar(_Aged):
    """What some sidecars import of the mesh (ISTIO.md 9.1)."""

    id: ResourceId
    created: str
    selector: Pairs | None
    """None for all sidecars of the namespace, or of the mesh if it is the root namespace."""
    egress: tuple[tuple[str, Host], ...]
    """Namespace (``*``, ``.`` or a name) and host pattern; of all listeners together."""
    excluded: tuple[tuple[str, Host], ...] = ()
    """What is left out of that, in the same form (``~namespace/host``, Istio 1.31)."""
    revision: Revision | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """Pods that run, or that will: their labels decide which subsets have endpoints."""

    id: ResourceId
    labels: Pairs
    sidecar: bool = True
    """Whether an Envoy stands before it."""
    marked: bool = True
    """Whether clients send it mutual TLS by themselves."""
    ports: tuple[tuple[str, int], ...] = ()
    """Those that have a name."""
    revision: ClassVar[None] = None


@dataclass(frozen=True, slots=True)
class PeerAuthentication(_Aged):
    """What some servers accept of other members of the mesh (ISTIO.md 6.1)."""

    id: ResourceId
    created: str
    selector: Pairs
    """Empty for all workloads of the namespace, or of the mesh if it is the root namespace."""
    mode: Mode
    ports: tuple[tuple[int, Mode], ...]
    """``portLevelMtls``, by the ports of the workload."""
    revision: Revision | None = None


Declaration: TypeAlias = (
    VirtualService | DestinationRule | Gateway | Services | Sidecar | Workload | PeerAuthentication
)
