"""Gateways: which servers a gateway pod has, and on what they listen (ISTIO.md 2.3, 4.1). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from safeapply.resources.objects import Document
from safeapply.sandbox.controlplane.translation.hosts import overlap, within
from safeapply.sandbox.controlplane.translation.metadata import age, labels_match, name_of, namespace_of

__all__ = ["Server", "common_hosts", "servers_of"]

HTTP = {"HTTP", "HTTP2", "GRPC", "GRPC-WEB"}
PASSED_THROUGH = {"PASSTHROUGH", "AUTO_PASSTHROUGH"}


@dataclass(frozen=True, slots=True)
class Server:
    """One server of one Gateway."""

    gateway: str
    """``namespace/name``."""
    port: int
    protocol: str
    """``HTTP``, ``HTTPS`` (terminated), ``TLS`` (passed through) or ``TCP``."""
    hosts: tuple[str, ...]
    """``namespace/host`` or ``host``, as written, with ``./`` resolved."""
    route_name: str
    redirects: bool
    """Whether it answers plain HTTP with a redirect to HTTPS."""


def servers_of(gateways: Iterable[Document], labels: Mapping[str, str]) -> tuple[Server, ...]:
    """Return the servers of all Gateways that select a pod, oldest first.

    Of servers that cannot share a port because one speaks HTTP and the other does not, the oldest stays.
    """
    protocols: dict[int, str] = {}
    found = []
    for gateway in sorted(gateways, key=age):
        spec = gateway.get("spec") or {}
        if labels_match(spec.get("selector") or {}, labels):
            for server in _servers(gateway, spec):
                family = server.protocol if server.protocol in {"HTTP", "TCP"} else "TLS"
                if protocols.setdefault(server.port, family) == family:
                    found.append(server)
    return tuple(found)


def common_hosts(server: Server, namespace: str, hosts: Iterable[str]) -> Iterator[str]:
    """Yield the narrower of each pair of a server's host and a VirtualService's that overlap."""
    wanted = tuple(hosts)
    for offered in server.hosts:
        owner, found, pattern = offered.rpartition("/")
        if found and owner not in {"*", namespace}:
            continue
        for host in wanted:
            if overlap(host, pattern):
                yield host if within(host, pattern) else pattern


def _servers(gateway: Document, spec: Document) -> Iterator[Server]:
    namespace = namespace_of(gateway)
    for server in spec.get("servers") or ():
        port, tls = server.get("port") or {}, server.get("tls") or {}
        number, protocol = int(port["number"]), _protocol(str(port.get("protocol", "")).upper(), tls)
        https = f"https.{number}.{port.get('name', '')}.{name_of(gateway)}.{namespace}"
        yield Server(
            gateway=f"{namespace}/{name_of(gateway)}",
            port=number,
            protocol=protocol,
            hosts=tuple(_host(str(host), namespace) for host in server.get("hosts") or ()),
            route_name=https if protocol == "HTTPS" else f"http.{number}",
            redirects=bool(tls.get("httpsRedirect")),
        )


def _protocol(said: str, tls: Document) -> str:
    if said in HTTP:
        return "HTTP"
    if said in {"HTTPS", "TLS"}:
        if tls.get("mode") in PASSED_THROUGH:
            return "TLS"
        return "HTTPS" if said == "HTTPS" else "TCP"
    return "TCP"


def _host(host: str, namespace: str) -> str:
    owner, found, name = host.lower().partition("/")
    return f"{namespace if owner == '.' else owner}/{name}" if found else owner
