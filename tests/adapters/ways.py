"""Ways to Envoys, true and false: an API server that forwards and runs agents, and Envoys that say what they shall.

Everything is a real socket; what lies is what is behind it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import yarl
from aiohttp import web
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

from safeapply.adapters.access import ClusterAccess
from safeapply.adapters.addresses import Addresses
from safeapply.adapters.admin import AdminPorts
from safeapply.adapters.clock import SystemClock
from safeapply.adapters.connection import Connection
from safeapply.adapters.credentials import Identity, Login
from safeapply.adapters.envoy import PortForward
from safeapply.adapters.exec import Exec
from safeapply.errors import BarrierTimeoutError
from safeapply.istio.proxies import Proxy, Traits
from safeapply.ports import Answer, Istiods, Proxies
from safeapply.rollout.poller import Poller
from safeapply.sandbox.apiserver.portforward import forward, ports_of
from safeapply.xds.expectations import Expectation
from safeapply.xds.identity import IDENTITY
from safeapply.xds.questions import READY
from tests.rollout.istiods import istiod
from tests.rollout.memory import MemoryCluster

CUT = -1
"""In place of a status: say half, and hang up."""


@dataclass
class Gate:
    """An API server that does nothing but lead to the admin sockets of pods, by port-forward and by exec."""

    sockets: Mapping[str, Path]
    """For each pod its admin socket."""
    refuses: int = 0
    """The HTTP status with which it refuses."""
    cuts: bool = False
    """Whether it hangs up in the middle of an answer."""
    agent: str = ""
    """What pilot-agent complains of, instead of answering."""
    url: str = ""
    asked: int = 0
    most: int = 0
    """How many websockets were open at once."""
    _open: int = 0
    _closing: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Connection]:
        """Serve, and hand over a connection that leads here."""
        app = web.Application()
        app.router.add_get("/api/v1/namespaces/{namespace}/pods/{pod}/{what}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        settings = Configuration()
        settings.host = self.url = "http://{}:{}".format(*runner.addresses[0][:2])
        client = ApiClient(settings)
        try:
            yield Connection(client, Login(client.configuration, ClusterAccess(), Identity("default")))
        finally:
            await client.close()
            self._closing.set()
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self.refuses:
            return web.json_response({"kind": "Status", "code": self.refuses}, status=self.refuses)
        self.asked += 1
        self._open += 1
        self.most = max(self.most, self._open)
        try:
            pod, what = request.match_info["pod"], request.match_info["what"]
            return await (self._forward if what == "portforward" else self._run)(request, pod)
        finally:
            self._open -= 1

    async def _forward(self, request: web.Request, pod: str) -> web.StreamResponse:
        if self.cuts:
            socket = web.WebSocketResponse(protocols=("v4.channel.k8s.io",))
            await socket.prepare(request)
            for frame in (b"\0\x98\x3a", b"\1\x98\x3a", b"\0HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n{"):
                await socket.send_bytes(frame)
            await socket.close()
            return socket
        path = self.sockets.get(pod)
        address = str(path) if path else None
        return await forward(request, ports_of(request), lambda _: address, closing=self._closing)

    async def _run(self, request: web.Request, pod: str) -> web.StreamResponse:
        assert request.query.getall("command")[:3] == ["pilot-agent", "request", "GET"]
        assert request.query["container"] == "istio-proxy"
        socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io", "v4.channel.k8s.io"))
        await socket.prepare(request)
        status, body = (0, b"") if self.agent else await _get(self.sockets[pod], request.query.getall("command")[3])
        complaint = self.agent or (f"unsuccessful status code {status}: {body!r}" if status >= 400 else "")
        printed = b"" if complaint else body[: len(body) // 2 if self.cuts else None]
        await socket.send_bytes(b"\1" + printed)
        if not self.cuts:
            await socket.send_bytes(b"\2" + complaint.encode())
            ended = {"status": "Failure" if complaint else "Success"}
            await socket.send_bytes(b"\3" + json.dumps(ended).encode())
        await socket.close()
        return socket


async def _get(admin: Path, path: str) -> tuple[int, bytes]:
    address = yarl.URL(f"http://admin{path}", encoded=True)
    connector = aiohttp.UnixConnector(str(admin))
    async with aiohttp.ClientSession(connector=connector) as session, session.get(address) as answer:
        return answer.status, await answer.read()


WAYS: Mapping[str, Callable[[Connection, Mapping[str, Path]], AdminPorts]] = {
    "port-forward": lambda connection, _: PortForward(connection),
    "exec": lambda connection, _: Exec(connection),
    "url": lambda _, sockets: Addresses({f"default/{pod}": f"unix://{path}" for pod, path in sockets.items()}),
}


@asynccontextmanager
async def way(name: str, gate: Gate) -> AsyncIterator[AdminPorts]:
    """Hand over one way to the pods behind a gate."""
    async with gate.serving() as connection:
        proxies = WAYS[name](connection, gate.sockets)
        try:
            yield proxies
        finally:
            await proxies.close()


@asynccontextmanager
async def telling(socket: Path, pod: str, *answers: tuple[str, int, bytes]) -> AsyncIterator[None]:
    """Serve a false Envoy on a socket: each answer for the paths that hold a text, the first that fits.

    It says its name truly, and that it is live, unless an answer says otherwise.
    """
    node = {"configs": [{"bootstrap": {"node": {"id": f"sidecar~10.2.0.1~{pod}.default~default"}}}]}
    known = (*answers, (IDENTITY, 200, json.dumps(node).encode()), (READY, 200, b"LIVE\n"), ("", 200, b"{}"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            while head := await _head(reader):
                path = head.split()[1].decode()
                status, body = next((status, body) for part, status, body in known if part in path)
                length = len(body) * (2 if status == CUT else 1)
                words = f"HTTP/1.1 {200 if status == CUT else status} -\r\ncontent-length: {length}\r\n\r\n"
                writer.write(words.encode() + body)
                await writer.drain()
                if status == CUT:
                    return

    server = await asyncio.start_unix_server(serve, socket)
    try:
        yield
    finally:
        server.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


@dataclass
class Heard:
    """Proxies, and what they were asked."""

    proxies: AdminPorts
    answered: list[str] = field(default_factory=list)

    async def ask(self, proxy: Proxy, path: str, *, deadline: float) -> Answer:
        """Ask, and remember what was answered."""
        answer = await self.proxies.ask(proxy, path, deadline=deadline)
        self.answered.append(path)
        return answer

    async def release(self, proxy: Proxy) -> None:
        """Pass it on."""
        await self.proxies.release(proxy)


async def reason(
    proxies: Proxies,
    pod: str,
    *expectations: Expectation,
    patience: float = 0.6,
    istiods: Istiods | None = None,
) -> str:
    """Wait for a barrier that has to stay closed, and return what the report says of the one proxy."""
    cluster = MemoryCluster([pod])
    cluster.pods.append(istiod("istiod-0"))
    poller = Poller(cluster, proxies, SystemClock(), lambda _: None, Traits(), istiods=istiods)
    try:
        await poller.wait(1, expectations, patience=patience)
    except BarrierTimeoutError as error:
        (straggler,) = error.stragglers
        return straggler.removeprefix(f"{pod}.default: ")
    raise AssertionError("the barrier opened")


async def opens(proxies: Proxies, pod: str, *expectations: Expectation) -> None:
    """Wait for a barrier that has to open."""
    poller = Poller(MemoryCluster([pod]), proxies, SystemClock(), lambda _: None, Traits())
    await poller.wait(1, expectations, patience=20.0)
