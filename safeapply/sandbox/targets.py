"""From requests to bytes on sockets: which listener of which Envoy a client in the pod would reach. Pure.

An application's connection is caught and led to its sidecar's listener: HTTP to the one of the port, TCP and TLS
to the one of the service's address and port (ISTIO.md 1.4). Clients of a gateway connect to the gateway's port.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import assert_never

from safeapply.resources.objects import Document, Namespace
from safeapply.sandbox.bootstrap import role_of_pod
from safeapply.sandbox.controlplane.translation.services import cluster_ip
from safeapply.sandbox.names import proxy_name
from safeapply.sandbox.probes import Audience, BytesRequest, Probe, TlsRequest, fqdn
from safeapply.sandbox.samples import HttpRequest
from safeapply.sandbox.sockets import listener_socket
from safeapply.sandbox.traffic import Target

__all__ = ["addresses_of", "client_hello", "targets_of"]

GREETING = b"\x00safeapply\n"
"""Bytes that no HTTP server takes for a request; the backends send them back."""


def targets_of(
    probes: Sequence[Probe], *, pods: Iterable[Document], addresses: Mapping[str, str], run: Path, cluster: str = ""
) -> tuple[Target, ...]:
    """Return each probe on each proxy that has to serve it.

    Args:
        probes: what to ask for.
        pods: the pods of the mesh, those without an Envoy among them.
        addresses: the address of each host that has one.
        run: the directory of the Envoys' sockets.
        cluster: where the pods are.
    """
    return tuple(
        Target(
            proxy_name(cluster, pod["metadata"]["namespace"], pod["metadata"]["name"]),
            str(probe.request),
            _socket(probe, pod, addresses, run),
            _payload(probe),
            isinstance(probe.request, HttpRequest),
        )
        for pod in pods
        for probe in probes
        if _concerns(probe.audience, pod)
    )


def addresses_of(services: Iterable[Document], entries: Iterable[Document]) -> dict[str, str]:
    """Return the address of each Service and ServiceEntry host; headless ones have none."""
    found = dict(_entry_addresses(entries))
    for service in services:
        name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
        ip = (service.get("spec") or {}).get("clusterIP") or cluster_ip(namespace, name)
        found[fqdn(name, namespace)] = "" if ip == "None" else ip
    return found


def client_hello(host: str) -> bytes:
    """Return the first bytes of a TLS connection to a host; the SNI is in them."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    connection = context.wrap_bio(incoming, outgoing, server_hostname=host)
    try:
        connection.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake ended without a server")


def _concerns(audience: Audience, pod: Document) -> bool:
    role = role_of_pod(pod)
    if audience.selector is None:
        return role == "sidecar"
    labels = pod["metadata"].get("labels") or {}
    return role == "router" and set(audience.selector) <= set(labels.items())


def _socket(probe: Probe, pod: Document, addresses: Mapping[str, str], run: Path) -> Path:
    metadata, request = pod["metadata"], probe.request
    own_listener = probe.audience.selector is None and not isinstance(request, HttpRequest)
    address = addresses.get(request.host, "") if own_listener and not isinstance(request, HttpRequest) else ""
    return listener_socket(run, Namespace(metadata["namespace"]), metadata["name"], probe.port, address)


def _payload(probe: Probe) -> bytes:
    match probe.request:
        case HttpRequest():
            return probe.request.payload
        case TlsRequest():
            return client_hello(probe.request.host)
        case BytesRequest():
            return GREETING
        case never:
            assert_never(never)


def _entry_addresses(entries: Iterable[Document]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        addresses = [one for one in entry["spec"].get("addresses") or () if "/" not in one]
        for host in entry["spec"].get("hosts") or ():
            yield str(host).lower(), str(addresses[0]) if addresses else ""
