"""From manifests to what Istio reads of them (``istio.kinds``).

The manifests have been checked: by ``resources.manifests`` if they come from files, by the API server if they
are live. So a field of a wrong type cannot appear here; a missing one can, everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Final

from safeapply.istio.hosts import resolve, service_host
from safeapply.istio.kinds import (
    DESTINATION_RULE,
    GATEWAY,
    PEER_AUTHENTICATION,
    SERVICE,
    SERVICE_ENTRY,
    SIDECAR,
    VIRTUAL_SERVICE,
    Declaration,
    DestinationRule,
    Gateway,
    PeerAuthentication,
    Port,
    Server,
    Service,
    Services,
    Sidecar,
    Subset,
    Workload,
)
from safeapply.istio.mesh_settings import MeshSettings
from safeapply.istio.revisions import read_by
from safeapply.istio.route_rules import Pairs
from safeapply.istio.tls import Mode, tls_policy
from safeapply.istio.virtual_services import VirtualServiceReader
from safeapply.istio.visibility import export_to
from safeapply.istio.workloads import declare_workload, pairs
from safeapply.resources.objects import Document, GroupKind, Resource, ResourceId
from safeapply.xds.names import Host

__all__ = ["declare"]

HTTP_PROTOCOLS = frozenset({"http", "http2", "grpc", "grpc-web"})
TCP_PROTOCOLS = frozenset({"tcp", "tls", "https", "mongo", "mysql", "redis"})
EXCLUDED = "~"
_DNS: Final = frozenset({"DNS", "DNS_ROUND_ROBIN"})
EXPORT_TO_ANNOTATION = "networking.istio.io/exportTo"


def declare(resource: Resource, *, created: str, mesh: MeshSettings) -> Declaration | None:
    """Return what Istio reads of an object, or None where it does not decide where requests go.

    Args:
        resource: a checked manifest or a live object.
        created: the creation time to assume; it decides who wins (ISTIO.md 4.10).
        mesh: Istio's own settings: who sees what does not say so, and the domain of Services.
    """
    if resource.id.namespace in mesh.ignored:
        return None
    read, revision = _read(resource, created, mesh), read_by(resource)
    if revision is None or read is None or isinstance(read, Workload):
        return read
    return replace(read, revision=revision)


def _read(resource: Resource, created: str, mesh: MeshSettings) -> Declaration | None:
    kind = resource.id.group_kind
    if kind == VIRTUAL_SERVICE:
        return VirtualServiceReader(resource.id, created, mesh).read(resource.spec)
    reader = _Reader(resource.id, created, mesh)
    if kind == SERVICE:
        return reader.service(resource)
    read = _READERS.get(kind)
    return declare_workload(resource) if read is None else read(reader, resource.spec)


@dataclass(frozen=True, slots=True)
class _Reader:
    """What every field is read against: whose object it is, its age, and Istio's own settings."""

    id: ResourceId
    created: str
    mesh: MeshSettings

    def destination_rule(self, spec: Document) -> DestinationRule:
        selector = spec.get("workloadSelector")
        # A rule with a selector is private to its namespace, whatever it says (ISTIO.md 3.4).
        named = export_to(spec) if selector is None else frozenset({"."})
        return DestinationRule(
            id=self.id,
            created=self.created,
            host=self._host(str(spec.get("host") or "")),
            export_to=named,
            hidden=named is None and self.mesh.private_rules,
            selector=None if selector is None else pairs(selector.get("matchLabels")),
            subsets=tuple(
                Subset(str(s["name"]), pairs(s.get("labels")), tls_policy(s)) for s in spec.get("subsets") or ()
            ),
            tls=tls_policy(spec),
        )

    def gateway(self, spec: Document) -> Gateway:
        servers = tuple(self._server(server) for server in spec.get("servers") or ())
        return Gateway(self.id, pairs(spec.get("selector")), servers)

    def service(self, resource: Resource) -> Services:
        ports = tuple(p for p in resource.spec.get("ports") or () if p.get("protocol", "TCP") != "UDP")
        exported = resource.annotations.get(EXPORT_TO_ANNOTATION)
        visible = frozenset(self.mesh.services if exported is None else map(str.strip, exported.split(",")))
        service = Service(
            id=self.id,
            created=self.created,
            host=service_host(self.id.name, self.id.namespace, domain=self.mesh.domain),
            ports=tuple(_port(p, str(p.get("appProtocol") or p.get("name") or "")) for p in ports),
            selector=pairs(resource.spec.get("selector")),
            export_to=visible or None,
            external=resource.spec.get("type") == "ExternalName",
            headless=resource.spec.get("clusterIP") == "None",
            alias=_alias(resource.spec),
        )
        return Services(self.id, (service,))

    def service_entry(self, spec: Document) -> Services:
        ports = tuple(_port(p, str(p.get("protocol") or "").lower()) for p in spec.get("ports") or ())
        selector = pairs((spec.get("workloadSelector") or {}).get("labels"))
        hosts = (self._host(host) for host in spec.get("hosts") or ())
        external, visible = spec.get("location") != "MESH_INTERNAL", export_to(spec, self.mesh.services)
        return Services(
            self.id,
            tuple(
                Service(self.id, self.created, host, ports, selector, visible, external, endpoints=_endpoints(spec))
                for host in hosts
            ),
        )

    def peer_authentication(self, spec: Document) -> PeerAuthentication:
        ports = spec.get("portLevelMtls") or {}
        return PeerAuthentication(
            id=self.id,
            created=self.created,
            selector=pairs((spec.get("selector") or {}).get("matchLabels")),
            mode=_mode(spec.get("mtls")),
            ports=tuple(sorted(((int(port), _mode(mtls)) for port, mtls in ports.items()), key=itemgetter(0))),
        )

    def sidecar(self, spec: Document) -> Sidecar:
        selector = spec.get("workloadSelector")
        # A Sidecar without egress says nothing of it, and everything is imported.
        hosts = [h for listener in spec.get("egress") or ({"hosts": ["*/*"]},) for h in listener.get("hosts") or ()]
        named = [(space, Host(host)) for space, _, host in (str(h).partition("/") for h in hosts)]
        return Sidecar(
            id=self.id,
            created=self.created,
            selector=None if selector is None else pairs(selector.get("labels")),
            egress=tuple(one for one in named if not one[0].startswith(EXCLUDED)),
            excluded=tuple((s.removeprefix(EXCLUDED) or "*", h) for s, h in named if s.startswith(EXCLUDED)),
        )

    def _host(self, name: str) -> Host:
        return resolve(name, self.id.namespace, domain=self.mesh.domain)

    def _server(self, server: Document) -> Server:
        port = server.get("port") or {}
        protocol = str(port.get("protocol") or "").lower()
        # ``ns/host`` limits which namespaces may bind; the host is what is answered for.
        hosts = tuple(Host(str(host).rpartition("/")[2]) for host in server.get("hosts") or ())
        terminates = "tls" in server and (server["tls"] or {}).get("mode") not in {
            "PASSTHROUGH",
            "AUTO_PASSTHROUGH",
        }
        return Server(
            port=int(port.get("number") or 0),
            http=protocol in HTTP_PROTOCOLS or (protocol == "https" and terminates),
            hosts=hosts,
        )


