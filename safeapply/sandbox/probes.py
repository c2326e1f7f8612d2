"""Which requests must flow: every host and every route of a configuration, seen from sidecars and gateways. Pure.

A probe promises nothing: one that the mesh does not serve before the change or after it is not judged. So
visibility, precedence and shadowing need no model here, and nothing is shared with what is being judged. What
counts is that no route is left without a request that reaches it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from safeapply.resources.objects import Document
from safeapply.sandbox.samples import HttpRequest, sample_request

__all__ = ["Audience", "BytesRequest", "Probe", "Request", "TlsRequest", "fqdn", "probes_of"]

DOMAIN = "svc.cluster.local"
MESH = "mesh"
HTTP_PORT = 80
PLAIN, SECURE, STREAM = "http", "tls", "tcp"
PROTOCOLS = {
    "http": PLAIN, "http2": PLAIN, "grpc": PLAIN, "kubernetes.io/h2c": PLAIN, "kubernetes.io/ws": PLAIN,
    "https": SECURE, "tls": SECURE, "kubernetes.io/wss": SECURE,
    "tcp": STREAM, "mongo": STREAM, "mysql": STREAM, "redis": STREAM,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BytesRequest:
    """A TCP connection to a host that must give an answer."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return ``TCP mongodb.default.svc.cluster.local:27017``."""
        return f"TCP {self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class TlsRequest:
    """A TLS client hello for a host, which gateways and sidecars route by its SNI."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return ``TLS vault.default.svc.cluster.local:8200``."""
        return f"TLS {self.host}:{self.port}"


Request: TypeAlias = HttpRequest | BytesRequest | TlsRequest


@dataclass(frozen=True, slots=True)
class Audience:
    """Who sends a probe: every sidecar, or the gateways that a selector names."""

    selector: tuple[tuple[str, str], ...] | None = None
    """None for sidecars."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One request that some proxies must be able to serve."""

    audience: Audience
    port: int
    """The port that the client connects to."""
    request: Request


@dataclass(frozen=True, slots=True)
class Port:
    """A port that a host can be asked on."""

    number: int
    protocol: str


def fqdn(host: str, namespace: str) -> str:
    """Return a host as Istio resolves it: a name without a dot is a Service beside the object (ISTIO.md 2.1)."""
    return host if "." in host or host == "*" else f"{host}.{namespace}.{DOMAIN}"


def probes_of(documents: Iterable[Document]) -> tuple[Probe, ...]:
    """Return one probe for every host, route and match that the configuration names, without repetition."""
    everything = tuple(documents)
    return tuple(dict.fromkeys((*_from_sidecars(everything), *_from_gateways(everything))))


def _from_sidecars(documents: Sequence[Document]) -> Iterator[Probe]:
    ports = _ports_of_hosts(documents)
    for host, offered in ports.items():
        for port in offered:
            yield Probe(Audience(), port.number, _plain_request(host, port))
    for service in _of_kind(documents, "VirtualService"):
        if MESH not in service["spec"].get("gateways", (MESH,)):
            continue
        for host in service["spec"].get("hosts", ()):
            name = _concrete(fqdn(host, _namespace(service)))
            offered = ports.get(name, (Port(HTTP_PORT, PLAIN),))
            yield from _from_routes(service, documents, Audience(), name, offered)


def _from_gateways(documents: Sequence[Document]) -> Iterator[Probe]:
    for gateway in _of_kind(documents, "Gateway"):
        audience = Audience(tuple(sorted(gateway["spec"].get("selector", {}).items())))
        for server in gateway["spec"].get("servers", ()):
            port = Port(int(server["port"]["number"]), _protocol(str(server["port"].get("protocol", "")).lower()))
            for service in _of_kind(documents, "VirtualService"):
                if _bound(service, gateway):
                    for host in _common_hosts(server, service):
                        yield from _from_routes(service, documents, audience, host, (port,))


def _from_routes(
    service: Document, documents: Sequence[Document], audience: Audience, host: str, ports: Sequence[Port]
) -> Iterator[Probe]:
    for port in ports:
        if port.protocol != PLAIN:
            yield Probe(audience, port.number, _plain_request(host, port))
            continue
        base = HttpRequest(_authority(host, port, audience))
        for request in _requests(service, documents, base, port.number):
            yield Probe(audience, port.number, request)


