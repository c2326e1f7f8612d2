"""A control plane, backends and real Envoys without an API server: the tests write as its store would."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import aiohttp
import yaml
import yarl

from safeapply.resources.objects import Document, Namespace, ResourceId
from safeapply.sandbox.backends import Backends
from safeapply.sandbox.controlplane import ControlPlane
from safeapply.sandbox.delays import NO_DELAYS, Delays
from safeapply.sandbox.envoys import Envoy, Envoys
from safeapply.sandbox.sockets import backend_socket, listener_socket
from safeapply.sandbox.watching import WatchEvent, WatchType

NS = Namespace("default")
SETTLE_SECONDS = 10.0
PORT = 9080


def read(text: str) -> list[dict[str, Any]]:
    """Return the documents of a YAML text; those without a namespace are in ``default``."""
    documents: list[dict[str, Any]] = [each for each in yaml.safe_load_all(text) if each]
    for document in documents:
        document["metadata"].setdefault("namespace", NS)
    return documents


def identity(document: Document) -> ResourceId:
    """Return who a document is."""
    group = str(document["apiVersion"]).rpartition("/")[0]
    metadata = document["metadata"]
    return ResourceId(group, document["kind"], Namespace(metadata["namespace"]), metadata["name"])


def pod(
    name: str, address: str, labels: Mapping[str, str], *, role: str = "", ready: bool = True
) -> dict[str, Any]:
    """Return a pod as the kubelet would report it; with a role, it runs an Envoy."""
    proxy = [{"name": "istio-proxy", "args": ["proxy", role]}] if role else []
    ports = [{"name": "web", "containerPort": PORT}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NS, "labels": dict(labels)},
        "spec": {"containers": [{"name": "app", "ports": ports}, *proxy]},
        "status": {
            "podIP": address,
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }


REVIEWS = """
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {selector: {app: reviews}, ports: [{name: http, port: 9080}]}
"""


def rule(*subsets: str, name: str = "reviews", namespace: str = NS, **spec: object) -> dict[str, Any]:
    """Return a DestinationRule for reviews whose subsets select by the label ``version``."""
    listed = [{"name": each, "labels": {"version": each}} for each in subsets]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"host": "reviews.default.svc.cluster.local", "subsets": listed, **spec},
    }


def route(*subsets: str, name: str = "reviews", **spec: object) -> dict[str, Any]:
    """Return a VirtualService that spreads the requests for reviews evenly over subsets."""
    weights = [{"destination": {"host": "reviews", "subset": each}, "weight": 1} for each in subsets]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": NS, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"hosts": ["reviews"], "http": [{"route": weights}], **spec},
    }


class Lab:
    """A running mesh."""

    def __init__(self, run: Path, plane: ControlPlane, envoys: Envoys, backends: Backends) -> None:
        self.run = run
        self.plane = plane
        self.envoys = envoys
        self.backends = backends
        self._versions = itertools.count(1)

    def write(self, *documents: Document, type: WatchType = WatchType.MODIFIED) -> tuple[int, ...]:  # noqa: A002
        """Commit documents one after the other, and return their resource versions."""
        return tuple(self._commit(each, type) for each in documents)

    def _commit(self, document: Document, type_: WatchType) -> int:
        version = next(self._versions)
        self.plane.observe(WatchEvent(type_, identity(document), document, version, time.monotonic()))
        return version

    async def settle(self) -> None:
        """Wait until all Envoys have everything."""
        await self.plane.settled(SETTLE_SECONDS)

    async def run_reviews(self, *versions: str) -> None:
        """Run a pod of reviews for each version."""
        for number, version in enumerate(versions, 1):
            address = f"10.1.0.{number}"
            await self.backends.listen(
                backend_socket(self.run, address, PORT), pod=f"reviews-{version}", labels={"version": version}
            )
            self.write(pod(f"reviews-{version}", address, {"app": "reviews", "version": version}))

    async def start(self, *names: str, role: str = "sidecar", **labels: str) -> tuple[Envoy, ...]:
        """Run pods with an Envoy, side by side."""
        pods = [pod(name, f"10.2.0.{number}", labels, role=role) for number, name in enumerate(names, 1)]
        self.write(*pods)
        return tuple(
            await asyncio.gather(
                *(
                    self.envoys.start(each, self.plane.xds_socket(f"{each['metadata']['name']}.{NS}"))
                    for each in pods
                )
            )
        )

    def socket(self, envoy: Envoy, port: int = PORT, address: str = "") -> Path:
        """Return where an application reaches a listener of an Envoy."""
        return listener_socket(self.run, envoy.namespace, envoy.pod, port, address)


@asynccontextmanager
async def laboratory(run: Path, *, seed: int = 1, delays: Delays = NO_DELAYS) -> AsyncIterator[Lab]:
    """Run a mesh in a directory."""
    async with (
        ControlPlane(run=run, seed=seed, delays=delays) as plane,
        Envoys(run=run) as envoys,
        await Backends.start() as backends,
    ):
        yield Lab(run, plane, envoys, backends)


async def get(
    socket: Path, host: str = "reviews:9080", path: str = "/", **headers: str
) -> tuple[int, dict[str, str]]:
    """Ask once, and return the status and the headers of the answer."""
    reader, writer = await asyncio.open_unix_connection(socket)
    fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    writer.write(f"GET {path} HTTP/1.1\r\nhost: {host}\r\n{fields}\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    writer.close()
    return int(head[0].split()[1]), dict(line.split(": ", 1) for line in head[1:] if line)


async def dump(envoy: Envoy, query: str) -> Any:
    """Return an answer of an Envoy's ``/config_dump``."""
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(envoy.admin))) as session:
        address = yarl.URL(f"http://admin/config_dump?{query}", encoded=True)
        async with session.get(address) as answer:
            return json.loads(await answer.read())


