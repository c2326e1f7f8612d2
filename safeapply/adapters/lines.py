"""One line to one HTTP server: a question, its whole answer, the next question. What carries the bytes is a pipe.

HTTP is h11's: it is sans-I/O, so a websocket does as well as a socket.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import aiohttp
import h11

from safeapply.ports import Answer

__all__ = ["HttpLine", "Line", "Pipe", "StreamPipe", "TunnelError"]

READ_BYTES = 65536


class TunnelError(Exception):
    """The way to a server broke, and why; what was asked has no answer."""


class Line(Protocol):
    """A way to ask one server, one question at a time."""

    @property
    def closed(self) -> bool:
        """Tell whether nothing can be asked any more."""
        ...

    async def get(self, path: str) -> Answer:
        """Ask for a path and return the whole answer.

        Raises:
            TunnelError: the line broke before the answer was whole.
        """
        ...

    async def close(self) -> None:
        """Hang up."""
        ...


class Pipe(Protocol):
    """Bytes there and back. What it raises is a ``TunnelError``, an ``OSError`` or an aiohttp error."""

    @property
    def closed(self) -> bool:
        """Tell whether either side has closed."""
        ...

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        ...

    async def receive(self) -> bytes:
        """Return the next bytes; none of them means that the other side has closed."""
        ...

    async def close(self) -> None:
        """Close."""
        ...


class HttpLine:
    """HTTP/1.1 over a pipe."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._http = h11.Connection(our_role=h11.CLIENT)

    @property
    def closed(self) -> bool:
        """Tell whether nothing can be asked any more."""
        return self._pipe.closed or self._http.our_state not in {h11.IDLE, h11.DONE}

    async def get(self, path: str) -> Answer:
        """Ask for a path and return the whole answer.

        Raises:
            TunnelError: the line broke before the answer was whole.
        """
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        try:
            request = self._http.send(h11.Request(method="GET", target=path, headers=[("Host", "envoy")]))
            await self._pipe.send((request or b"") + (self._http.send(h11.EndOfMessage()) or b""))
            return await self._answer()
        except (h11.ProtocolError, aiohttp.ClientError, OSError) as error:
            raise TunnelError(f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Close the pipe."""
        await self._pipe.close()

    async def _answer(self) -> Answer:
        status = 0
        body = bytearray()
        while True:
            event = self._http.next_event()
            match event:
                case h11.NEED_DATA:
                    self._http.receive_data(await self._pipe.receive())
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


class StreamPipe:
    """A plain socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @property
    def closed(self) -> bool:
        """Tell whether either side has closed."""
        return self._writer.is_closing() or self._reader.at_eof()

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self) -> bytes:
        """Return the next bytes; none of them means that the other side has closed."""
        return await self._reader.read(READ_BYTES)

    async def close(self) -> None:
        """Close."""
        self._writer.close()
