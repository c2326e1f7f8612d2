"""Pods run because the API server says so, and stop when it says so. Objects in memory, sockets real."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from safeapply.errors import SandboxError
from safeapply.resources.objects import Document, GroupKind, Namespace, ResourceId
from safeapply.sandbox.backends import Backends
from safeapply.sandbox.envoys import Envoys
from safeapply.sandbox.kubelet import Kubelet
from safeapply.sandbox.pods import is_ready
from safeapply.sandbox.sockets import backend_socket
from safeapply.sandbox.watching import Listener, WatchEvent, WatchType

POD = GroupKind("", "Pod")
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews, namespace: shop}
spec:
  replicas: 2
  template:
    metadata: {labels: {app: reviews, version: v1}}
    spec: {containers: [{name: app, ports: [{containerPort: 8080}]}]}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {selector: {app: reviews}, ports: [{port: 80}]}
"""
ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: shop}
spec: {hosts: [api.example], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS}
"""


class _Objects:
    """The kubelet's port, in memory."""

    def __init__(self) -> None:
        self._held: dict[ResourceId, dict[str, Any]] = {}
        self._version = 0
        self.listener: Listener | None = None

    def list(self, kind: GroupKind, namespace: Namespace | None = None) -> tuple[Document, ...]:
        assert namespace is None
        return tuple(one for key, one in self._held.items() if key.group_kind == kind)

    def get(self, resource_id: ResourceId) -> Document | None:
        return self._held.get(resource_id)

    def create(self, document: Document) -> None:
        key = _key(document)
        metadata = {"uid": f"uid-{self._version}", **document["metadata"]}
        self._put(key, {**document, "metadata": metadata})

    def replace(self, document: Document) -> None:
        old = self._held[_key(document)]
        self._put(_key(document), {**document, "metadata": {**document["metadata"], "uid": old["metadata"]["uid"]}})

    def set_status(self, resource_id: ResourceId, status: Mapping[str, Any]) -> None:
        self._put(resource_id, {**self._held[resource_id], "status": status})

    def remove(self, resource_id: ResourceId) -> None:
        self._tell(WatchType.DELETED, resource_id, self._held.pop(resource_id))

    def _put(self, key: ResourceId, document: dict[str, Any]) -> None:
        self._held[key] = document
        self._tell(WatchType.MODIFIED, key, document)

    def _tell(self, kind: WatchType, key: ResourceId, document: Document) -> None:
        self._version += 1
        if self.listener is not None:
            self.listener(WatchEvent(kind, key, document, self._version, time.monotonic()))


def _key(document: Document) -> ResourceId:
    group = str(document["apiVersion"]).rpartition("/")[0]
    metadata = document["metadata"]
    return ResourceId(group, document["kind"], Namespace(metadata["namespace"]), metadata["name"])


async def eventually(fact: Callable[[], bool]) -> None:
    """Wait for a fact; the kubelet's context has the deadline."""
    while not fact():  # noqa: ASYNC110 - what is waited for are files and a store, which have no events
        await asyncio.sleep(0.01)


@asynccontextmanager
async def _kubelet(objects: _Objects, run: Path) -> AsyncIterator[Kubelet]:
    async with await Backends.start() as backends, Envoys(run=run) as envoys, asyncio.timeout(20):
        kubelet = Kubelet(
            objects, run=run, backends=backends, envoys=envoys, xds_socket_of=lambda *_: run / "nobody.sock"
        )
        objects.listener = kubelet.observe
        await kubelet.start()
        yield kubelet
        await kubelet.stop()


def _sockets(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "b").glob("*.sock"))


