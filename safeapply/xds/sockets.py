"""By which transport sockets an Envoy opens connections, and which ones it takes: mutual TLS as Envoy shows it.

Outbound: a cluster has one socket, or a list of which each endpoint picks the first that its marks match (automatic
mTLS, ISTIO.md 6.2), in Envoy's own order: ``config.cluster.v3.Cluster.transport_socket_matches``. Inbound: the
filter chains of one listener, by port, with and without TLS (ISTIO.md 6.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from safeapply.istio.tls import Mode, Sent
from safeapply.xds.configdump import Dump, UnreadableError, decoded
from safeapply.xds.names import INBOUND_LISTENER, ClusterName

__all__ = ["Inbound", "Marks", "Security", "Sockets", "inbound", "marks", "sockets"]

Marks = frozenset[tuple[str, str]]
"""What an endpoint says of itself for the choice of a socket."""

TLS_MODE = "tlsMode"
TLS_SOCKET = "envoy.transport_sockets.tls"
RAW_BUFFER = "envoy.transport_sockets.raw_buffer"
ISTIO = "istio"
"""The application protocol that only the mesh's own mTLS offers."""
TLS = "tls"


@dataclass(frozen=True, slots=True)
class Sockets:
    """The sockets of one cluster."""

    by_marks: tuple[tuple[Marks, Sent | None], ...]
    """None for a tunnel, which whoever asks for one takes."""
    otherwise: Sent | None

    @property
    def automatic(self) -> bool:
        """Whether each endpoint says for itself if it gets mTLS."""
        return any(key == TLS_MODE for wanted, _ in self.by_marks for key, _ in wanted)

    def sent(self, endpoint: Marks) -> Sent | None:
        """Return what a connection to an endpoint with these marks begins with."""
        return next((sent for wanted, sent in self.by_marks if wanted <= endpoint), self.otherwise)


@dataclass(frozen=True, slots=True)
class Inbound:
    """What the inbound listener takes."""

    modes: Mapping[int | None, Mode]
    """By the port of the workload; None for every other port."""
    warming: bool
    """Whether a newer copy is not in use yet."""

    def mode(self, port: int) -> Mode | None:
        """Return what is taken on a port."""
        return self.modes.get(port, self.modes.get(None))


@dataclass(frozen=True, slots=True)
class Security:
    """What one Envoy shows of its mutual TLS, as far as it was asked."""

    sockets: Mapping[ClusterName, Sockets]
    marks: Mapping[ClusterName, frozenset[Marks]]
    inbound: Inbound | None = None

    def sent(self, cluster: ClusterName) -> frozenset[Sent]:
        """Return what connections through an active cluster begin with; nothing where it has no endpoint to ask."""
        shown = self.sockets[cluster]
        endpoints = self.marks.get(cluster, frozenset())
        if not shown.by_marks:
            endpoints = frozenset({frozenset()})
        return frozenset(sent for one in endpoints if (sent := shown.sent(one)) is not None)


class _CommonTls(msgspec.Struct):
    alpn_protocols: list[str] = []


class _Context(msgspec.Struct):
    common_tls_context: _CommonTls = msgspec.field(default_factory=_CommonTls)


class _Socket(msgspec.Struct):
    name: str = RAW_BUFFER
    typed_config: _Context = msgspec.field(default_factory=_Context)


class _Choice(msgspec.Struct):
    match: dict[str, object] = {}
    transport_socket: _Socket = msgspec.field(default_factory=_Socket)


class _Cluster(msgspec.Struct):
    name: str = ""
    transport_socket: _Socket = msgspec.field(default_factory=_Socket)
    transport_socket_matches: list[_Choice] = []


class _DynamicCluster(msgspec.Struct):
    cluster: _Cluster = msgspec.field(default_factory=_Cluster)


class _ClustersDump(msgspec.Struct):
    dynamic_active_clusters: list[_DynamicCluster] = []


class _FilterMetadata(msgspec.Struct):
    matched: dict[str, object] = msgspec.field(name="envoy.transport_socket_match", default_factory=dict)


