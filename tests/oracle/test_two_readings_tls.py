"""Mutual TLS, read twice apart: the product's handshakes against what the embedded control plane sends.

One service with two kinds of pods, clients of three namespaces, and the policies and rules between them.
What the control plane makes is read as a proxy's answer would be, so this is about that reader, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import hypothesis.strategies as st
from hypothesis import given, settings

from safeapply.istio.declarations import declare
from safeapply.istio.handshakes import Handshakes
from safeapply.istio.mesh_settings import MeshSettings
from safeapply.istio.proxies import ProxyClass, Role
from safeapply.istio.snapshot import snapshot_of
from safeapply.istio.view import Views
from safeapply.resources.objects import Namespace, Resource, ResourceId
from safeapply.sandbox.controlplane.snapshots import Snapshot
from safeapply.sandbox.controlplane.translation.configuration import Configuration, Translation
from safeapply.xds.names import ClusterName, Host, outbound_cluster
from safeapply.xds.sockets import Security, inbound, marks, sockets
from tests.plans.test_mtls_properties import rules, worlds
from tests.plans.tls_oracle import CLIENTS, HOST, PORTS, SERVERS, SERVICE, Mesh, Spec

Met: TypeAlias = Mapping[tuple[str, int, str, str], tuple[str, str]]
"""By client namespace, port, subset and version of the server: what is sent, and what is accepted."""
GROUPS = {"PeerAuthentication": "security.istio.io", "DestinationRule": "networking.istio.io"}
NOTHING: Mapping[str, Any] = {}


@st.composite
def meshes(draw: st.DrawFn) -> Mesh:
    """Draw a mesh, its rules with subsets that have policies of their own or none."""
    live, _ = draw(worlds())
    return {name: _with_subset(draw, spec) if "host" in (spec or {}) else spec for name, spec in live.items()}


def _with_subset(draw: st.DrawFn, spec: Spec | None) -> Spec:
    policy = (draw(rules()) or {}).get("trafficPolicy")
    subset = {"name": "v1", "labels": {"version": "v1"}, **({"trafficPolicy": policy} if policy else {})}
    return {**(spec or {}), "subsets": [subset]}


@settings(max_examples=200, deadline=None)
@given(meshes())
def test_handshakes_say_what_the_control_plane_sends(mesh: Mesh) -> None:
    """For every client, port, subset and pod: what is sent and what is accepted, read in both ways."""
    objects = tuple(_objects(mesh))
    assert by_handshakes(objects) == by_translation(objects)


def by_handshakes(objects: tuple[Resource, ...]) -> Met:
    """Return what the product's evaluator says."""
    mesh = MeshSettings()
    seen = {one.id: (declare(one, created=one.created, mesh=mesh),) for one in objects}
    shakes = Handshakes(Views(snapshot_of(seen, mesh)))
    found: dict[tuple[str, int, str, str], tuple[str, str]] = {}
    for space in CLIENTS:
        for shake in shakes.of(ProxyClass(Role.SIDECAR, Namespace(space)), Host(HOST)):
            if shake.sendings:
                (sending,), (accepted,) = shake.sendings, shake.accepted
                version = _version(dict(shake.server.labels.pairs), shake.subset)
                for one in version:
                    found[space, shake.port, shake.subset, one] = (sending.sent.value, accepted.mode.value)
    return found


def _version(labels: Mapping[str, str], subset: str) -> tuple[str, ...]:
    """Return the pods that a server stands for: all that a subset leaves, where no policy reads their labels."""
    known = (labels["version"],) if "version" in labels else SERVERS
    return tuple(one for one in known if subset in {"", one})


def by_translation(objects: tuple[Resource, ...]) -> Met:
    """Return what proxies would show of what the control plane makes."""
    translation = Translation(Snapshot({one.id: one.document for one in objects}), mutual_tls=True)
    servers = {
        one: translation.configuration("sidecar", SERVICE, {"app": "web", "version": one}, _named_ports())
        for one in SERVERS
    }
    found: dict[tuple[str, int, str, str], tuple[str, str]] = {}
    for space in CLIENTS:
        client = translation.configuration("sidecar", space, {}, NOTHING)
        for port, target in PORTS.items():
            for subset, one in ((subset, one) for subset in ("", "v1") for one in SERVERS if subset in {"", one}):
                name = outbound_cluster(Host(HOST), port, subset)
                if name in client.clusters:
                    shown = _security(client, servers[one])
                    (sent,) = _sent(shown, client, name, one)
                    mode = shown.inbound.mode(target) if shown.inbound else None
                    found[space, port, subset, one] = (sent, mode.value if mode else "")
    return found


def _sent(shown: Security, client: Configuration, name: ClusterName, version: str) -> set[str]:
    (locality,) = client.endpoints[name]["endpoints"]
    address = f"../../b/{_address(version)}_"
    own = [
        one for one in locality["lb_endpoints"] if one["endpoint"]["address"]["pipe"]["path"].startswith(address)
    ]
    alone = {"cluster_name": name, "endpoints": [{"lb_endpoints": own}]}
    only = marks(200, _answer({"endpoint_config": alone}))
    return {sent.value for sent in Security(shown.sockets, only).sent(name)}


def _security(client: Configuration, server: Configuration) -> Security:
    active = [{"cluster": one} for one in client.clusters.values()]
    listener = {"name": "virtualInbound", "active_state": {"listener": server.listeners["virtualInbound"]}}
    return Security(sockets(200, _answer({"dynamic_active_clusters": active})), {}, inbound(200, _answer(listener)))


def _answer(config: Any) -> bytes:
    return json.dumps({"configs": [config]}).encode()


def _objects(mesh: Mesh) -> Iterator[Resource]:
    ports = [{"name": f"http-{port}", "port": port, "targetPort": target} for port, target in PORTS.items()]
    space = Namespace(SERVICE)
    yield _resource(ResourceId("", "Service", space, "web"), {"selector": {"app": "web"}, "ports": ports})
    for one in SERVERS:
        spec = {"containers": [{"name": "app"}, {"name": "istio-proxy", "args": ["proxy", "sidecar"]}]}
        ready = {"podIP": _address(one), "conditions": [{"type": "Ready", "status": "True"}]}
        labels = {"app": "web", "version": one, "security.istio.io/tlsMode": "istio"}
        yield _resource(ResourceId("", "Pod", space, one), spec, labels, ready)
    for name, body in mesh.items():
        if body is not None:
            kind, namespace, short = name.split("/")
            yield _resource(ResourceId(GROUPS[kind], kind, Namespace(namespace), short), body)


def _resource(one: ResourceId, spec: Spec, labels: Spec = NOTHING, status: Spec = NOTHING) -> Resource:
    metadata = {"name": one.name, "namespace": one.namespace, "labels": dict(labels)}
    version = f"{one.group}/v1" if one.group else "v1"
    return Resource(
        one, {"apiVersion": version, "kind": one.kind, "metadata": metadata, "spec": spec, "status": status}
    )


def _address(version: str) -> str:
    return f"10.1.0.{SERVERS.index(version) + 1}"


def _named_ports() -> Mapping[str, int]:
    return {str(target): target for target in PORTS.values()}
