"""``pods/portforward`` over a websocket, subprotocol ``v4.channel.k8s.io`` (ENVOY.md 5).

Port i of the request has two channels: 2i for data and 2i+1 for errors. The first byte of each frame is its
channel; the server opens each with the number of its port. One websocket is one connection to the pod.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from safeapply.sandbox.apiserver.statuses import bad_request

__all__ = ["PROTOCOL", "forward", "ports_of"]

PROTOCOL = "v4.channel.k8s.io"
READ_BYTES = 65536
HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class _Line:
    """The connection behind one port of the request."""

    index: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


def ports_of(request: web.Request) -> tuple[int, ...]:
    """Return the ports that a request wants to reach.

    Raises:
        StatusError: 400, where it is no websocket of the right protocol, or names no port.
    """
    offered = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    if request.headers.get("Upgrade", "").lower() != "websocket" or PROTOCOL not in offered:
        raise bad_request(f"unable to upgrade: a websocket with the protocol {PROTOCOL} is required")
    texts = [text for value in request.query.getall("ports", []) for text in value.split(",")]
    if not texts or not all(text.isdecimal() and 0 < int(text) <= HIGHEST_PORT for text in texts):
        raise bad_request("query parameter 'ports' is required: a list of port numbers")
    return tuple(map(int, texts))


async def forward(
    request: web.Request,
    ports: tuple[int, ...],
    address_of: Callable[[int], str | None],
    *,
    closing: asyncio.Event,
) -> web.StreamResponse:
    """Carry bytes between a client and a pod until one of them, or the server, closes."""
    socket = web.WebSocketResponse(protocols=(PROTOCOL,), compress=False, max_msg_size=0)
    try:
        await socket.prepare(request)
    except ConnectionError:
        # Whoever asked has left: that is no failure of the server's, and nobody reads what is answered.
        return web.Response()
    lines: list[_Line] = []
    with contextlib.suppress(ConnectionError):
        try:
            await _announce(socket, ports)
            for port in ports:
                lines.append(await _connect(len(lines), port, address_of(port)))
            await _carry(socket, lines, closing)
        except _RefusedError as error:
            await socket.send_bytes(bytes((2 * len(lines) + 1,)) + str(error).encode())
        finally:
            for line in lines:
                line.writer.close()
            await socket.close()
    return socket


class _RefusedError(Exception):
    """Nothing answers at a port of the pod."""


async def _announce(socket: web.WebSocketResponse, ports: tuple[int, ...]) -> None:
    for index, port in enumerate(ports):
        for channel in (2 * index, 2 * index + 1):
            await socket.send_bytes(bytes((channel,)) + port.to_bytes(2, "little"))


async def _connect(index: int, port: int, address: str | None) -> _Line:
    try:
        if address is None:
            raise ConnectionRefusedError("connection refused")
        reader, writer = await asyncio.open_unix_connection(address)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise _RefusedError(f"error forwarding port {port}: dial tcp 127.0.0.1:{port}: {reason}") from error
    return _Line(index, reader, writer)


async def _carry(socket: web.WebSocketResponse, lines: list[_Line], closing: asyncio.Event) -> None:
    """Return when a side has closed, and what it had said before is passed on."""
    tasks = [asyncio.ensure_future(_from_pod(socket, line)) for line in lines]
    tasks += [asyncio.ensure_future(_from_client(socket, lines)), asyncio.ensure_future(_until(closing))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _from_pod(socket: web.WebSocketResponse, line: _Line) -> None:
    channel = bytes((2 * line.index,))
    while chunk := await line.reader.read(READ_BYTES):
        await socket.send_bytes(channel + chunk)


async def _from_client(socket: web.WebSocketResponse, lines: list[_Line]) -> None:
    async for message in socket:
        if message.type is WSMsgType.BINARY and message.data and message.data[0] // 2 < len(lines):
            line = lines[message.data[0] // 2]
            line.writer.write(message.data[1:])
            await line.writer.drain()


async def _until(closing: asyncio.Event) -> None:
    await closing.wait()