class _Metadata(msgspec.Struct):
    filter_metadata: _FilterMetadata = msgspec.field(default_factory=_FilterMetadata)


class _Endpoint(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


class _Locality(msgspec.Struct):
    lb_endpoints: list[_Endpoint] = []


class _Assignment(msgspec.Struct):
    cluster_name: str = ""
    endpoints: list[_Locality] = []


class _DynamicEndpoints(msgspec.Struct):
    endpoint_config: _Assignment = msgspec.field(default_factory=_Assignment)


class _Match(msgspec.Struct):
    destination_port: int | None = None
    transport_protocol: str = ""


class _Chain(msgspec.Struct):
    filter_chain_match: _Match = msgspec.field(default_factory=_Match)
    transport_socket: _Socket | None = None


class _Listener(msgspec.Struct):
    filter_chains: list[_Chain] = []


class _State(msgspec.Struct):
    listener: _Listener = msgspec.field(default_factory=_Listener)


class _DynamicListener(msgspec.Struct):
    name: str = ""
    active_state: _State | None = None
    warming_state: _State | None = None


def sockets(status: int, body: bytes) -> Mapping[ClusterName, Sockets]:
    """Return the sockets of the active clusters in an answer to ``cluster_question``.

    Raises:
        UnreadableError: the answer proves nothing.
    """
    found = decoded(status, body, Dump[_ClustersDump]).configs
    return {
        ClusterName(one.cluster.name): Sockets(
            tuple((_marks(c.match), _sent(c.transport_socket)) for c in one.cluster.transport_socket_matches),
            _sent(one.cluster.transport_socket),
        )
        for dump in found
        for one in dump.dynamic_active_clusters
    }


def marks(status: int, body: bytes) -> Mapping[ClusterName, frozenset[Marks]]:
    """Return the marks of the endpoints of each cluster in an answer to ``endpoint_question``.

    Raises:
        UnreadableError: the answer proves nothing.
    """
    found = decoded(status, body, Dump[_DynamicEndpoints]).configs
    return {
        ClusterName(one.endpoint_config.cluster_name): frozenset(
            _marks(endpoint.metadata.filter_metadata.matched)
            for locality in one.endpoint_config.endpoints
            for endpoint in locality.lb_endpoints
        )
        for one in found
    }


def inbound(status: int, body: bytes) -> Inbound:
    """Return what the inbound listener takes, from an answer to ``INBOUND``.

    Raises:
        UnreadableError: the answer proves nothing, because the listener is not in it.
    """
    for one in decoded(status, body, Dump[_DynamicListener]).configs:
        if one.name == INBOUND_LISTENER and one.active_state is not None:
            chains = one.active_state.listener.filter_chains
            ports = {chain.filter_chain_match.destination_port for chain in chains}
            return Inbound({port: _mode(chains, port) for port in ports}, one.warming_state is not None)
    raise UnreadableError(f"the answer lacks the listener {INBOUND_LISTENER}: this Envoy has no configuration yet")


def _mode(chains: list[_Chain], port: int | None) -> Mode:
    own = [chain for chain in chains if chain.filter_chain_match.destination_port == port]
    mutual = any(chain.transport_socket is not None for chain in own)
    # What is TLS on the wire and is not ended here is for the application.
    plain = any(c.transport_socket is None and c.filter_chain_match.transport_protocol != TLS for c in own)
    if mutual:
        return Mode.PERMISSIVE if plain else Mode.STRICT
    return Mode.DISABLE


def _marks(match: Mapping[str, object]) -> Marks:
    return frozenset((key, str(value)) for key, value in match.items())


def _sent(socket: _Socket) -> Sent | None:
    if socket.name == RAW_BUFFER:
        return Sent.PLAINTEXT
    if socket.name != TLS_SOCKET:
        return None
    return Sent.MTLS if ISTIO in socket.typed_config.common_tls_context.alpn_protocols else Sent.OWN_TLS
