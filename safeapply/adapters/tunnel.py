"""One TCP connection into a pod, through the API server: port-forward over a websocket, with HTTP/1.1 inside.

``v4.channel.k8s.io`` (ENVOY.md 5): for the one port that is asked for, channel 0 carries data and channel 1
errors; the first frame on each names the port in two bytes; after that come a channel byte and raw bytes. HTTP
is h11's: it is sans-I/O, so it does not care what carries the bytes.
"""

from __future__ import annotations

import aiohttp
import h11

from safeapply.ports import Answer

__all__ = ["Tunnel", "TunnelError"]

DATA, ERROR = 0, 1
PORT_BYTES = 2


class TunnelError(Exception):
    """The tunnel broke, and why; what was asked has no answer."""


class Tunnel:
    """An open way to the admin port of one Envoy, used for one question at a time."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._http = h11.Connection(our_role=h11.CLIENT)
        self._greeted: set[int] = set()

    @property
    def closed(self) -> bool:
        """Tell whether nothing can be asked any more."""
        return self._socket.closed or self._http.our_state not in {h11.IDLE, h11.DONE}

    async def get(self, path: str) -> Answer:
        """Ask for a path and return the whole answer.

        Raises:
            TunnelError: the connection broke before the answer was whole.
        """
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        try:
            await self._send(h11.Request(method="GET", target=path, headers=[("Host", "envoy")]))
            await self._send(h11.EndOfMessage())
            return await self._answer()
        except (h11.ProtocolError, aiohttp.ClientError, OSError) as error:
            raise TunnelError(f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Close the websocket; the API server closes the connection to the pod."""
        await self._socket.close()

    async def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            await self._socket.send_bytes(bytes([DATA]) + data)

    async def _answer(self) -> Answer:
        status = 0
        body = bytearray()
        while True:
            event = self._http.next_event()
            match event:
                case h11.NEED_DATA:
                    self._http.receive_data(await self._receive())
                case h11.Response():
                    status = event.status_code
                case h11.Data():
                    body += event.data
                case h11.EndOfMessage():
                    return Answer(status, bytes(body))
                case h11.ConnectionClosed() | h11.PAUSED:
                    raise TunnelError("the connection was closed before the answer was whole")
                case _:
                    pass

    async def _receive(self) -> bytes:
        """Return the next bytes of the data channel; none of them means that the other side has closed."""
        while True:
            message = await self._socket.receive()
            if message.type is not aiohttp.WSMsgType.BINARY:
                raise TunnelError("the API server closed the port-forward")
            channel, payload = message.data[0], message.data[1:]
            if channel not in self._greeted:
                self._greeted.add(channel)
                payload = payload[PORT_BYTES:]
            if channel == ERROR and payload:
                raise TunnelError(payload.decode(errors="replace").strip())
            if channel == DATA and payload:
                return bytes(payload)
