"""The ``Proxies`` port by ``pods/exec``: ``pilot-agent request GET``, for clusters that forbid port-forward.

Every question is a process in the pod's proxy container, over a websocket of its own (``v5.channel.k8s.io``, or
``v4``): channel 1 carries what it prints, 2 what it complains of, and 3, last, how it ended. An answer counts only
when the process has ended well: what was cut off is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import aiohttp
import msgspec

from safeapply.adapters.admin import AdminPorts
from safeapply.adapters.allowance import Bounded, Share, TunnelError
from safeapply.adapters.connection import Connection
from safeapply.adapters.lines import MEGABYTE, Line
from safeapply.adapters.paths import path_of
from safeapply.adapters.websockets import Websockets
from safeapply.istio.proxies import Proxy
from safeapply.ports import Answer

__all__ = ["Exec"]

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
CONTAINER = "istio-proxy"
STDOUT, STDERR, STATUS = 1, 2, 3
OK = 200
REFUSED = re.compile(r"unsuccessful status code:? (\d{3})")
"""How the agent tells another status than 200 (istio ``pilot/pkg/request``)."""
SHOWN = 200


class Exec(AdminPorts):
    """Processes beside many Envoys, one for each question."""

    def __init__(self, connection: Connection, *, max_connections: int = 64) -> None:
        super().__init__(self._line, max_connections=max_connections)
        self._websockets = Websockets(connection)

    async def close(self) -> None:
        """Close the session."""
        await super().close()
        await self._websockets.close()

    async def _line(self, proxy: Proxy) -> Line:
        def run(path: str) -> Awaitable[aiohttp.ClientWebSocketResponse]:
            return self._run(proxy, path)

        return _Process(run)

    async def _run(self, proxy: Proxy, path: str) -> aiohttp.ClientWebSocketResponse:
        words = ("pilot-agent", "request", "GET", path)
        query = [("container", CONTAINER), ("stdout", "true"), ("stderr", "true"), *(("command", w) for w in words)]
        where = path_of("api", "v1", "namespaces", proxy.namespace, "pods", proxy.pod, "exec")
        return await self._websockets.open(where, query, protocols=PROTOCOLS, what="exec")


class _Process:
    """A line that is good for one question."""

    def __init__(self, run: Callable[[str], Awaitable[aiohttp.ClientWebSocketResponse]]) -> None:
        self._run = run
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    @property
    def closed(self) -> bool:
        return self._socket is not None

    async def get(self, path: str, share: Share | None = None) -> Answer:
        self._socket, share = await self._run(path), share or Bounded(MEGABYTE)
        heard = {STDOUT: bytearray(), STDERR: bytearray(), STATUS: bytearray()}
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.BINARY and message.data and message.data[0] in heard:
                await share.take(len(message.data))
                heard[message.data[0]] += message.data[1:]
            if heard[STATUS]:
                return _answer(bytes(heard[STDOUT]), heard[STDERR].decode(errors="replace"), bytes(heard[STATUS]))
        raise TunnelError("the API server closed the exec before the answer was whole")

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()


class _Status(msgspec.Struct):
    """Kubernetes' ``Status``, as far as it tells how a process ended."""

    status: str = ""
    message: str = ""


def _answer(printed: bytes, complaint: str, ended: bytes) -> Answer:
    try:
        status = msgspec.json.decode(ended, type=_Status)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TunnelError("the API server does not tell how pilot-agent ended") from error
    if status.status == "Success":
        return Answer(OK, printed)
    refused = REFUSED.search(complaint)
    if refused is not None:
        return Answer(int(refused.group(1)), complaint.encode())
    said = complaint.strip() or status.message
    raise TunnelError(f"pilot-agent failed: {said[:SHOWN]}")
