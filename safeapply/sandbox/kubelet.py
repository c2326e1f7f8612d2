"""Stands in for a cluster's controller manager and kubelets: workloads become pods, and pods run.

A pod is Ready when it is: its sockets listen, and its Envoy, where it has one, answers that it is live. Level
triggered: every write to the API server wakes it, and it makes what is there look like what is asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from safeapply.errors import SandboxError
from safeapply.resources.objects import Document, GroupKind, Namespace, ResourceId
from safeapply.sandbox.backends import Backends
from safeapply.sandbox.bootstrap import role_of_pod
from safeapply.sandbox.deadlines import Deadlines
from safeapply.sandbox.envoys import Envoy, Envoys
from safeapply.sandbox.pods import (
    JOB,
    WORKLOAD_KINDS,
    address,
    crashing,
    finished_job,
    is_ours,
    is_ready,
    outside_backends,
    owner_uid,
    pods_of_workload,
    ports_by_name,
    seconds_to_readiness,
    status_of_pod,
    status_of_workload,
)
from safeapply.sandbox.podsockets import PodSockets
from safeapply.sandbox.sockets import backend_socket
from safeapply.sandbox.watching import WatchEvent

__all__ = ["Kubelet", "Objects"]

POD = GroupKind("", "Pod")
SERVICE = GroupKind("", "Service")
ENTRIES = tuple(GroupKind("networking.istio.io", kind) for kind in ("ServiceEntry", "WorkloadEntry"))
WATCHED = frozenset({POD, SERVICE, JOB, *WORKLOAD_KINDS, *ENTRIES})


class Objects(Protocol):
    """What the kubelet needs of an API server."""

    def list(self, kind: GroupKind, namespace: Namespace | None = None) -> Sequence[Document]:
        """Return all objects of a kind."""
        ...

    def get(self, resource_id: ResourceId) -> Document | None:
        """Return one object."""
        ...

    def create(self, document: Document) -> None:
        """Create an object."""
        ...

    def set_status(self, resource_id: ResourceId, status: Mapping[str, Any]) -> None:
        """Replace an object's status."""
        ...

    def remove(self, resource_id: ResourceId) -> None:
        """Delete an object."""
        ...


