"""What an Envoy's answers say, decoded into types and nothing more.

An empty answer is not "absent": an answer without the control cluster, of another status than 200, or that is
not JSON (ENVOY.md 7) raises ``UnreadableError``, and an unreadable proxy is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

import msgspec

from safeapply.xds.names import CONTROL_CLUSTER, ClusterName

__all__ = [
    "OK",
    "Clusters",
    "Dump",
    "UnreadableError",
    "changes",
    "check_live",
    "clusters",
    "decoded",
    "endpoints",
    "listener_version",
    "quoted",
    "times",
]

OK = 200
LARGE = 1024**2
DENSEST = 16
"""Bytes for each value of an answer that is large: Envoy writes 33 or more (measured, with 5,000 clusters). Once
read, a value takes some 70 bytes, also where it was two of the answer."""
MOST = 50_000
"""Clusters, listeners or route configurations of one answer, each of which may be remembered by a barrier."""
SHOWN = 80
"""Characters of a strange answer that are quoted to the operator."""


class UnreadableError(Exception):
    """An answer that proves nothing, and why."""


@dataclass(frozen=True, slots=True)
class Clusters:
    """Which of the clusters that were asked for are there."""

    active: frozenset[ClusterName]
    warming: frozenset[ClusterName]
    """A newer copy may be warming beside an active one; then the active one is the old one (ENVOY.md 2)."""


class _Cluster(msgspec.Struct):
    name: str = ""


class _DynamicCluster(msgspec.Struct):
    cluster: _Cluster = msgspec.field(default_factory=_Cluster)


class _ClustersDump(msgspec.Struct):
    dynamic_active_clusters: list[_DynamicCluster] = []
    dynamic_warming_clusters: list[_DynamicCluster] = []


class _Endpoint(msgspec.Struct):
    health_status: str = "UNKNOWN"


class _Locality(msgspec.Struct):
    lb_endpoints: list[_Endpoint] = []


class _Assignment(msgspec.Struct):
    cluster_name: str = ""
    endpoints: list[_Locality] = []


class _DynamicEndpoints(msgspec.Struct):
    endpoint_config: _Assignment = msgspec.field(default_factory=_Assignment)


class _State(msgspec.Struct):
    last_updated: str = ""


class _Named(msgspec.Struct):
    name: str = ""


class _Change(msgspec.Struct):
    name: str = ""
    route_config: _Named | None = None
    last_updated: str = ""
    active_state: _State | None = None
    warming_state: _State | None = None
    draining_state: _State | None = None


class _Versioned(msgspec.Struct):
    type_url: str = msgspec.field(name="@type", default="")
    version_info: str = ""


T = TypeVar("T")


class Dump(msgspec.Struct, Generic[T]):
    """The frame of every answer; an empty one lacks even the list."""

    configs: Annotated[list[T], msgspec.Meta(max_length=MOST)] = []


def clusters(status: int, body: bytes) -> Clusters:
    """Return the active and the warming clusters of an answer.

    Raises:
        UnreadableError: the answer proves nothing, because it does not even hold the control cluster.
    """
    found = decoded(status, body, Dump[_ClustersDump]).configs
    active = frozenset(ClusterName(e.cluster.name) for dump in found for e in dump.dynamic_active_clusters)
    warming = frozenset(ClusterName(e.cluster.name) for dump in found for e in dump.dynamic_warming_clusters)
    if CONTROL_CLUSTER not in active:
        raise UnreadableError(f"the answer lacks {CONTROL_CLUSTER}: this Envoy has no configuration yet")
    return Clusters(active, warming)


def check_live(body: bytes) -> None:
    """Let an answer to ``READY`` pass that says that the Envoy has had its first whole configuration.

    Raises:
        UnreadableError: it has not, so what is not there proves nothing.
    """
    state = body.strip()
    if state not in {b"LIVE", b"DRAINING"}:
        raise UnreadableError(f"this Envoy has not had its first whole configuration yet: {quoted(body)}")


def endpoints(status: int, body: bytes) -> Mapping[ClusterName, int]:
    """Return the number of healthy endpoints of each cluster in an answer.

    Raises:
        UnreadableError: the answer proves nothing.
    """
    found = decoded(status, body, Dump[_DynamicEndpoints]).configs
    return {
        ClusterName(one.endpoint_config.cluster_name): sum(
            endpoint.health_status == "HEALTHY"
            for locality in one.endpoint_config.endpoints
            for endpoint in locality.lb_endpoints
        )
        for one in found
    }


def changes(status: int, body: bytes) -> Mapping[str, tuple[str, ...]]:
    """Return when each route configuration or listener was last updated, in each of its states.

    Raises:
        UnreadableError: the answer proves nothing.
    """
    found = decoded(status, body, Dump[_Change]).configs
    return {
        one.route_config.name if one.route_config else one.name: (
            one.last_updated,
            *(state.last_updated if state else "" for state in _states(one)),
        )
        for one in found
    }


def times(status: int, body: bytes) -> Sequence[str]:
    """Return when route configurations were last updated, sorted.

    Raises:
        UnreadableError: the answer proves nothing.
    """
    return sorted(one.last_updated for one in decoded(status, body, Dump[_Change]).configs)


def listener_version(status: int, body: bytes) -> str:
    """Return the version of the last update of the listeners; empty where the Envoy does not say.

    Raises:
        UnreadableError: the answer proves nothing.
    """
    found = decoded(status, body, Dump[_Versioned]).configs
    return next((one.version_info for one in found if one.type_url.endswith(".ListenersConfigDump")), "")


def _states(one: _Change) -> tuple[_State | None, ...]:
    return (one.active_state, one.warming_state, one.draining_state)


def decoded(status: int, body: bytes, form: type[T]) -> T:
    """Return an answer in this form; what the form does not name is skipped unread.

    Raises:
        UnreadableError: it has another status than 200, is no JSON of this form, or would be too much.
    """
    if status != OK:
        raise UnreadableError(f"the admin port answered {status}: {quoted(body)}")
    if len(body) > LARGE and sum(map(body.count, (b"{", b"[", b","))) > len(body) // DENSEST:
        raise UnreadableError("the admin port answered with more values than the config dump of any Envoy has")
    try:
        return msgspec.json.decode(body, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(f"the admin port answered what is not a config dump: {quoted(body)}") from error


def quoted(body: bytes) -> str:
    """Return the first words of a strange answer, for a message."""
    text = body.decode(errors="replace").strip()
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")