async def clusters(envoy: Envoy, state: str = "active") -> set[str]:
    """Return the names of an Envoy's ``active`` or ``warming`` clusters, without the two that are always there."""
    answer = await dump(envoy, f"resource=dynamic_{state}_clusters&mask=cluster.name")
    names = {each["cluster"]["name"] for each in answer.get("configs", ())}
    return names - {"BlackHoleCluster", "PassthroughCluster"}


async def routes(envoy: Envoy, name: str = "9080") -> Any:
    """Return one route configuration as the Envoy has it."""
    answer = await dump(envoy, f"resource=dynamic_route_configs&name_regex={quote(name)}")
    return answer["configs"][0]["route_config"]


async def until(fact: Callable[[], Any], sentence: str, seconds: float = SETTLE_SECONDS) -> None:
    """Wait for a fact, which may be awaitable; fail with a sentence when it does not come."""
    deadline = time.monotonic() + seconds
    while True:
        found = fact()
        if await found if asyncio.iscoroutine(found) else found:
            return
        assert time.monotonic() < deadline, sentence
        await asyncio.sleep(0.01)


class Load:
    """Requests at a steady rate, whatever becomes of them, counted by what the client sees."""

    def __init__(self, sockets: Iterable[Path], rate: float) -> None:
        self._sockets = tuple(sockets)
        self._rate = rate
        self._asking: set[asyncio.Task[None]] = set()
        self.outcomes: list[str] = []

    async def __aenter__(self) -> Self:
        """Start."""
        self._engine = asyncio.create_task(self._keep_asking())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop, and wait for the answers."""
        self._engine.cancel()
        await asyncio.gather(*self._asking)

    @property
    def failed(self) -> list[str]:
        """What failed, by response flag."""
        return [each for each in self.outcomes if each != "200"]

    async def _keep_asking(self) -> None:
        start = time.monotonic()
        for number in itertools.count():
            await asyncio.sleep(start + number / self._rate - time.monotonic())
            task = asyncio.create_task(self._ask(self._sockets[number % len(self._sockets)]))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _ask(self, socket: Path) -> None:
        status, headers = await get(socket)
        self.outcomes.append(str(status) if status == 200 else headers["x-envoy-response-flags"])
