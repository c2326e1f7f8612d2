"""One line to one HTTP server: a question, its whole answer, the next question. What carries the bytes is a pipe.

HTTP is httptools': it is sans-I/O, so a websocket does as well as a socket, and it is written in C, because a large
mesh's routes are close to a megabyte for each Envoy.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import aiohttp
import httptools

from safeapply.adapters.allowance import Bounded, Share, TunnelError
from safeapply.ports import Answer

__all__ = ["HttpLine", "Line", "Pipe", "StreamPipe", "TunnelError"]

READ_BYTES = 65536
MEGABYTE = 1024**2
LONGEST_HEAD = 65536
"""Bytes of an answer beside its body and as much again; an Envoy's headers have less than one kilobyte."""
FINAL = 200
"""The lowest status of an answer that no other follows."""


class Line(Protocol):
    """A way to ask one server, one question at a time."""

    @property
    def closed(self) -> bool:
        """Tell whether nothing can be asked any more."""
        ...

    async def get(self, path: str, share: Share | None = None) -> Answer:
        """Ask for a path and return the whole answer.

        Args:
            path: the path, with its query.
            share: what the answer may take; without one, a megabyte.

        Raises:
            TunnelError: the line broke before the answer was whole, or it is too large.
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

    async def receive(self) -> bytes | memoryview:
        """Return the next bytes; none of them means that the other side has closed."""
        ...

    async def close(self) -> None:
        """Close."""
        ...


class HttpLine:
    """HTTP/1.1 over a pipe."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._spent = False
        """Whether the other side has said that it will hang up."""

    @property
    def closed(self) -> bool:
        """Tell whether nothing can be asked any more."""
        return self._spent or self._pipe.closed

    async def get(self, path: str, share: Share | None = None) -> Answer:
        """Ask for a path and return the whole answer.

        Args:
            path: the path, with its query.
            share: what the answer may take; without one, a megabyte.

        Raises:
            TunnelError: the line broke before the answer was whole, or it is too large.
        """
        try:
            await self._pipe.send(f"GET {path} HTTP/1.1\r\nHost: envoy\r\n\r\n".encode("ascii"))
            return await self._answer(share or Bounded(MEGABYTE))
        except httptools.HttpParserError as error:
            raise TunnelError(f"what came back is no HTTP answer ({error})") from error
        except (aiohttp.ClientError, OSError) as error:
            raise TunnelError(f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Close the pipe."""
        await self._pipe.close()

    async def _answer(self, share: Share) -> Answer:
        message = _Message()
        parser = httptools.HttpResponseParser(message)
        received = 0
        while not message.whole:
            data = await self._pipe.receive()
            if not data:
                raise TunnelError("the connection was closed before the answer was whole")
            await share.take(len(data))
            parser.feed_data(data)
            received += len(data)
            if received - message.size > LONGEST_HEAD + message.size:
                raise TunnelError("what came back is no HTTP answer (most of it is headers)")
        status = parser.get_status_code()
        if message.more or status < FINAL:
            raise TunnelError("more came back than the answer to what was asked")
        self._spent = message.is_last
        return Answer(status, b"".join(message.parts))


class _Message:
    """One answer as it comes in; the parser calls these methods by their names.

    It does not know the parser: large answers would wait in a circle for the garbage collector.
    """

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.whole = False
        self.more = False
        """Whether something followed in the same breath: nobody could tell what that answers."""
        self.is_last = False
        self.size = 0
        """Bytes of the body."""

    def on_message_begin(self) -> None:
        self.more = self.whole

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"connection":
            self.is_last = value.lower() == b"close"

    def on_body(self, body: bytes) -> None:
        self.parts.append(body)
        self.size += len(body)

    def on_message_complete(self) -> None:
        self.whole = True


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
