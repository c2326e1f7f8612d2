"""What an Envoy's answers say, decoded into types and nothing more.

An empty answer is not "absent": an answer without the control cluster, of another status than 200, or that is
not JSON (ENVOY.md 7) raises ``UnreadableError``, and an unreadable proxy is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from safeapply.xds.names import CONTROL_CLUSTER, ClusterName

__all__ = [
    "Clusters",
    "Listeners",
    "RouteConfig",
    "UnreadableError",
    "changes",
    "clusters",
    "endpoints",
    "listeners",
    "route_configs",
]

OK = 200
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


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """The clusters that one route configuration names."""

    name: str
    last_updated: str
    virtual_hosts: tuple[tuple[frozenset[str], frozenset[ClusterName]], ...]
    """For each virtual host its domains and the clusters of its routes and mirrors."""

    @property
    def references(self) -> frozenset[ClusterName]:
        """Every cluster that is named."""
        return frozenset(name for _, names in self.virtual_hosts for name in names)


@dataclass(frozen=True, slots=True)
class Listeners:
    """The clusters that listeners name, and the route configurations that they want."""

    references: Mapping[ClusterName, str]
    """For each cluster a listener that names it, with its state where it is not the active one."""
    route_configs: frozenset[str]


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


class _VirtualHost(msgspec.Struct):
    domains: list[str] = []
    routes: list[Any] = []
    request_mirror_policies: list[Any] = []


class _RouteConfiguration(msgspec.Struct):
    name: str = ""
    virtual_hosts: list[_VirtualHost] = []
    request_mirror_policies: list[Any] = []


class _DynamicRouteConfig(msgspec.Struct):
    route_config: _RouteConfiguration = msgspec.field(default_factory=_RouteConfiguration)
    last_updated: str = ""


T = TypeVar("T")


class _Dump(msgspec.Struct, Generic[T]):
    configs: list[T] = []


def clusters(status: int, body: bytes) -> Clusters:
    """Return the active and the warming clusters of an answer.

    Raises:
        UnreadableError: the answer proves nothing, because it does not even hold the control cluster.
    """
    found = _decoded(status, body, _Dump[_ClustersDump]).configs
    active = frozenset(ClusterName(e.cluster.name) for dump in found for e in dump.dynamic_active_clusters)
    warming = frozenset(ClusterName(e.cluster.name) for dump in found for e in dump.dynamic_warming_clusters)
    if CONTROL_CLUSTER not in active:
        raise UnreadableError(f"the answer lacks {CONTROL_CLUSTER}: this Envoy has no configuration yet")
    return Clusters(active, warming)


def endpoints(status: int, body: bytes) -> Mapping[ClusterName, int]:
    """Return the number of healthy endpoints of each cluster in an answer.

    Raises:
        UnreadableError: the answer proves nothing.
    """
    found = _decoded(status, body, _Dump[_DynamicEndpoints]).configs
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
    found = _decoded(status, body, _Dump[_Change]).configs
    return {
        one.route_config.name if one.route_config else one.name: (
            one.last_updated,
            *(state.last_updated if state else "" for state in _states(one)),
        )
        for one in found
    }


def route_configs(status: int, body: bytes) -> tuple[RouteConfig, ...]:
    """Return the route configurations of an answer.

    Raises:
        UnreadableError: the answer proves nothing.
    """
    found = _decoded(status, body, _Dump[_DynamicRouteConfig]).configs
    return tuple(
        RouteConfig(
            name=one.route_config.name,
            last_updated=one.last_updated,
            virtual_hosts=(
                *(
                    (frozenset(host.domains), frozenset(_named([host.routes, host.request_mirror_policies])))
                    for host in one.route_config.virtual_hosts
                ),
                (frozenset(), frozenset(_named(one.route_config.request_mirror_policies))),
            ),
        )
        for one in found
    )


def listeners(status: int, body: bytes) -> Listeners:
    """Return what all listeners of an answer name, in whatever state they are.

    Raises:
        UnreadableError: the answer proves nothing.
    """
    references: dict[ClusterName, str] = {}
    wanted: set[str] = set()
    for one in _decoded(status, body, _Dump[dict[str, Any]]).configs:
        for state in ("active_state", "warming_state", "draining_state"):
            words = "" if state == "active_state" else f" ({state.removesuffix('_state')})"
            for name in _named(one.get(state)):
                references.setdefault(name, f"{one.get('name', '')}{words}")
            if state != "draining_state":
                wanted.update(_values(one.get(state), "route_config_name"))
    return Listeners(references, frozenset(wanted))


def _states(one: _Change) -> tuple[_State | None, ...]:
    return (one.active_state, one.warming_state, one.draining_state)


def _decoded(status: int, body: bytes, form: type[T]) -> T:
    if status != OK:
        raise UnreadableError(f"the admin port answered {status}: {_quoted(body)}")
    try:
        return msgspec.json.decode(body, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableError(f"the admin port answered what is not a config dump: {_quoted(body)}") from error


def _quoted(body: bytes) -> str:
    text = body.decode(errors="replace").strip()
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")


def _named(node: Any) -> Iterator[ClusterName]:  # noqa: ANN401  any JSON
    """Yield every cluster that some JSON names: in routes, weights, mirrors, TCP proxies and filters."""
    if isinstance(node, list):
        for item in node:
            yield from _named(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in {"cluster", "cluster_name"} and isinstance(value, str):
                yield ClusterName(value)
            elif key == "weighted_clusters":
                yield from (ClusterName(one["name"]) for one in value.get("clusters") or () if "name" in one)
            yield from _named(value)


def _values(node: Any, wanted: str) -> Iterator[str]:  # noqa: ANN401  any JSON
    if isinstance(node, list):
        for item in node:
            yield from _values(item, wanted)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == wanted and isinstance(value, str):
                yield value
            yield from _values(value, wanted)
