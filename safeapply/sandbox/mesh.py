"""A whole mesh, started and stopped as one: API server, control plane, Envoys, pods.

    async with Mesh(live, proxies=10, seed=1) as mesh:
        ...  # mesh.kubeconfig names a file that any Kubernetes client understands

It is filled before anything is delayed: what the delays are for is the change that comes afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from safeapply.errors import SandboxError
from safeapply.resources.objects import Document, GroupKind, Namespace, ResourceId
from safeapply.sandbox.apiserver import ApiServer, Store
from safeapply.sandbox.backends import Backends
from safeapply.sandbox.children import raise_file_limit
from safeapply.sandbox.controlplane import ControlPlane
from safeapply.sandbox.controlplane.pages import DEBUG_PORTS
from safeapply.sandbox.delays import DEFAULT_DELAYS, NO_DELAYS, Delays
from safeapply.sandbox.envoys import Envoys
from safeapply.sandbox.janitor import Janitor
from safeapply.sandbox.kubelet import Kubelet
from safeapply.sandbox.pods import istiod_pod, scheduled
from safeapply.sandbox.probes import probes_of
from safeapply.sandbox.sockets import admin_socket, debug_socket
from safeapply.sandbox.stored import StoredObjects
from safeapply.sandbox.synthesis import clients, gateways, missing
from safeapply.sandbox.targets import addresses_of, targets_of
from safeapply.sandbox.traffic import Target

__all__ = ["Mesh", "Scene"]

ADMIN_PORT = 15000
POD = GroupKind("", "Pod")
SERVICE = GroupKind("", "Service")
SERVICE_ENTRY = GroupKind("networking.istio.io", "ServiceEntry")
SERVE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Scene:
    """What a mesh is made of; two meshes of one scene behave alike."""

    live: Sequence[Document] = ()
    desired: Sequence[Document] = ()
    """What it will be asked to become: its hosts and subsets have pods from the start."""
    proxies: int = 10
    seed: int = 1
    delays: Delays = DEFAULT_DELAYS
    replicas: int = 2


class Mesh:
    """One running mesh."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.run = Path()
        """Where its sockets are; there is nothing before the mesh has started and after it has stopped."""
        self._parts = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start everything, and return when every Envoy serves what the live objects say."""
        async with contextlib.AsyncExitStack() as parts:
            await self._start(parts)
            self._parts = parts.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything; nothing is left of it."""
        await self._parts.aclose()

    @property
    def kubeconfig(self) -> Path:
        """The file that leads clients to the API server."""
        return self.run / "kubeconfig"

    @property
    def proxies(self) -> tuple[str, ...]:
        """The names of all Envoys, as ``pod.namespace``."""
        return tuple(sorted(envoy.proxy for envoy in self.envoys.running))

    def pods(self) -> tuple[Document, ...]:
        """Return all pods as they are."""
        return self.store.list(POD)

    def kill(self, pod: Document) -> None:
        """Delete a pod at once, as when its node dies: its Envoy ends with all that it was doing."""
        metadata = pod["metadata"]
        self.store.delete(ResourceId("", "Pod", Namespace(metadata["namespace"]), metadata["name"]))

    def start(self, pod: Document) -> None:
        """Create a pod like this one; the kubelet runs it, and says so when it is ready."""
        metadata = {key: pod["metadata"][key] for key in ("name", "namespace", "labels") if key in pod["metadata"]}
        kept = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod["spec"]}
        StoredObjects(self.store).create(kept)

    async def restart_api(self, *, seconds: float) -> None:
        """Stop the API server, and start it again at its address after as long; what it holds it keeps."""
        port = int(self.api.url.rpartition(":")[2])
        await self.api.stop()
        await asyncio.sleep(seconds)
        await self.api.start(port)

    async def settled(self, *, within: float) -> None:
        """Return when every pod is ready and every Envoy has confirmed the newest configuration.

        Raises:
            SandboxError: a pod could not be started, or some Envoy did not confirm in time.
        """
        try:
            async with asyncio.timeout(within):
                await self._kubelet.all_ready()
        except TimeoutError as error:
            raise SandboxError(f"some pods were not ready within {within:.0f} s") from error
        await self.control_plane.settled(within)

    def targets(self) -> tuple[Target, ...]:
        """Return every request, of the live and the desired configuration, on every proxy that it concerns."""
        live = tuple(self.store.list(SERVICE)) + tuple(self.store.list(SERVICE_ENTRY))
        probes = probes_of((*live, *self.scene.live, *self.scene.desired))
        addresses = addresses_of(self.store.list(SERVICE), self.store.list(SERVICE_ENTRY))
        return targets_of(probes, pods=self.store.list(POD), addresses=addresses, run=self.run)

    async def _start(self, parts: contextlib.AsyncExitStack) -> None:
        raise_file_limit()
        self.run = Path(tempfile.mkdtemp(prefix="sa-"))
        self.janitor = parts.enter_context(Janitor(self.run))
        self.store = Store()
        self.control_plane = ControlPlane(
            run=self.run, seed=self.scene.seed, delays=NO_DELAYS, replicas=self.scene.replicas
        )
        self.api = ApiServer(self.store, admin_address=self._admin_of)
        self.envoys = await parts.enter_async_context(Envoys(run=self.run))
        backends = await parts.enter_async_context(await Backends.start())
        self._kubelet = Kubelet(
            StoredObjects(self.store),
            run=self.run,
            backends=backends,
            envoys=self.envoys,
            xds_socket_of=self.control_plane.xds_socket,
        )
        for listener in (self.control_plane.observe, self._kubelet.observe):
            self.store.listen(listener)
        for part in (self.api, self.control_plane, self._kubelet):
            await part.start()
            parts.push_async_callback(part.stop)
        self._fill()
        self.kubeconfig.write_text(self.api.kubeconfig())
        await self.settled(within=SERVE_SECONDS)
        self.control_plane.set_delays(self.scene.delays)

    def _fill(self) -> None:
        """Create the live objects and what they need to be a mesh."""
        scene, both = self.scene, (*self.scene.live, *self.scene.desired)
        edge = gateways(both)
        proxies = (*edge, *clients(both, scene.proxies - len(edge)))
        added = (*missing(scene.live, scene.desired), *proxies, *map(istiod_pod, range(scene.replicas)))
        StoredObjects(self.store).fill(scene.live, tuple(map(scheduled, added)))

    def _admin_of(self, namespace: Namespace, pod: str, port: int) -> str | None:
        """Return what a port-forward reaches: the admin interface of a pod's Envoy, or istiod's debug pages."""
        for number in range(self.scene.replicas):
            document = istiod_pod(number)["metadata"]
            if (namespace, pod) == (document["namespace"], document["name"]):
                return str(debug_socket(self.run, number)) if port in DEBUG_PORTS else None
        path = admin_socket(self.run, namespace, pod)
        return str(path) if port == ADMIN_PORT and path.exists() else None
