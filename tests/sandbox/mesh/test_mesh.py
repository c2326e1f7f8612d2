"""A whole mesh: it serves, and nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from safeapply.errors import SandboxError
from safeapply.resources.objects import Document, GroupKind
from safeapply.sandbox.mesh import Mesh, Scene
from safeapply.sandbox.pods import is_ready
from safeapply.sandbox.traffic import Traffic

Until = Callable[[Callable[[], object], str], None]
Descendants = Callable[[int], set[int]]
Alive = Callable[[int], bool]
POD = GroupKind("", "Pod")

LIVE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews, shop.example]
  gateways: [mesh, edge]
  http: [{route: [{destination: {host: reviews, subset: v1, port: {number: 9080}}}]}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  selector: {istio: ingress}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*.example"]}]
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {selector: {app: db}, ports: [{name: tcp, port: 3306}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: db, namespace: shop}
spec:
  replicas: 1
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: app, image: db}]}
"""

SERVED = {
    "GET http://reviews.shop.svc.cluster.local:9080/",
    "TCP db.shop.svc.cluster.local:3306",
    "GET http://shop.example/",
}

SCRIPT = """
    import asyncio, os
    from safeapply.sandbox.mesh import Mesh, Scene

    async def main():
        async with Mesh(Scene(proxies=2)) as mesh:
            print(mesh.run, flush=True)
            await asyncio.sleep(300)

    asyncio.run(main())
"""


async def test_a_small_directory_becomes_a_mesh_that_serves_it() -> None:
    """Sidecars reach hosts over HTTP and TCP, clients from outside reach a host through the gateway."""
    async with Mesh(Scene(live=_documents(LIVE), proxies=3)) as mesh:
        assert mesh.proxies == ("client-1.shop", "client-2.shop", "gateway-1.istio-system")
        assert all(map(is_ready, mesh.store.list(POD)))
        targets = mesh.targets()
        async with await Traffic.start(targets, rate=500) as traffic:
            await traffic.before()
            await traffic.at_rest("during")
            verdict = await traffic.after()
    assert {target.request for target in targets} >= SERVED
    assert verdict.failed == 0
    assert verdict.requests >= len(targets) - 2, "only the gateway's host on sidecars may go unserved"


async def test_nothing_of_a_mesh_is_left(descendants: Descendants, alive: Alive) -> None:
    """Processes end, and the run directory goes, when the block is left."""
    async with Mesh(Scene(proxies=2)) as mesh:
        run, children = mesh.run, descendants(os.getpid())
        assert len(children) >= 5, "janitor, answering, nursery, two Envoys"
    assert not run.exists()
    assert not [child for child in children if alive(child)]


async def test_a_mesh_that_cannot_start_leaves_nothing(
    descendants: Descendants, monkeypatch: pytest.MonkeyPatch, run: Path
) -> None:
    """A fault in the middle of starting takes down what had been started."""
    before, deep = descendants(os.getpid()), run / ("x" * 80)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with pytest.raises(SandboxError, match="too long for unix sockets"):
        async with Mesh(Scene(proxies=1)):
            pytest.fail("the mesh started")
    assert not list(deep.iterdir())
    assert descendants(os.getpid()) <= before


def test_nothing_is_left_of_a_mesh_whose_process_was_killed(
    until: Until, descendants: Descendants, alive: Alive
) -> None:
    """After SIGKILL no Envoy, no helper and no directory stays."""
    code = textwrap.dedent(SCRIPT)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        run = Path(process.stdout.readline().strip())
        children = descendants(process.pid)
        assert len(children) >= 5, "janitor, answering, nursery, two Envoys"
        process.send_signal(signal.SIGKILL)
    until(lambda: not any(map(alive, children)), "processes outlived the kill")
    until(lambda: not run.exists(), "the run directory outlived the kill")


def _documents(text: str) -> list[Document]:
    return list(yaml.safe_load_all(text))
