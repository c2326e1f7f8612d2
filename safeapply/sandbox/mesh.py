"""A whole mesh, started and stopped as one: API server, control plane, Envoys, pods.

    async with Mesh(live, proxies=10, seed=1) as mesh:
        ...  # mesh.kubeconfig names a file that any Kubernetes client understands

It is filled before anything is delayed: what the delays are for is the change that comes afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from safeapply.errors import SandboxError
from safeapply.resources.objects import Document, GroupKind, Namespace, ResourceId
from safeapply.sandbox.apiserver import ApiServer, Store
from safeapply.sandbox.authority import Authority
from safeapply.sandbox.backends import Backends
from safeapply.sandbox.children import raise_file_limit
from safeapply.sandbox.controlplane import ControlPlane
from safeapply.sandbox.delays import DEFAULT_DELAYS, NO_DELAYS, Delays
from safeapply.sandbox.envoys import Envoys
from safeapply.sandbox.janitor import Janitor
from safeapply.sandbox.member import Member, kubeconfig_of
from safeapply.sandbox.probes import probes_of
from safeapply.sandbox.synthesis import clients, gateways, missing
from safeapply.sandbox.targets import addresses_of, targets_of
from safeapply.sandbox.traffic import Target

__all__ = ["Mesh", "Scene"]

SERVICE = GroupKind("", "Service")
SERVICE_ENTRY = GroupKind("networking.istio.io", "ServiceEntry")
SERVE_SECONDS = 60.0
CLUSTER_NAME = re.compile(r"(?!kubeconfig$)[a-z][a-z0-9-]{0,14}[a-z0-9]")
"""Of Kubernetes' names those that leave room for sockets, and none that a mesh's own directory holds."""


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
    remotes: tuple[str, ...] = ()
    """The names of further clusters of the mesh: each has the same Services and pods, and no configuration."""
    primaries: tuple[str, ...] = ()
    """The names of further clusters that have all of that, an istiod of their own, and the same configuration."""
    mutual_tls: bool = False
    """Whether there are certificates, and every pod gets a sidecar that stands before it, so that
    PeerAuthentications and DestinationRules' ``tls`` count. It takes an Envoy for each pod."""

    def __post_init__(self) -> None:
        """Refuse names that no directory of a socket could bear, or that two clusters would share.

        Raises:
            SandboxError: a name is of no use.
        """
        names = (*self.primaries, *self.remotes)
        wrong = next((one for one in names if not CLUSTER_NAME.fullmatch(one) or names.count(one) > 1), None)
        if wrong is not None:
            raise SandboxError(f"{wrong!r} cannot be a cluster: give each a name of 2 to 16 of a-z, 0-9 and -")


class _Part(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...


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
    def home(self) -> Member:
        """The cluster that holds the configuration."""
        return self.members[""]

    @property
    def control_plane(self) -> ControlPlane:
        """The istiod that reads its configuration, and serves the Envoys of the remotes too."""
        return self.control_planes[""]

    @property
    def store(self) -> Store:
        """What it stores."""
        return self.home.store

    @property
    def api(self) -> ApiServer:
        """Its API server."""
        return self.home.api

    @property
    def envoys(self) -> Envoys:
        """Its Envoys."""
        return self.home.envoys

    @property
    def kubeconfig(self) -> Path:
        """The file that leads clients to the API server; of the others each has a context under its name."""
        return self.run / "kubeconfig"

    @property
    def proxies(self) -> tuple[str, ...]:
        """The names of all Envoys, as ``pod.namespace``, and of remotes as ``cluster/pod.namespace``."""
        return tuple(sorted(proxy for member in self.members.values() for proxy in member.proxies))

    def pods(self) -> tuple[Document, ...]:
        """Return all pods of the first cluster as they are."""
        return self.home.pods()

    def kill(self, pod: Document) -> None:
        """Delete a pod at once, as when its node dies: its Envoy ends with all that it was doing."""
        metadata = pod["metadata"]
        self.store.delete(ResourceId("", "Pod", Namespace(metadata["namespace"]), metadata["name"]))

    def start(self, pod: Document) -> None:
        """Create a pod like this one; the kubelet runs it, and says so when it is ready."""
        kept_keys = ("name", "namespace", "labels", "annotations")
        metadata = {key: pod["metadata"][key] for key in kept_keys if key in pod["metadata"]}
        kept = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod["spec"]}
        self.home.objects.create(kept)

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
                for member in self.members.values():
                    await member.kubelet.all_ready()
        except TimeoutError as error:
            raise SandboxError(f"some pods were not ready within {within:.0f} s") from error
        for one in self.control_planes.values():
            await one.settled(within)

    def targets(self) -> tuple[Target, ...]:
        """Return every request, of the live and the desired configuration, on every proxy that it concerns."""
        live = tuple(self.store.list(SERVICE)) + tuple(self.store.list(SERVICE_ENTRY))
        probes = probes_of((*live, *self.scene.live, *self.scene.desired))
        addresses = addresses_of(self.store.list(SERVICE), self.store.list(SERVICE_ENTRY))
        return tuple(
            target
            for one in self.members.values()
            for target in targets_of(probes, pods=one.pods(), addresses=addresses, run=one.run, cluster=one.name)
        )

    async def _start(self, parts: contextlib.AsyncExitStack) -> None:
        raise_file_limit()
        self.run = Path(tempfile.mkdtemp(prefix="sa-"))
        self.janitor = parts.enter_context(Janitor(self.run))
        authority = Authority() if self.scene.mutual_tls else None
        self.control_planes = {
            name: ControlPlane(
                run=self.run / name,
                seed=self.scene.seed,
                delays=NO_DELAYS,
                replicas=self.scene.replicas,
                authority=authority,
            )
            for name in ("", *self.scene.primaries)
        }
        backends = await parts.enter_async_context(await Backends.start())
        self.members = {one.name: one for one in self._members(backends)}
        members = tuple(self.members.values())
        for one in members:
            await parts.enter_async_context(one.envoys)
            for name, plane in self.control_planes.items():
                one.tell(plane, own=name == one.name)
        ordered: list[_Part] = [one.api for one in members]
        ordered += [*self.control_planes.values(), *(one.kubelet for one in members)]
        for part in ordered:
            await part.start()
            parts.push_async_callback(part.stop)
        self._fill()
        self.kubeconfig.write_text(kubeconfig_of(members))
        await self.settled(within=SERVE_SECONDS)
        for plane in self.control_planes.values():
            plane.set_delays(self.scene.delays)

    def _members(self, backends: Backends) -> Iterator[Member]:
        addresses = count(1)
        for name in ("", *self.scene.primaries, *self.scene.remotes):
            yield Member(
                name,
                run=self.run,
                backends=backends,
                control_plane=self.control_planes.get(name, self.control_plane),
                replicas=self.scene.replicas if name in self.control_planes else 0,
                addresses=addresses,
            )

    def _fill(self) -> None:
        """Create the live objects and what they need to be a mesh."""
        scene, both = self.scene, (*self.scene.live, *self.scene.desired)
        edge = gateways(both)
        proxies = (*edge, *clients(both, scene.proxies - len(edge)))
        added = (*missing(scene.live, scene.desired), *proxies)
        for member in self.members.values():
            member.fill(scene.live, added)