def _requests(
    service: Document, documents: Sequence[Document], base: HttpRequest, port: int
) -> Iterator[HttpRequest]:
    """Yield a request for each match of each route; for a delegating route, those of the delegate below it."""
    for route in service["spec"].get("http", ()):
        matches: Sequence[Document] = route.get("match") or ({},)
        for match in matches:
            request = sample_request(match, base)
            if request is None or match.get("port", port) != port:
                continue
            delegate = _delegate(route, service, documents)
            if delegate is None:
                yield request
            else:  # one level deep, as in Istio: a delegate's own delegates are not followed
                yield from (_below(request, inner) for inner in _requests(delegate, (), base, port))


def _below(outer: HttpRequest, inner: HttpRequest) -> HttpRequest:
    """Return the request that both a route and its delegate's let through."""
    headers = tuple(sorted((dict(outer.headers) | dict(inner.headers)).items()))
    path = inner.path if inner.path != "/" else outer.path
    method = inner.method if inner.method != "GET" else outer.method
    return HttpRequest(outer.authority, method, path, headers)


def _delegate(route: Document, service: Document, documents: Sequence[Document]) -> Document | None:
    wanted = route.get("delegate")
    if not wanted:
        return None
    name, namespace = wanted.get("name"), wanted.get("namespace") or _namespace(service)
    for candidate in _of_kind(documents, "VirtualService"):
        if candidate["metadata"]["name"] == name and _namespace(candidate) == namespace:
            return candidate
    return None


def _ports_of_hosts(documents: Sequence[Document]) -> dict[str, tuple[Port, ...]]:
    found: dict[str, tuple[Port, ...]] = {}
    for service in _of_kind(documents, "Service"):
        host = fqdn(service["metadata"]["name"], _namespace(service))
        found[host] = tuple(_service_ports(service["spec"].get("ports") or ()))
    for entry in _of_kind(documents, "ServiceEntry"):
        offered = tuple(
            Port(int(port["number"]), _protocol(str(port.get("protocol", "")).lower()))
            for port in entry["spec"].get("ports", ())
        )
        found |= {_concrete(host): offered for host in entry["spec"].get("hosts", ())}
    return found


def _service_ports(ports: Iterable[Document]) -> Iterator[Port]:
    for port in ports:
        if port.get("protocol", "TCP") == "TCP":
            said = str(port.get("appProtocol") or str(port.get("name", "")).split("-")[0]).lower()
            yield Port(int(port["port"]), _protocol(said))


def _protocol(said: str) -> str:
    """Return what a client speaks; where nothing is said Istio sniffs, and takes HTTP for HTTP."""
    return PROTOCOLS.get(said, PLAIN)


def _plain_request(host: str, port: Port) -> Request:
    match port.protocol:
        case "tls":
            return TlsRequest(host, port.number)
        case "tcp":
            return BytesRequest(host, port.number)
        case _:
            return HttpRequest(f"{host}:{port.number}")


def _authority(host: str, port: Port, audience: Audience) -> str:
    return host if audience.selector is not None else f"{host}:{port.number}"


def _bound(service: Document, gateway: Document) -> bool:
    """Tell whether a VirtualService names the Gateway (ISTIO.md 2.3)."""
    name, namespace = gateway["metadata"]["name"], _namespace(gateway)
    names = {f"{namespace}/{name}", f"{name}.{namespace}.{DOMAIN}"}
    if _namespace(service) == namespace:
        names |= {name, f"./{name}"}
    return not names.isdisjoint(service["spec"].get("gateways", ()))


def _common_hosts(server: Document, service: Document) -> Iterator[str]:
    for offered in server.get("hosts", ()):
        pattern = str(offered).rpartition("/")[2]
        for host in service["spec"].get("hosts", ()):
            wanted = fqdn(host, _namespace(service))
            if _within(wanted, pattern):
                yield _concrete(wanted)
            elif _within(pattern, wanted):
                yield _concrete(pattern)


def _within(host: str, pattern: str) -> bool:
    return host == pattern or (pattern.startswith("*") and host.endswith(pattern[1:]))


def _concrete(host: str) -> str:
    return host.replace("*", "probe", 1) if host != "*" else "probe.example.com"


def _of_kind(documents: Iterable[Document], kind: str) -> Iterator[Document]:
    for document in documents:
        if document.get("kind") == kind and isinstance(document.get("spec"), Mapping):
            yield document


def _namespace(document: Document) -> str:
    return str(document["metadata"].get("namespace") or "default")
