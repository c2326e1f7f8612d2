"""SDS: each proxy gets its own certificate, and the root that it believes, when it asks for them.

In Istio the agent beside each Envoy answers; here the replica does, on the socket that also serves ADS.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any, TypeAlias

import grpc
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import json_format

from safeapply.sandbox.authority import Authority
from safeapply.sandbox.controlplane.translation.metadata import Json
from safeapply.sandbox.names import ROOT_CERTIFICATE

__all__ = ["certificates"]

SERVICE = "envoy.service.secret.v3.SecretDiscoveryService"
METHOD = "StreamSecrets"
TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
ONLY_VERSION = "1"
Message: TypeAlias = Any


def certificates(authority: Authority) -> Message:
    """Return the handler of SDS streams, for a server of ``grpc.aio``."""

    async def serve(requests: AsyncIterator[Message], _: Message) -> AsyncIterator[Message]:
        node: Json = {}
        async for request in requests:
            if request.node.id:  # only the first request of a stream tells
                node = json_format.MessageToDict(request.node.metadata)
            if not request.response_nonce:  # else it confirms what it has, and nothing of that changes
                yield _answer(authority, node, request.resource_names)

    handler = grpc.stream_stream_rpc_method_handler(
        serve,
        request_deserializer=discovery_pb2.DiscoveryRequest.FromString,
        response_serializer=discovery_pb2.DiscoveryResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler})


def _answer(authority: Authority, node: Json, names: Iterable[str]) -> Message:
    answer = discovery_pb2.DiscoveryResponse(type_url=TYPE, version_info=ONLY_VERSION, nonce=ONLY_VERSION)
    for name in names:
        secret = json_format.ParseDict({"name": name, **_secret(authority, node, name)}, secret_pb2.Secret())
        answer.resources.add().Pack(secret)
    return answer


def _secret(authority: Authority, node: Json, name: str) -> Json:
    if name == ROOT_CERTIFICATE:
        return {"validation_context": {"trusted_ca": {"inline_string": authority.root}}}
    own = authority.credentials(node["NAMESPACE"], node["SERVICE_ACCOUNT"])
    shown = {"inline_string": own.certificate}
    return {"tls_certificate": {"certificate_chain": shown, "private_key": {"inline_string": own.key}}}