def _alias(spec: Document) -> Host | None:
    """Return the host that a Service stands for (istio ``ConvertService``); only ExternalName makes it an alias."""
    return (
        Host(str(spec["externalName"])) if spec.get("type") == "ExternalName" and spec.get("externalName") else None
    )


def _endpoints(spec: Document) -> tuple[Pairs, ...] | None:
    """Return the labels of the endpoints that a ServiceEntry names itself, if its clusters depend on them."""
    if spec.get("resolution") not in _DNS or spec.get("workloadSelector") is not None:
        return None
    # Without any, the host is the endpoint, and has no labels (istio ``convertServiceEntryToInstances``).
    endpoints: Sequence[Document] = spec.get("endpoints") or ({},)
    return tuple(pairs(one.get("labels")) for one in endpoints)


def _port(port: Document, protocol: str) -> Port:
    """Tell a port's protocol as Istio does: ``appProtocol``, or the part of the name before the first dash."""
    known = protocol if protocol in HTTP_PROTOCOLS else protocol.partition("-")[0]
    return Port(
        int(port["number"] if "number" in port else port["port"]),
        http=known not in TCP_PROTOCOLS,
        tcp=known not in HTTP_PROTOCOLS,
        target=str(port.get("targetPort") or ""),
    )


def _mode(mtls: Document | None) -> Mode:
    return Mode((mtls or {}).get("mode") or Mode.UNSET)


_READERS: Final[Mapping[GroupKind, Callable[[_Reader, Document], Declaration]]] = {
    DESTINATION_RULE: _Reader.destination_rule,
    GATEWAY: _Reader.gateway,
    SERVICE_ENTRY: _Reader.service_entry,
    SIDECAR: _Reader.sidecar,
    PEER_AUTHENTICATION: _Reader.peer_authentication,
}
