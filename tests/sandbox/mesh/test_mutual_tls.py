"""Mutual TLS on real Envoys: who gets a sidecar, who is let in, and that no key is left anywhere."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from safeapply.resources.objects import Namespace
from safeapply.sandbox.mesh import Mesh, Scene
from safeapply.sandbox.sockets import backend_socket, listener_socket
from tests.sandbox.controlplane.lab import dump

HOSTS = ("web", "rpc", "db", "bare")
HOST = re.compile("|".join(HOSTS))
REQUEST = b"GET / HTTP/1.1\r\nhost: web\r\n\r\n"
LIVE = """
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: default},
 spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: rpc, namespace: default},
 spec: {selector: {app: rpc}, ports: [{name: grpc, port: 81}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: db, namespace: default},
 spec: {selector: {app: db}, ports: [{name: tcp, port: 3306}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: bare, namespace: default},
 spec: {selector: {app: bare}, ports: [{name: http, port: 82}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: bare, namespace: default,
 labels: {app: bare, sidecar.istio.io/inject: "false"}}, spec: {containers: [{name: app, image: app}]}}
---
{apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: {name: default, namespace: default},
 spec: {mtls: {mode: %s}}}
"""


def scene(mode: str, *more: dict[str, Any]) -> Scene:
    """Return a mesh with mutual TLS of which every port is of one mode."""
    return Scene(live=[*yaml.safe_load_all(LIVE % mode), *more], proxies=1, mutual_tls=True)


def rule(host: str, mode: str) -> dict[str, Any]:
    """Return a DestinationRule that says what clients of a host send."""
    spec = {"host": host, "trafficPolicy": {"tls": {"mode": mode}}}
    metadata = {"name": host, "namespace": "default"}
    return {"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": metadata, "spec": spec}


async def served(mesh: Mesh, proxy: str = "client-1.default") -> dict[str, bool]:
    """Return for each host whether a client reaches it."""
    found = {}
    for target in mesh.targets():
        if target.proxy == proxy:
            said = await answer(target.socket, target.payload)
            found[HOST.findall(target.request)[0]] = said.startswith((b"HTTP/1.1 200", target.payload[:12]))
    return found


async def answer(socket: Path, payload: bytes) -> bytes:
    """Return the first bytes that come back, nothing where the connection is closed instead."""
    reader, writer = await asyncio.open_unix_connection(socket)
    try:
        writer.write(payload)
        return await reader.read(12)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_every_pod_gets_a_sidecar_unless_it_says_otherwise() -> None:
    """As by Istio's injector; in a mesh without mutual TLS only clients have one."""
    async with Mesh(scene("STRICT")) as mesh:
        assert set(mesh.proxies) == {f"{name}.default" for name in ("client-1", "web-0", "rpc-0", "db-0")}
    async with Mesh(replace(scene("STRICT"), mutual_tls=False)) as mesh:
        assert set(mesh.proxies) == {"client-1.default"}


@pytest.mark.parametrize("mode", ["PERMISSIVE", "STRICT", "DISABLE"])
async def test_automatic_mtls_reaches_everybody(mode: str) -> None:
    """HTTP, HTTP/2 and TCP, with a sidecar and without; clients follow what servers accept (ISTIO.md 6.2)."""
    async with Mesh(scene(mode)) as mesh:
        assert await served(mesh) == dict.fromkeys(HOSTS, True)


@pytest.mark.parametrize(
    ("server", "client", "reached"),
    [
        ("STRICT", "DISABLE", False),
        ("PERMISSIVE", "DISABLE", True),
        ("DISABLE", "ISTIO_MUTUAL", False),
        ("PERMISSIVE", "ISTIO_MUTUAL", True),
        ("STRICT", "SIMPLE", False),
        ("PERMISSIVE", "SIMPLE", False),
    ],
)
async def test_what_does_not_fit_is_refused(server: str, client: str, reached: bool) -> None:  # noqa: FBT001
    """ISTIO.md 6.4: what the client's rule says against what the server's policy accepts."""
    rules = [rule(host, client) for host in ("web", "rpc", "db")]
    async with Mesh(scene(server, *rules)) as mesh:
        assert await served(mesh) == dict.fromkeys(HOSTS, reached) | {"bare": True}


async def test_who_has_no_certificate_is_not_let_in() -> None:
    """At the very door of a STRICT pod: plaintext is cut off."""
    async with Mesh(scene("STRICT")) as mesh:
        (pod,) = (one for one in mesh.pods() if one["metadata"]["name"] == "web-0")
        door = backend_socket(mesh.run, pod["status"]["podIP"], 8080)
        assert await answer(door, REQUEST) == b""


async def test_no_private_key_is_written_anywhere() -> None:
    """Certificates travel by SDS: no file of the run holds a key, and no Envoy shows one."""
    async with Mesh(scene("STRICT")) as mesh:
        files = [path for path in mesh.run.rglob("*") if path.is_file()]
        assert any(path.name == "bootstrap.json" for path in files)
        assert not [path for path in files if b"PRIVATE KEY" in path.read_bytes()]
        shown = json.dumps([await dump(envoy, "include_eds") for envoy in mesh.envoys.running])
        assert "spiffe://cluster.local/ns/default/" in shown
        assert "PRIVATE KEY" not in shown


async def test_a_pod_that_comes_later_is_reached_by_its_sidecar() -> None:
    """A pod dies, and one like it takes its place: new sockets, the same certificate, and requests arrive."""
    async with Mesh(scene("STRICT")) as mesh:
        (pod,) = (one for one in mesh.pods() if one["metadata"]["name"] == "web-0")
        mesh.kill(pod)
        mesh.start(pod)
        await mesh.settled(within=20)
        assert (await served(mesh))["web"]


async def test_a_port_that_a_service_gives_to_a_pod_later_is_guarded_too() -> None:
    """The sidecar learns of it from istiod, as of the others; it is as STRICT as they are."""
    late = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 83, "targetPort": 9090}]}
    async with Mesh(scene("STRICT")) as mesh:
        metadata = {"name": "late", "namespace": "default"}
        mesh.home.objects.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": late})
        await mesh.settled(within=20)
        (pod,) = (one for one in mesh.pods() if one["metadata"]["name"] == "web-0")
        door = backend_socket(mesh.run, pod["status"]["podIP"], 9090)
        assert await answer(door, REQUEST) == b""
        client = listener_socket(mesh.run, Namespace("default"), "client-1", 83)
        assert (await answer(client, b"GET / HTTP/1.1\r\nhost: late\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_clusters_of_one_mesh_believe_each_other() -> None:
    """One root for all: pods of a remote are reached from the first cluster, and by its own clients."""
    async with Mesh(replace(scene("STRICT"), remotes=("east",))) as mesh:
        assert {"client-1.default", "east/client-1.default", "east/web-0.default"} <= set(mesh.proxies)
        for proxy in ("client-1.default", "east/client-1.default"):
            for _ in range(4):  # whichever cluster's pod is asked
                assert (await served(mesh, proxy))["web"]
