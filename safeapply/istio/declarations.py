"""From manifests to what Istio reads of them (``istio.kinds``).

The manifests have been checked: by ``resources.manifests`` if they come from files, by the API server if they
are live. So a field of a wrong type cannot appear here; a missing one can, everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Final

from safeapply.istio.hosts import resolve, service_host
from safeapply.istio.kinds import (
    DESTINATION_RULE,
    GATEWAY,
    MESH,
    PEER_AUTHENTICATION,
    SERVICE,
    SERVICE_ENTRY,
    SIDECAR,
    VIRTUAL_SERVICE,
    Declaration,
    Destination,
    DestinationRule,
    Gateway,
    Match,
    PeerAuthentication,
    Port,
    Rule,
    Server,
    Service,
    Services,
    Sidecar,
    Subset,
    Traffic,
    VirtualService,
)
from safeapply.istio.tls import Mode, tls_policy
from safeapply.istio.workloads import declare_workload, pairs
from safeapply.resources.objects import Document, FieldPath, GroupKind, Namespace, Resource, ResourceId
from safeapply.xds.names import Host

__all__ = ["declare", "gateway_name"]

HTTP_PROTOCOLS = frozenset({"http", "http2", "grpc", "grpc-web"})
TCP_PROTOCOLS = frozenset({"tcp", "tls", "https", "mongo", "mysql", "redis"})
OF_PROXIES = frozenset({"name", "gateways", "port", "sourceLabels", "sourceNamespace"})
"""Fields of a match that no request decides."""
EXCLUDED = "~"
EVERY_PATH: Final[tuple[object, ...]] = (None, {}, {"prefix": "/"}, {"regex": ".*"})
EXPORT_TO_ANNOTATION = "networking.istio.io/exportTo"


def declare(resource: Resource, *, created: str, domain: str) -> Declaration | None:
    """Return what Istio reads of an object, or None for kinds that do not decide where requests go.

    Args:
        resource: a checked manifest or a live object.
        created: the creation time to assume; it decides who wins (ISTIO.md 4.10).
        domain: the mesh's trust in DNS, usually ``cluster.local``.
    """
    reader = _Reader(resource.id, created, domain)
    kind = resource.id.group_kind
    if kind == SERVICE:
        return reader.service(resource)
    read = _READERS.get(kind)
    return declare_workload(resource) if read is None else read(reader, resource.spec)


def gateway_name(name: str, namespace: Namespace) -> str:
    """Return ``namespace/name`` for the name by which an object refers to a Gateway; or ``mesh`` (ISTIO.md 2.3)."""
    if name == MESH:
        return MESH
    owner, slash, rest = name.partition("/")
    if not slash:
        return f"{namespace}/{name}"
    return f"{namespace}/{rest}" if owner == "." else name


@dataclass(frozen=True, slots=True)
class _Reader:
    """What every field is read against: whose object it is, its age, and the domain."""

    id: ResourceId
    created: str
    domain: str

    def virtual_service(self, spec: Document) -> VirtualService:
        gateways = spec.get("gateways") or (MESH,)
        return VirtualService(
            id=self.id,
            created=self.created,
            hosts=tuple(self._host(host) for host in spec.get("hosts") or ()),
            gateways=frozenset(self._gateway_name(name) for name in gateways),
            export_to=_export_to(spec),
            rules=tuple(rule for traffic in Traffic for rule in self._rules(traffic, spec)),
        )

    def destination_rule(self, spec: Document) -> DestinationRule:
        selector = spec.get("workloadSelector")
        return DestinationRule(
            id=self.id,
            created=self.created,
            host=self._host(str(spec.get("host") or "")),
            # A rule with a selector is private to its namespace, whatever it says (ISTIO.md 3.4).
            export_to=_export_to(spec) if selector is None else frozenset({"."}),
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
        service = Service(
            id=self.id,
            created=self.created,
            host=service_host(self.id.name, self.id.namespace, domain=self.domain),
            ports=tuple(_port(p, str(p.get("appProtocol") or p.get("name") or "")) for p in ports),
            selector=pairs(resource.spec.get("selector")),
            export_to=None if exported is None else frozenset(part.strip() for part in exported.split(",")),
            external=resource.spec.get("type") == "ExternalName",
            headless=resource.spec.get("clusterIP") == "None",
        )
        return Services(self.id, (service,))

    def service_entry(self, spec: Document) -> Services:
        ports = tuple(_port(p, str(p.get("protocol") or "").lower()) for p in spec.get("ports") or ())
        selector = pairs((spec.get("workloadSelector") or {}).get("labels"))
        hosts = (self._host(host) for host in spec.get("hosts") or ())
        external, visible = spec.get("location") != "MESH_INTERNAL", _export_to(spec)
        return Services(
            self.id,
            tuple(Service(self.id, self.created, host, ports, selector, visible, external) for host in hosts),
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
        return resolve(name, self.id.namespace, domain=self.domain)

    def _gateway_name(self, name: str) -> str:
        return gateway_name(name, self.id.namespace)

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

    def _rules(self, traffic: Traffic, spec: Document) -> Iterator[Rule]:
        for index, rule in enumerate(spec.get(traffic.value) or ()):
            yield self._rule(traffic, rule, FieldPath(f"spec.{traffic.value}[{index}]"))

    def _rule(self, traffic: Traffic, rule: Document, path: FieldPath) -> Rule:
        routes = [(self._destination(r["destination"], p), r.get("weight") or 0) for r, p in _routes(rule, path)]
        mirrors = tuple(self._mirrors(rule, path))
        return Rule(
            traffic=traffic,
            matches=tuple(self._match(traffic, match or {}) for match in rule.get("match") or ()),
            # Envoy gets a lone destination whatever its weight, and of several none of weight 0 (ISTIO.md 1.3).
            destinations=tuple(_shared(routes)) if len(routes) > 1 else tuple(d for d, _ in routes),
            mirrors=tuple(d for d, share in mirrors if share != 0),
            named=(*(d for d, _ in routes), *(d for d, _ in mirrors)),
            delegate=self._delegate(rule.get("delegate")),
            path=path,
        )

    def _match(self, traffic: Traffic, match: Document) -> Match:
        return Match(
            gateways=frozenset(self._gateway_name(name) for name in match.get("gateways") or ()),
            port=match.get("port"),
            source_labels=pairs(match.get("sourceLabels")),
            source_namespace=str(match.get("sourceNamespace") or ""),
            request=", ".join(f"{key} {_said(match[key])}" for key in sorted(match.keys() - OF_PROXIES)),
            all=_lets_all_through(traffic, match),
        )

    def _mirrors(self, rule: Document, path: FieldPath) -> Iterator[tuple[Destination, float | None]]:
        """Yield each mirror with its percentage; None is all."""
        if rule.get("mirror"):
            percentage = (rule.get("mirrorPercentage") or {}).get("value", rule.get("mirrorPercent"))
            yield self._destination(rule["mirror"], FieldPath(f"{path}.mirror")), percentage
        for index, entry in enumerate(rule.get("mirrors") or ()):
            where = FieldPath(f"{path}.mirrors[{index}].destination")
            yield self._destination(entry["destination"], where), (entry.get("percentage") or {}).get("value")

    def _destination(self, destination: Document, path: FieldPath) -> Destination:
        return Destination(
            host=self._host(str(destination.get("host") or "")),
            subset=str(destination.get("subset") or ""),
            port=(destination.get("port") or {}).get("number"),
            path=path,
        )

    def _delegate(self, delegate: Document | None) -> ResourceId | None:
        if not delegate:
            return None
        namespace = Namespace(str(delegate.get("namespace") or self.id.namespace))
        return ResourceId(self.id.group, self.id.kind, namespace, str(delegate.get("name") or ""))


def _routes(rule: Document, path: FieldPath) -> Iterator[tuple[Document, FieldPath]]:
    for index, route in enumerate(rule.get("route") or ()):
        yield route, FieldPath(f"{path}.route[{index}].destination")


def _shared(routes: Sequence[tuple[Destination, float]]) -> Iterator[Destination]:
    """Yield the destinations that have a weight, with what Envoy draws for them: one after the other."""
    total, passed = sum(weight for _, weight in routes), 0.0
    for destination, weight in routes:
        if weight:
            yield replace(destination, share=(passed / total, (passed + weight) / total))
            passed += weight


def _lets_all_through(traffic: Traffic, match: Document) -> bool:
    """Tell what istio ``IsCatchAllRoute`` does of HTTP; of TCP only subnets tell connections apart."""
    wanted = {key for key in match.keys() - OF_PROXIES - {"ignoreUriCase", "statPrefix"} if match[key]}
    if traffic is Traffic.HTTP:
        return wanted <= {"uri"} and match.get("uri") in EVERY_PATH
    return traffic is Traffic.TCP and not wanted


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


def _said(value: object) -> str:
    """Return a value as an operator would say it, the same for equal values."""
    match value:
        case dict():
            return " ".join(f"{key} {_said(value[key])}" for key in sorted(value))
        case list():
            return ",".join(map(_said, value))
        case _:
            return str(value)


def _export_to(spec: Document) -> frozenset[str] | None:
    values = spec.get("exportTo")
    return frozenset(map(str, values)) if values else None


_READERS: Final[Mapping[GroupKind, Callable[[_Reader, Document], Declaration]]] = {
    VIRTUAL_SERVICE: _Reader.virtual_service,
    DESTINATION_RULE: _Reader.destination_rule,
    GATEWAY: _Reader.gateway,
    SERVICE_ENTRY: _Reader.service_entry,
    SIDECAR: _Reader.sidecar,
    PEER_AUTHENTICATION: _Reader.peer_authentication,
}
