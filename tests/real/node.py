"""A node: it takes every pod, and runs it as a kubelet would.

Each pod has a network of its own. Its containers are a real istiod, a real Envoy, or an application that answers on
the ports that it declares. Pods behave: readiness probes with their delays, preStop, grace, the Envoy's drain, and
removal only after all has ended. A hook that is not known here is an error, and never passed over.

Run as a program, until it is ended; ``python -m tests.real.node DIRECTORY PROGRAMS ISTIO-VERSION``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
import sys
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

import grpc

from safeapply.resources.objects import Document
from safeapply.sandbox.answering import Connections, PodServer
from safeapply.sandbox.authority import Authority
from safeapply.sandbox.controlplane.certificates import certificates
from safeapply.sandbox.names import PROXY_CONTAINER
from tests.real.api import Api
from tests.real.controlplane import HOST
from tests.real.injector import serve_injector
from tests.real.namespaces import PodNetwork, client_socket, listening_socket
from tests.real.proxies import SDS_PORT, XDS_PORT, Proxy, has_redirect, is_live

__all__ = ["NODE", "Node", "main"]

NODE: Final = "node"
PODS: Final = "/api/v1/pods"
STRATEGIC: Final = "application/strategic-merge-patch+json"
READ_AGAIN: Final = 0.05
STARTUP: Final = "STARTUP_SECONDS"
"""A variable of an application here: it listens so many seconds after its container has started."""
DISCOVERY: Final = "discovery"
"""Istio's name of the container that is istiod."""
RESTART: Final = 0.5
SECONDS: Final = re.compile(r"sleep (\d+(?:\.\d+)?)")


