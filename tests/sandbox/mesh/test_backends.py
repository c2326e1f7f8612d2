"""Pods answer on their sockets, whatever is spoken."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from safeapply.errors import SandboxError
from safeapply.sandbox.backends import Backends

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
GET_ON_STREAM_1 = bytes((0, 0, 1, 1, 5, 0, 0, 0, 1)) + b"\x82"


async def _converse(path: Path, *said: bytes, until: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    heard = b""
    async with asyncio.timeout(5):
        for words in said:
            writer.write(words)
            await writer.drain()
        while until not in heard:
            chunk = await reader.read(4096)
            assert chunk, f"closed after {heard!r}"
            heard += chunk
    writer.close()
    await writer.wait_closed()
    return heard


async def test_http_requests_on_one_connection_are_each_answered(run: Path) -> None:
    """Two requests, one with a body and one split in the middle, get two answers that name the pod."""
    path = run / "b" / "10.0.0.1_80.sock"
    async with await Backends.start() as backends:
        await backends.listen(path, pod="reviews-0", labels={"version": "v1", "app": "reviews"})
        first = b"POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\nbody"
        second = b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n"
        heard = await _converse(path, first + second[:10], second[10:], until=b"reviews-0\nHTTP/1.1 200 OK")
    assert b"x-pod-labels: app=reviews,version=v1\r\n" in heard


async def test_a_chunked_body_ends_with_its_last_chunk(run: Path) -> None:
    """Envoy forwards bodies of unknown length in chunks; the answer comes after the last."""
    path = run / "b.sock"
    async with await Backends.start() as backends:
        await backends.listen(path, pod="p", labels={})
        head = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
        heard = await _converse(
            path, head + b"2\r\nhi\r\n", b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n", until=b"p\nHTTP/1.1 200"
        )
    assert heard.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_http2_is_answered_with_200(run: Path) -> None:
    """A request of gRPC's protocol ends with the indexed header ``:status: 200`` on its stream."""
    path = run / "b.sock"
    async with await Backends.start() as backends:
        await backends.listen(path, pod="p", labels={})
        answer = bytes((0, 0, 1, 1, 5, 0, 0, 0, 1)) + b"\x88"
        assert answer in await _converse(path, PREFACE, GET_ON_STREAM_1, until=answer)


@pytest.mark.parametrize("said", [b"\x16\x03\x01 hello", b"SELECT 1\r\n"])
async def test_other_bytes_come_back(run: Path, said: bytes) -> None:
    """What is neither HTTP/1.1 nor HTTP/2 is echoed, so that any TCP client gets an answer."""
    path = run / "b.sock"
    async with await Backends.start() as backends:
        await backends.listen(path, pod="p", labels={})
        assert await _converse(path, said, until=said) == said


async def test_a_closed_pod_refuses_and_its_socket_is_gone(run: Path) -> None:
    """Closing drops open connections and leaves no file."""
    path = run / "b.sock"
    async with await Backends.start() as backends:
        await backends.listen(path, pod="p", labels={})
        reader, writer = await asyncio.open_unix_connection(path)
        await backends.close(path)
        assert await reader.read() == b""
        writer.close()
        with pytest.raises(FileNotFoundError):
            await asyncio.open_unix_connection(path)


async def test_a_socket_that_cannot_be_opened_is_one_sentence(run: Path) -> None:
    """A path beyond the limit of unix sockets is an error of ours, not of asyncio."""
    async with await Backends.start() as backends:
        with pytest.raises(SandboxError, match=r"a pod cannot listen: .*too long"):
            await backends.listen(run / ("x" * 120), pod="p", labels={})
