"""The whole configuration of one proxy from one snapshot. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from safeapply.sandbox.controlplane.snapshots import Snapshot
from safeapply.sandbox.controlplane.translation.clusters import assignments, clusters
from safeapply.sandbox.controlplane.translation.gateway_listeners import gateway_listeners
from safeapply.sandbox.controlplane.translation.gateway_routes import gateway_routes
from safeapply.sandbox.controlplane.translation.gateways import servers_of
from safeapply.sandbox.controlplane.translation.inbound import inbound_clusters, inbound_listeners
from safeapply.sandbox.controlplane.translation.metadata import Json
from safeapply.sandbox.controlplane.translation.scope import scope_of
from safeapply.sandbox.controlplane.translation.sidecar_listeners import sidecar_listeners
from safeapply.sandbox.controlplane.translation.sidecar_routes import sidecar_routes
from safeapply.sandbox.controlplane.translation.world import Node, World

__all__ = ["Configuration", "Translation"]


@dataclass(frozen=True, slots=True, eq=False)
class Configuration:
    """Everything that a proxy gets, by name, in protobuf's JSON form."""

    clusters: Mapping[str, Json]
    endpoints: Mapping[str, Json]
    listeners: Mapping[str, Json]
    routes: Mapping[str, Json]


class Translation:
    """The configurations that one snapshot stands for; proxies of one class share theirs."""

    def __init__(self, snapshot: Snapshot, *, mutual_tls: bool = False) -> None:
        self._world = World(snapshot, mutual_tls=mutual_tls)
        self._made: dict[Node, Configuration] = {}

    def configuration(
        self, role: str, namespace: str, labels: Mapping[str, str], ports: Mapping[str, int] | None = None
    ) -> Configuration:
        """Return the configuration of a ``sidecar`` or ``router`` in a namespace, by its pod's labels and ports."""
        node = self._world.node(role, namespace, labels, ports or {})
        if node not in self._made:
            self._made[node] = _translate(self._world, node)
        return self._made[node]


def _translate(world: World, node: Node) -> Configuration:
    scope = scope_of(world, node)
    services = [each for each in scope.services.values() if not each.alias]
    own = clusters(world, node, services) | inbound_clusters(world, node)
    if node.role == "sidecar":
        listeners = sidecar_listeners(scope, node) | inbound_listeners(world, node)
        routes = sidecar_routes(scope, node)
    else:
        servers = servers_of(world.gateways, dict(node.labels))
        listeners = gateway_listeners(world, scope, node, servers)
        routes = gateway_routes(world, scope, node, servers)
    return Configuration(own, assignments(world, node, services), listeners, routes)
