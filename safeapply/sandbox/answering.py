"""The process behind every pod: one unix socket per pod port, HTTP/1.1, HTTP/2 and plain bytes on the same one.

It answers 200 at once and names the pod, so that a request which fails has failed in the mesh and nowhere
else. It runs on a Python of its own: neither the control plane nor the traffic may slow it down. It decides
nothing; ``backends`` tells it where to listen.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from enum import Enum
from pathlib import Path
from typing import assert_never

from safeapply.resources.objects import Document
from safeapply.sandbox.children import obey, raise_file_limit

__all__ = ["PodServer", "main"]

HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_END = b"\r\n\r\n"
CHUNKS_END = b"0\r\n\r\n"

FRAME_HEAD = 9
DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0x0, 0x1, 0x4, 0x6, 0x8
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
STATUS_200 = b"\x88"
"""``:status: 200`` is entry 8 of HPACK's static table (RFC 7541, appendix A)."""


class Speech(Enum):
    """What a client speaks."""

    HTTP1 = "HTTP/1.1"
    HTTP2 = "HTTP/2"
    BYTES = "bytes, sent back as they are"


class Connections:
    """The open connections of one pod port."""

    def __init__(self) -> None:
        self._open: set[asyncio.Transport] = set()
        self._closed = False

    def add(self, transport: asyncio.Transport) -> None:
        """Keep a connection; one that was accepted while the pod was stopped is dropped."""
        if self._closed:
            transport.abort()
        else:
            self._open.add(transport)

    def discard(self, transport: asyncio.Transport) -> None:
        """Forget a connection."""
        self._open.discard(transport)

    def close(self) -> None:
        """Drop all of them, now and later."""
        self._closed = True
        for transport in self._open:
            transport.close()


class PodServer(asyncio.Protocol):
    """One connection to a pod: it finds out from the first bytes which protocol is spoken."""

    def __init__(self, pod: str, labels: str, connections: Connections) -> None:
        body = f"{pod}\n".encode()
        head = f"HTTP/1.1 200 OK\r\nx-pod: {pod}\r\nx-pod-labels: {labels}\r\ncontent-length: {len(body)}\r\n\r\n"
        self._head = head.encode()
        self._answer = self._head + body
        self._connections = connections
        self._buffer = b""
        self._speaks: Speech | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the connection, so that a stopped pod can drop it."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(transport)
        self._transport = transport
        self._connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        del exc
        self._connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """Answer every whole request among the bytes so far."""
        self._buffer += data
        if self._speaks is None:
            self._speaks = _speech(self._buffer)
        match self._speaks:
            case None:
                return
            case Speech.HTTP1:
                self._answer_http1()
            case Speech.HTTP2:
                self._answer_http2()
            case Speech.BYTES:
                self._transport.write(self._buffer)
                self._buffer = b""
            case never:
                assert_never(never)

    def _answer_http1(self) -> None:
        while (end := _request_end(self._buffer)) is not None:
            head_only = self._buffer.startswith(b"HEAD ")
            self._transport.write(self._head if head_only else self._answer)
            self._buffer = self._buffer[end:]

    def _answer_http2(self) -> None:
        if self._buffer.startswith(HTTP2_PREFACE):
            self._buffer = self._buffer[len(HTTP2_PREFACE) :]
            self._transport.write(_frame(SETTINGS, 0, 0))
        while len(self._buffer) >= FRAME_HEAD:
            end = FRAME_HEAD + int.from_bytes(self._buffer[:3], "big")
            if len(self._buffer) < end:
                return
            self._answer_frame(self._buffer[:end])
            self._buffer = self._buffer[end:]

    def _answer_frame(self, frame: bytes) -> None:
        kind, flags, stream = frame[3], frame[4], int.from_bytes(frame[5:FRAME_HEAD], "big")
        if kind == SETTINGS and not flags & ACK:
            self._transport.write(_frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self._transport.write(_frame(PING, ACK, 0, frame[FRAME_HEAD:]))
        elif kind == DATA and len(frame) > FRAME_HEAD:
            grant = (len(frame) - FRAME_HEAD).to_bytes(4, "big")
            self._transport.write(_frame(WINDOW_UPDATE, 0, 0, grant) + _frame(WINDOW_UPDATE, 0, stream, grant))
        if kind in {HEADERS, DATA} and flags & END_STREAM:
            self._transport.write(_frame(HEADERS, END_HEADERS | END_STREAM, stream, STATUS_200))


def _speech(seen: bytes) -> Speech | None:
    if HTTP2_PREFACE.startswith(seen[: len(HTTP2_PREFACE)]):
        return Speech.HTTP2 if len(seen) >= len(HTTP2_PREFACE) else None
    if not seen[:1].isalpha():
        return Speech.BYTES
    first_line, found, _ = seen.partition(b"\r\n")
    if found:
        return Speech.HTTP1 if b" HTTP/1." in first_line else Speech.BYTES
    return None


def _request_end(seen: bytes) -> int | None:
    """Return where the first request ends, body and all, or None while it has not arrived."""
    head, found, rest = seen.partition(HEAD_END)
    if not found:
        return None
    start = len(head) + len(HEAD_END)
    fields = head.lower()
    if b"\r\ntransfer-encoding: chunked" in fields:
        chunks = rest.find(CHUNKS_END)
        return None if chunks < 0 else start + chunks + len(CHUNKS_END)
    _, found, tail = fields.partition(b"\r\ncontent-length:")
    end = start + (int(tail.split(b"\r\n", 1)[0]) if found else 0)
    return end if len(seen) >= end else None


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


class _Pods:
    """The sockets that are open, by path."""

    def __init__(self) -> None:
        self._servers: dict[Path, tuple[asyncio.Server, Connections]] = {}

    async def handle(self, order: Document) -> object:
        """Carry out one order of the parent and return what went wrong, or None."""
        path = Path(order["path"])
        try:
            match order["do"]:
                case "listen":
                    await self._listen(path, order["pod"], order["labels"])
                case "close":
                    self._close(path)
                case unknown:
                    return f"{unknown}: no such order"
        except OSError as error:
            return f"{path}: {error.strerror or error}"
        return None

    async def _listen(self, path: Path, pod: str, labels: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        connections = Connections()
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(lambda: PodServer(pod, labels, connections), path, backlog=1024)
        self._servers[path] = (server, connections)

    def _close(self, path: Path) -> None:
        server, connections = self._servers.pop(path)
        server.close()
        connections.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - one system call, no await between close and here


def main() -> None:
    """Serve pods until the parent is gone."""
    raise_file_limit()
    asyncio.run(obey(_Pods().handle))


if __name__ == "__main__":
    main()