class Container(Protocol):
    """What runs in a container."""

    async def run(self) -> None:
        """Return when it has ended."""
        ...

    async def serves(self) -> bool:
        """Tell what its readiness probe finds."""
        ...

    async def terminate(self) -> None:
        """Do what the program does on SIGTERM, and return when it has ended."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...


class Application:
    """Answers on the declared ports, and finishes what is under way when it is asked to end."""

    def __init__(self, pod: Document, spec: Document, network: int) -> None:
        self._network = network
        self._ports = [int(port["containerPort"]) for port in spec.get("ports") or ()]
        variables = {one["name"]: one.get("value", "") for one in spec.get("env") or ()}
        self._startup = float(variables.get(STARTUP) or 0)
        labels = ",".join(f"{k}={v}" for k, v in sorted((pod["metadata"].get("labels") or {}).items()))
        self._says = (str(pod["metadata"]["name"]), labels)
        self._connections = Connections()
        self._servers: list[asyncio.Server] = []
        self._over = asyncio.Event()

    async def run(self) -> None:
        await asyncio.sleep(self._startup)
        loop = asyncio.get_running_loop()
        for port in self._ports:
            listening = listening_socket(self._network, port)
            server = await loop.create_server(lambda: PodServer(*self._says, self._connections), sock=listening)
            self._servers.append(server)
        await self._over.wait()

    async def serves(self) -> bool:
        return len(self._servers) == len(self._ports)

    async def terminate(self) -> None:
        self.kill()

    def kill(self) -> None:
        for server in self._servers:
            server.close()
        self._connections.close()
        self._over.set()


class Envoy:
    """The proxy of a pod."""

    def __init__(self, pod: Document, network: PodNetwork, directory: Path, istio: str) -> None:
        self._pod, self._network, self._directory, self._istio = pod, network, directory, istio
        self._proxy: Proxy | None = None

    async def run(self) -> None:
        self._proxy = await Proxy.start(
            self._pod, ip=self._network.ip, network=self._network.pid, directory=self._directory, istio=self._istio
        )
        await self._proxy.process.wait()

    async def serves(self) -> bool:
        return await is_live(self._network.pid)

    async def terminate(self) -> None:
        if self._proxy is not None:
            await self._proxy.drain()

    def kill(self) -> None:
        if self._proxy is not None:
            self._proxy.kill()


class Program:
    """A real program in the network of a pod: istiod."""

    def __init__(self, pod: Document, spec: Document, network: PodNetwork, directory: Path, programs: Path) -> None:
        self._command = (
            *("nsenter", "--net", "--target", str(network.pid), "--"),
            *(str(programs / "istiod"), *spec["args"]),
        )
        own = {"POD_NAME": pod["metadata"]["name"], "POD_NAMESPACE": pod["metadata"]["namespace"]}
        said = {one["name"]: str(one.get("value", "")) for one in spec.get("env") or ()}
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(directory), **own, **said}
        self._log = directory / f"{spec['name']}.log"
        self._network = network.pid
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, env=self._environment, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        await self._process.wait()

    async def serves(self) -> bool:
        return await _answers(self._network, 8080, "/ready")

    async def terminate(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            await self._process.wait()

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()


async def _answers(network: int, port: int, path: str) -> bool:
    loop, client = asyncio.get_running_loop(), client_socket(network)
    try:
        await loop.sock_connect(client, ("127.0.0.1", port))
        await loop.sock_sendall(client, f"GET {path} HTTP/1.1\r\nhost: probe\r\nconnection: close\r\n\r\n".encode())
        return (await loop.sock_recv(client, 64))[9:12] == b"200"
    except OSError:
        return False
    finally:
        client.close()


@dataclass(slots=True)
class Running:
    """One container of a pod."""

    spec: Document
    ready: bool = False
    restarts: int = 0
    started: str | None = None
    now: Container | None = None


@dataclass(slots=True)
class Pod:
    """One pod that runs here."""

    document: Document
    node: Node
    network: PodNetwork | None = None
    containers: list[Running] = field(default_factory=list)
    jobs: list[asyncio.Task[None]] = field(default_factory=list)
    ending: asyncio.Task[None] | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def path(self) -> str:
        metadata = self.document["metadata"]
        return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"

    @property
    def directory(self) -> Path:
        metadata = self.document["metadata"]
        return self.node.directory / "logs" / str(metadata["namespace"]) / str(metadata["name"])

    @property
    def ready(self) -> bool:
        return all(one.ready for one in self.containers)

    async def start(self) -> None:
        """Make the network, start the containers, and say what becomes of them."""
        spec = self.document["spec"]
        self.containers = [Running(one) for one in spec["containers"]]
        self.network = await PodNetwork.make(self.node.next_number(), redirect=has_redirect(self.document))
        place = self.node.directory / "pods" / self.document["metadata"]["namespace"]
        place.mkdir(parents=True, exist_ok=True)
        (place / self.document["metadata"]["name"]).write_text(str(self.network.pid))
        self.jobs = [self.node.spawn(self._keep(one, self.network)) for one in self.containers]
        self.jobs += [self.node.spawn(self._probe(one)) for one in self.containers]
        await self.say()

    async def end(self) -> None:
        """Run hooks, ask the containers to end, and take the pod away when they have, or its grace is over."""
        grace = self.document["metadata"].get("deletionGracePeriodSeconds", 30)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace or 0.001):
                await asyncio.gather(*(self._terminate(one) for one in self.containers))
        for job in self.jobs:
            job.cancel()
        await asyncio.gather(*self.jobs, return_exceptions=True)
        for one in self.containers:
            if one.now is not None:
                one.now.kill()
        if self.network is not None:
            self.network.remove()
        metadata = self.document["metadata"]
        (self.node.directory / "pods" / metadata["namespace"] / metadata["name"]).unlink(missing_ok=True)
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
        await self.node.api.ask("DELETE", self.path, body)

    async def say(self) -> None:
        """Write the status."""
        async with self.turn:  # else an older status could arrive after a newer one, and stay
            patch = {"metadata": {"uid": self.document["metadata"]["uid"]}, "status": self._status()}
            await self.node.api.ask("PATCH", f"{self.path}/status", patch, kind=STRATEGIC)

    async def _keep(self, container: Running, network: PodNetwork) -> None:
        """Run a container, and again whenever it ends, as ``restartPolicy: Always`` says."""
        while True:
            container.now = self._made(container.spec, network)
            container.started = _now()
            await container.now.run()
            container.ready = False
            if self.ending is not None:  # what has ended stays so
                return
            container.restarts += 1
            await self.say()
            await asyncio.sleep(RESTART)

    def _made(self, spec: Document, network: PodNetwork) -> Container:
        if spec["name"] == PROXY_CONTAINER:
            return Envoy(self.document, network, self.directory, self.node.istio)
        if spec["name"] == DISCOVERY:
            return Program(self.document, spec, network, self.directory, self.node.programs)
        return Application(self.document, spec, network.pid)

    async def _probe(self, container: Running) -> None:
        """Probe a container until it is ready, and then again and again."""
        probe = container.spec.get("readinessProbe") or {}
        await asyncio.sleep(probe.get("initialDelaySeconds", 0))
        while True:
            ready = container.now is not None and (not self._is_probed(container) or await container.now.serves())
            if ready != container.ready:
                container.ready = ready
                await self.say()
            await asyncio.sleep(probe.get("periodSeconds", 10) if probe else 1 if ready else READ_AGAIN)

    def _is_probed(self, container: Running) -> bool:
        """Tell whether a container has a readiness probe; what is injected has one that is not written here."""
        return "readinessProbe" in container.spec or container.spec["name"] in {PROXY_CONTAINER, DISCOVERY}

    async def _terminate(self, container: Running) -> None:
        await asyncio.sleep(_seconds_of_hook(container.spec))
        if container.now is not None:
            await container.now.terminate()

    def _status(self) -> Mapping[str, Any]:
        ready, ip = self.ready, self.network.ip if self.network else None
        conditions = [
            {"type": kind, "status": str(value), "lastTransitionTime": _now()}
            for kind, value in (
                ("PodScheduled", True),
                ("Initialized", True),
                ("ContainersReady", ready),
                ("Ready", ready),
            )
        ]
        return {
            "phase": "Running",
            "hostIP": HOST,
            "hostIPs": [{"ip": HOST}],
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "startTime": self.document["metadata"]["creationTimestamp"],
            "conditions": conditions,
            "containerStatuses": [_container_status(one) for one in self.containers],
        }


def _container_status(container: Running) -> Mapping[str, Any]:
    return {
        "name": container.spec["name"],
        "image": container.spec["image"],
        "imageID": container.spec["image"],
        "ready": container.ready,
        "started": container.now is not None,
        "restartCount": container.restarts,
        "state": {"running": {"startedAt": container.started or _now()}},
    }


def _seconds_of_hook(spec: Document) -> float:
    """Return how long a preStop hook takes: ``sleep`` is what there is, as an action or as a command."""
    hook = (spec.get("lifecycle") or {}).get("preStop")
    if hook is None:
        return 0.0
    if "sleep" in hook:
        return float(hook["sleep"]["seconds"])
    command = SECONDS.search(" ".join((hook.get("exec") or {}).get("command") or ()))
    if command is None:
        raise ValueError(f"a preStop hook that this node does not know: {hook}")
    return float(command[1])


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Node:
    """The only node of a cluster."""

    def __init__(self, api: Api, directory: Path, programs: Path, istio: str) -> None:
        self.api, self.directory, self.programs, self.istio = api, directory, programs, istio
        self._pods: dict[str, Pod] = {}
        self._number = 10
        self._jobs: set[asyncio.Task[None]] = set()

    def next_number(self) -> int:
        """Return the number of a pod's network; each is given once."""
        self._number += 1
        return self._number

    async def register(self) -> None:
        """Make the node known, and ready."""
        await self.api.ask(
            "POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        )
        status = {
            "addresses": [{"type": "InternalIP", "address": HOST}],
            "conditions": [
                {"type": "Ready", "status": "True", "lastHeartbeatTime": _now(), "reason": "KubeletReady"}
            ],
            "capacity": {"pods": "1000", "cpu": "2", "memory": "16Gi"},
            "allocatable": {"pods": "1000", "cpu": "2", "memory": "16Gi"},
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        }
        await self.api.ask("PATCH", f"/api/v1/nodes/{NODE}/status", {"status": status}, kind=STRATEGIC)

    async def follow(self) -> None:
        """Run whatever pods there are."""
        async for kind, document in self.api.follow(PODS):
            if kind == "RELIST":
                continue
            metadata = document["metadata"]
            uid, pod = metadata["uid"], self._pods.get(metadata["uid"])
            if kind == "DELETED":
                if (gone := self._pods.pop(uid, None)) is not None and gone.ending is None:
                    gone.document = {**document, "metadata": {**metadata, "deletionGracePeriodSeconds": 0}}
                    gone.ending = self.spawn(gone.end())
            elif not document["spec"].get("nodeName"):
                self.spawn(self._bind(document))
            elif pod is None:
                self._pods[uid] = pod = Pod(document, self)
                self.spawn(pod.start())
            if pod is not None and metadata.get("deletionTimestamp") and pod.ending is None:
                pod.document = document
                pod.ending = self.spawn(pod.end())

    async def _bind(self, document: Document) -> None:
        """Do the scheduler's work: there is one node."""
        metadata = document["metadata"]
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": metadata["name"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
        }
        await self.api.ask(
            "POST", f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/binding", body
        )

    def istiods(self) -> Iterable[str]:
        """Return the addresses of the replicas of istiod that are ready."""
        return [
            pod.network.ip
            for pod in self._pods.values()
            if (pod.document["metadata"].get("labels") or {}).get("app") == "istiod"
            and pod.ready
            and pod.ending is None
            and pod.network is not None
        ]

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Lead a proxy to some replica of istiod, as kube-proxy does for the Service of that name."""
        addresses = list(self.istiods())
        try:
            if addresses:
                other_reader, other_writer = await asyncio.open_connection(random.choice(addresses), XDS_PORT)
                await asyncio.gather(_pipe(reader, other_writer), _pipe(other_reader, writer))
        except OSError:
            pass
        finally:
            writer.close()

    def spawn(self, job: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a job; one that fails is told in the log, which every wait of the tests shows."""
        task = asyncio.create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._jobs.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            print(f"node: {type(error).__name__}: {error}", file=sys.stderr, flush=True)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def _serve(directory: Path, programs: Path, istio: str) -> None:
    async with Api(directory) as api:
        node = Node(api, directory, programs, istio)
        await node.register()
        await asyncio.start_server(node.forward, HOST, XDS_PORT)
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((certificates(Authority()),))
        server.add_insecure_port(f"{HOST}:{SDS_PORT}")
        await server.start()
        await serve_injector(directory)
        (directory / "node.ready").touch()
        await node.follow()


def main() -> None:
    """Run the node until it is ended."""
    directory, programs, istio = sys.argv[1:]
    asyncio.run(_serve(Path(directory), Path(programs), istio))


if __name__ == "__main__":
    main()