@dataclass(slots=True)
class _Pod:
    """What runs for one pod, by its uid: a pod that takes over a name is another one."""

    id: ResourceId
    ip: str
    sockets: PodSockets
    envoy: Envoy | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Kubelet:
    """Runs the pods that the API server holds."""

    def __init__(
        self,
        objects: Objects,
        *,
        run: Path,
        backends: Backends,
        envoys: Envoys,
        xds_socket_of: Callable[[str, str], Path],
        addresses: Iterator[int] | None = None,
    ) -> None:
        self._objects = objects
        self._run = run
        self._backends = backends
        self._envoys = envoys
        self._xds_socket_of = xds_socket_of
        self._pods: dict[str, _Pod] = {}
        self._numbers = addresses or count(1)
        self._stirred = asyncio.Event()
        self._progress = asyncio.Condition()
        self._jobs: set[asyncio.Task[None]] = set()
        self._going: dict[ResourceId, asyncio.Task[None]] = {}
        """The pods that are being torn down: whoever takes over a name waits for it."""
        self._deadlines = Deadlines(self._stirred.set)
        self._faults: dict[str, SandboxError] = {}
        """What kept an object from being carried out, by its uid."""
        self._defect: BaseException | None = None
        self._outside: frozenset[tuple[str, int]] = frozenset()
        self._outside_turn = asyncio.Lock()

    def observe(self, event: WatchEvent) -> None:
        """Take note of a write; a listener of the API server's store."""
        if event.id.group_kind in WATCHED:
            self._stirred.set()

    async def start(self) -> None:
        """Begin to run what is there."""
        self._stirred.set()
        self._spawn(self._work())

    async def stop(self) -> None:
        """Stop managing; the processes are ended by those who own them."""
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)

    async def all_ready(self) -> None:
        """Return when every workload has its pods and every pod is ready.

        Raises:
            SandboxError: a pod could not be started.
        """
        async with self._progress:
            await self._progress.wait_for(lambda: self._broken() is not None or self._at_rest())
        if (fault := self._broken()) is not None:
            raise fault

    def _broken(self) -> BaseException | None:
        return self._defect or next(iter(self._faults.values()), None)

    def _at_rest(self) -> bool:
        pods = self._objects.list(POD)
        at_rest = all(is_ready(pod) or crashing(pod) for pod in pods)
        return not self._stirred.is_set() and at_rest and len(self._pods) == len(pods)

    async def _work(self) -> None:
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            self._control_workloads()
            self._run_jobs()
            self._run_pods()
            self._spawn(self._run_outside())
            async with self._progress:
                self._progress.notify_all()

    def _control_workloads(self) -> None:
        """Create the pods that workloads want; delete those that they want no more once the new ones are ready."""
        pods = self._objects.list(POD)
        workloads = {str(w["metadata"]["uid"]): w for kind in WORKLOAD_KINDS for w in self._objects.list(kind)}
        for uid, workload in workloads.items():
            with self._noting(uid, workload):
                self._control(workload, {pod["metadata"]["name"]: pod for pod in pods if owner_uid(pod) == uid})
        for pod in pods:
            if (owner := owner_uid(pod)) is not None and owner not in workloads:
                self._objects.remove(_id_of(pod))
        held = workloads.keys() | {str(pod["metadata"]["uid"]) for pod in self._objects.list(POD)}
        self._faults = {uid: fault for uid, fault in self._faults.items() if uid.partition("/")[0] in held}

    def _control(self, workload: Document, owned: Mapping[str, Document]) -> None:
        wanted = {pod["metadata"]["name"]: pod for pod in pods_of_workload(workload)}
        for name in wanted.keys() - owned.keys():
            self._objects.create(wanted[name])
        if all(name in owned and is_ready(owned[name]) for name in wanted):
            for name in owned.keys() - wanted.keys():
                self._objects.remove(_id_of(owned[name]))
        late = self._deadlines.is_over(workload)
        status, said = status_of_workload(workload, tuple(owned.values()), late=late), workload.get("status") or {}
        if any(said.get(key) != value for key, value in status.items()):
            self._objects.set_status(_id_of(workload), status)

    def _run_jobs(self) -> None:
        for job in filter(is_ours, self._objects.list(JOB)):
            if not (job.get("status") or {}).get("conditions"):
                self._objects.set_status(_id_of(job), finished_job(job))

    def _run_pods(self) -> None:
        pods = {str(pod["metadata"]["uid"]): pod for pod in self._objects.list(POD)}
        for uid in self._pods.keys() - pods.keys():
            gone = self._pods.pop(uid)
            self._going[gone.id] = self._spawn(self._tear_down(gone, self._going.get(gone.id)))
        for uid, pod in pods.items():
            if uid not in self._pods:
                ip = address(next(self._numbers))
                sockets = PodSockets(self._run, ip, self._envoys.standing_before(pod), self._backends)
                self._pods[uid] = _Pod(_id_of(pod), ip, sockets)
                status = status_of_pod(self._pods[uid].ip, ready=False, ended=crashing(pod))
                self._objects.set_status(_id_of(pod), status)
            with self._noting(f"{uid}/ports", pod):
                if not is_ready(pod) or set(self._ports(pod).values()) != self._pods[uid].sockets.ports:
                    self._spawn(self._bring_up(uid, self._pods[uid], _id_of(pod)))

    async def _bring_up(self, uid: str, running: _Pod, resource_id: ResourceId) -> None:
        """Open what has to be open, then say that the pod is ready."""
        if (going := self._going.get(resource_id)) is not None:
            await asyncio.wait([going])
        async with running.turn:
            pod = self._objects.get(resource_id)
            if pod is None or not self._is_current(uid, pod) or crashing(pod):
                return
            if not is_ready(pod):
                await asyncio.sleep(seconds_to_readiness(pod))
            with self._noting(uid, pod):
                await self._open_ports(running, pod)
                if role_of_pod(pod) is not None and running.envoy is None:
                    socket = self._xds_socket_of(resource_id.namespace, resource_id.name)
                    running.envoy = await self._envoys.start(pod, socket, ports=self._ports(pod))
                now = self._objects.get(resource_id)
                if now is not None and not is_ready(now) and self._is_current(uid, now):
                    self._objects.set_status(resource_id, status_of_pod(running.ip, ready=True))
        async with self._progress:
            self._progress.notify_all()

    def _is_current(self, uid: str, pod: Document) -> bool:
        """Tell whether a pod is still the one that was meant, and none that took over its name."""
        return uid in self._pods and pod["metadata"]["uid"] == uid

    async def _open_ports(self, running: _Pod, pod: Document) -> None:
        wanted, labels = set(self._ports(pod).values()), pod["metadata"].get("labels") or {}
        for port in wanted - running.sockets.ports:
            await running.sockets.open(port, pod=running.id.name, labels=labels)
        for port in running.sockets.ports - wanted:
            await running.sockets.close(port)

    async def _tear_down(self, running: _Pod, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        async with running.turn:
            if running.envoy is not None:
                await self._envoys.stop(running.envoy)
            for port in tuple(running.sockets.ports):
                await running.sockets.close(port)

    async def _run_outside(self) -> None:
        """Answer for what ServiceEntries and WorkloadEntries name, as if it were outside the cluster."""
        async with self._outside_turn:
            wanted = outside_backends(entry for kind in ENTRIES for entry in self._objects.list(kind))
            for ip, port in wanted - self._outside:
                await self._backends.listen(backend_socket(self._run, ip, port), pod=ip, labels={})
            for ip, port in self._outside - wanted:
                await self._backends.close(backend_socket(self._run, ip, port))
            self._outside = wanted

    def _ports(self, pod: Document) -> Mapping[str, int]:
        """Return the ports of the application by name; a pod that is only an Envoy has none."""
        containers: Iterator[Document] = iter((pod.get("spec") or {}).get("containers") or ())
        if all(container.get("name") == "istio-proxy" for container in containers):
            return {}
        return ports_by_name(pod, self._objects.list(SERVICE))

    @contextlib.contextmanager
    def _noting(self, uid: str, document: Document) -> Iterator[None]:
        """Keep what went wrong with one object, so that the others go on and whoever waits is told."""
        try:
            yield
        except SandboxError as error:
            self._faults[uid] = error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            said = f"{document['kind']} {document['metadata']['name']} has a field of a wrong type ({error})"
            self._faults[uid] = SandboxError(said)
        else:
            self._faults.pop(uid, None)

    def _spawn(self, job: Any) -> asyncio.Task[None]:  # noqa: ANN401 - a coroutine
        task: asyncio.Task[None] = asyncio.create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._jobs.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._defect = self._defect or error
            self._stirred.set()


def _id_of(document: Document) -> ResourceId:
    group, _, _ = str(document["apiVersion"]).rpartition("/")
    metadata = document["metadata"]
    return ResourceId(group, document["kind"], Namespace(metadata.get("namespace", "")), metadata["name"])
