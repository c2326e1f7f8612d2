"""One TCP connection into a pod, through the API server: port-forward over a websocket, with HTTP/1.1 inside.

``v4.channel.k8s.io`` (ENVOY.md 5): for the one port that is asked for, channel 0 carries data and channel 1
errors; the first frame on each names the port in two bytes; after that come a channel byte and raw bytes.
"""

from __future__ import annotations

import aiohttp

from safeapply.adapters.lines import HttpLine, TunnelError

__all__ = ["PROTOCOL", "Tunnel", "TunnelError"]

PROTOCOL = "v4.channel.k8s.io"
DATA, ERROR = 0, 1
PORT_BYTES = 2


class Tunnel(HttpLine):
    """An open way to one port of one pod, used for one question at a time."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        super().__init__(_ForwardedPort(socket))


class _ForwardedPort:
    """The bytes of the port, without the frames around them."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._greeted: set[int] = set()

    @property
    def closed(self) -> bool:
        return self._socket.closed

    async def send(self, data: bytes) -> None:
        await self._socket.send_bytes(bytes([DATA]) + data)

    async def receive(self) -> memoryview:
        while True:
            message = await self._socket.receive()
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                raise TunnelError("the API server closed the port-forward before the answer was whole")
            channel, payload = message.data[0], memoryview(message.data)[1:]
            if channel not in self._greeted:
                self._greeted.add(channel)
                payload = payload[PORT_BYTES:]
            if channel == ERROR and payload:
                raise TunnelError(bytes(payload).decode(errors="replace").strip())
            if channel == DATA and payload:
                return payload

    async def close(self) -> None:
        await self._socket.close()
