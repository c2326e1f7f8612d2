"""Delta ADS on a unix socket: protobuf messages to ``sessions``' values and back (``grpc.aio``, ``xds-protos``)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import grpc
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_pb2

# Only imported so that protobuf can read these types inside google.protobuf.Any.
from envoy.extensions.filters.http.fault.v3 import fault_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.listener.original_dst.v3 import original_dst_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2
from envoy.extensions.transport_sockets.internal_upstream.v3 import internal_upstream_pb2
from envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import json_format

from safeapply.errors import SandboxError
from safeapply.sandbox.controlplane.sessions import Request, Response, Xds
from safeapply.sandbox.controlplane.translation.metadata import Json
from safeapply.sandbox.names import cluster_of_id, proxy_name

__all__ = ["AdsServer", "Connection", "Encoder", "Peer"]

Message: TypeAlias = Any
"""A message or object of grpc and protobuf, which have no types of their own."""

INSIDE_ANY = (
    fault_pb2, http_connection_manager_pb2, http_protocol_options_pb2, internal_upstream_pb2, original_dst_pb2,
    previous_hosts_pb2, raw_buffer_pb2, router_pb2, tcp_proxy_pb2, tls_inspector_pb2, tls_pb2,
)  # fmt: skip

MESSAGES: Mapping[Xds, Any] = {
    Xds.CDS: cluster_pb2.Cluster,
    Xds.EDS: endpoint_pb2.ClusterLoadAssignment,
    Xds.LDS: listener_pb2.Listener,
    Xds.RDS: route_pb2.RouteConfiguration,
}
SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
METHOD = "DeltaAggregatedResources"
OPTIONS = (("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1))
CACHED_FORMS = 8


@dataclass(frozen=True, slots=True)
class Peer:
    """Who has connected, from ``node.id`` and the node's metadata (ENVOY.md 7)."""

    role: str
    pod: str
    namespace: str
    labels: Mapping[str, str]
    cluster: str = ""
    """The cluster of the pod; empty for istiod's own."""
    ports: Mapping[str, int] = field(default_factory=dict)
    """The ports of the pod by name, as far as it knew them when it started; told by a proxy with certificates."""

    @property
    def proxy(self) -> str:
        """Its name, which no other proxy of the mesh has."""
        return proxy_name(self.cluster, self.namespace, self.pod)


class Connection(Protocol):
    """What the server needs of whoever serves a proxy."""

    def receive(self, request: Request) -> None:
        """Take a request in."""
        ...

    def closed(self) -> None:
        """Learn that the stream has ended."""
        ...


class Encoder:
    """Turns resources into messages, each form of each resource once for all proxies."""

    def __init__(self) -> None:
        self._known: dict[tuple[Xds, str], list[tuple[Json, Any]]] = {}

    def resource(self, kind: Xds, name: str, resource: Json) -> Message:
        """Return the ``Resource`` message; without a version, as istiod's (ISTIO.md 7.2)."""
        forms = self._known.setdefault((kind, name), [])
        for form, message in forms:
            if form is resource or form == resource:
                return message
        message = discovery_pb2.Resource(name=name)
        message.resource.Pack(json_format.ParseDict(resource, MESSAGES[kind]()))
        forms.insert(0, (resource, message))
        del forms[CACHED_FORMS:]
        return message

    def response(self, response: Response, version: str) -> Message:
        """Return the ``DeltaDiscoveryResponse`` message."""
        return discovery_pb2.DeltaDiscoveryResponse(
            type_url=response.type.value,
            nonce=response.nonce,
            system_version_info=version,
            resources=[self.resource(response.type, name, each) for name, each in response.resources.items()],
            removed_resources=response.removed,
        )


class AdsServer:
    """One replica's ADS server."""

    def __init__(
        self,
        socket: Path,
        connect: Callable[[Peer, Callable[[Any | None], None]], Connection | None],
        *beside: Message,
    ) -> None:
        """Serve on a socket.

        Args:
            socket: Where to listen.
            connect: Called with each new peer and a way to send it messages, None to end the stream; returns
                None to refuse it.
            beside: Handlers of other services on the same socket.
        """
        self._socket = socket
        self._connect = connect
        self._beside = beside
        self._server: Any = None

    async def start(self) -> None:
        """Listen.

        Raises:
            SandboxError: the socket cannot be opened.
        """
        server = grpc.aio.server(options=OPTIONS)
        handler = grpc.stream_stream_rpc_method_handler(
            self._serve,
            request_deserializer=discovery_pb2.DeltaDiscoveryRequest.FromString,
            response_serializer=discovery_pb2.DeltaDiscoveryResponse.SerializeToString,
        )
        own = grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler})
        server.add_generic_rpc_handlers((own, *self._beside))
        try:
            server.add_insecure_port(f"unix:{self._socket}")
            await server.start()
        except RuntimeError as error:
            raise SandboxError(f"the control plane cannot listen on {self._socket}: {error}") from error
        self._server = server

    async def stop(self) -> None:
        """End all streams and close the socket."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None
            self._socket.unlink(missing_ok=True)

    async def _serve(self, requests: AsyncIterator[Message], context: Message) -> AsyncIterator[Message]:
        first = await anext(requests, None)
        if first is None:
            return
        outbox: asyncio.Queue[Message] = asyncio.Queue()
        connection = self._connect(_peer(first.node), outbox.put_nowait)
        if connection is None:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "this proxy is refused")
            return
        reading = asyncio.create_task(_read(first, requests, connection, outbox))
        try:
            while (message := await outbox.get()) is not None:
                yield message
        finally:
            reading.cancel()
            connection.closed()


async def _read(
    first: Message, requests: AsyncIterator[Message], connection: Connection, outbox: asyncio.Queue[Message]
) -> None:
    """Hand over every request; the end of them, however it comes, is the end of the stream."""
    try:
        message = first
        while message is not None:
            _hand_over(message, connection)
            message = await anext(requests, None)
    finally:
        outbox.put_nowait(None)


def _hand_over(message: Message, connection: Connection) -> None:
    if message.type_url in {each.value for each in Xds}:
        connection.receive(
            Request(
                type=Xds(message.type_url),
                subscribe=tuple(message.resource_names_subscribe),
                unsubscribe=tuple(message.resource_names_unsubscribe),
                known=tuple(message.initial_resource_versions),
                nonce=message.response_nonce,
                refusal=message.error_detail.message,
            )
        )


def _peer(node: Message) -> Peer:
    role, _, identity, _ = node.id.split("~")
    pod, _, namespace = identity.rpartition(".")
    metadata = json_format.MessageToDict(node.metadata)
    labels = metadata.get("LABELS") or {}
    cluster = cluster_of_id(str(metadata.get("CLUSTER_ID") or ""))
    ports = {str(one["name"]): int(one["containerPort"]) for one in json.loads(metadata.get("POD_PORTS") or "[]")}
    return Peer(role, pod, namespace, {str(key): str(value) for key, value in labels.items()}, cluster, ports)