async def test_a_deployment_becomes_ready_pods_that_listen(run: Path) -> None:
    """Every pod has an address of its own, and listens where its containers and Services say."""
    objects = _Objects()
    async with _kubelet(objects, run) as kubelet:
        objects.create(yaml.safe_load(SERVICE))
        objects.create(yaml.safe_load(DEPLOYMENT))
        await kubelet.all_ready()
        pods = objects.list(POD)
        assert [is_ready(pod) for pod in pods] == [True, True]
        for pod in pods:
            for port in (80, 8080):
                assert backend_socket(run, pod["status"]["podIP"], port).is_socket()
        assert objects.list(GroupKind("apps", "Deployment"))[0]["status"]["readyReplicas"] == 2


async def test_scaling_down_closes_sockets(run: Path) -> None:
    """What is not asked for any more does not answer any more."""
    objects = _Objects()
    async with _kubelet(objects, run) as kubelet:
        deployment = yaml.safe_load(DEPLOYMENT)
        objects.create(deployment)
        await kubelet.all_ready()
        deployment["spec"]["replicas"] = 0
        objects.replace(deployment)
        await eventually(lambda: not (objects.list(POD) or _sockets(run)))


async def test_a_new_template_is_rolled_out_without_a_gap(run: Path) -> None:
    """Old pods go only when the new ones are ready."""
    objects = _Objects()
    async with _kubelet(objects, run) as kubelet:
        deployment = yaml.safe_load(DEPLOYMENT)
        objects.create(deployment)
        await kubelet.all_ready()
        ready_at_every_write: list[int] = []
        observe = objects.listener
        assert observe is not None

        def count(event: WatchEvent) -> None:
            ready_at_every_write.append(sum(map(is_ready, objects.list(POD))))
            observe(event)

        objects.listener = count
        deployment["spec"]["template"]["metadata"]["labels"]["version"] = "v2"
        objects.replace(deployment)
        await eventually(lambda: {pod["metadata"]["labels"]["version"] for pod in objects.list(POD)} == {"v2"})
        assert min(ready_at_every_write) >= 2


async def test_a_deleted_deployment_takes_its_pods_along(run: Path) -> None:
    """Pods without their owner are garbage; bare pods stay."""
    objects = _Objects()
    async with _kubelet(objects, run) as kubelet:
        objects.create(yaml.safe_load(DEPLOYMENT))
        bare = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare", "namespace": "shop"}, "spec": {}}
        objects.create(bare)
        await kubelet.all_ready()
        objects.remove(ResourceId("apps", "Deployment", Namespace("shop"), "reviews"))
        await eventually(lambda: [pod["metadata"]["name"] for pod in objects.list(POD)] == ["bare"])


async def test_a_service_that_comes_later_opens_its_target_port(run: Path) -> None:
    """A pod need not declare the port that a Service sends to."""
    objects = _Objects()
    async with _kubelet(objects, run) as kubelet:
        objects.create(yaml.safe_load(DEPLOYMENT))
        await kubelet.all_ready()
        assert not [name for name in _sockets(run) if name.endswith("_80.sock")]
        objects.create(yaml.safe_load(SERVICE))
        await eventually(lambda: len([name for name in _sockets(run) if name.endswith("_80.sock")]) == 2)


async def test_what_is_outside_the_cluster_answers_too(run: Path) -> None:
    """The host of a ServiceEntry has a backend under its own name, as long as the entry is there."""
    objects = _Objects()
    async with _kubelet(objects, run):
        objects.create(yaml.safe_load(ENTRY))
        await eventually(lambda: _sockets(run) == ["api.example_443.sock"])
        objects.remove(_key(yaml.safe_load(ENTRY)))
        await eventually(lambda: not _sockets(run))


async def test_a_pod_that_cannot_listen_is_told(run: Path) -> None:
    """Whoever waits for the pods gets one sentence instead of waiting for ever."""
    objects = _Objects()
    (run / "b").write_text("in the way")
    async with _kubelet(objects, run) as kubelet:
        objects.create(yaml.safe_load(DEPLOYMENT))
        with pytest.raises(SandboxError, match="a pod cannot listen"):
            await kubelet.all_ready()
