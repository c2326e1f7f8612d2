"""Clients count what they see: real sockets, no Envoy in between."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from safeapply.sandbox.backends import Backends
from safeapply.sandbox.exchanges import SERVED, Bytes, Http
from safeapply.sandbox.traffic import Target, Traffic

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


def _target(path: Path, *, payload: bytes = GET, http: bool = True) -> Target:
    return Target("client-1.default", f"to {path.name}", path, payload, http)


class _Answering(asyncio.Protocol):
    """Does the same to everybody who says anything."""

    def __init__(self, answer: Callable[[asyncio.Transport], None], guests: list[asyncio.Transport]) -> None:
        self._answer = answer
        self._guests = guests

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._guests.append(transport)

    def data_received(self, data: bytes) -> None:
        assert data
        self._answer(self._guests[-1])


@asynccontextmanager
async def _server(path: Path, answer: Callable[[asyncio.Transport], None]) -> AsyncIterator[None]:
    guests: list[asyncio.Transport] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(lambda: _Answering(answer, guests), str(path))
    yield
    server.close()
    for guest in guests:
        guest.abort()
    await server.wait_closed()


async def test_a_mesh_at_rest_fails_nothing(run: Path) -> None:
    """HTTP and TCP probes that are served all the time count as requests, none of them failed."""
    path = run / "b.sock"
    async with await Backends.start() as backends:
        await backends.listen(path, pod="p", labels={})
        targets = [_target(path), _target(path, payload=b"\x00ping", http=False)]
        async with await Traffic.start(targets, rate=500) as traffic:
            await traffic.before()
            await traffic.at_rest("during")
            verdict = await traffic.after()
    assert verdict.failed == 0
    assert verdict.requests >= len(targets)
    assert (verdict.lost, verdict.gained) == ({}, {})


async def test_an_interruption_is_counted_and_a_probe_never_served_is_not(run: Path) -> None:
    """A pod that goes away and comes back fails requests; one that never was says nothing."""
    path = run / "b.sock"
    async with await Backends.start() as backends:
        await backends.listen(path, pod="p", labels={})
        async with await Traffic.start([_target(path), _target(run / "never.sock")], rate=500) as traffic:
            await traffic.before()
            await backends.close(path)
            await traffic.at_rest("during")
            await backends.listen(path, pod="p", labels={})
            verdict = await traffic.after()
    assert verdict.failed > 0
    assert verdict.by_flag["refused"] > 0
    assert verdict.by_request == {"to b.sock": verdict.failed}
    assert sum(verdict.by_second.values()) == verdict.failed
    assert (verdict.lost, verdict.gained) == ({}, {})


async def test_what_ends_and_what_begins_to_be_served_is_told_apart(run: Path) -> None:
    """A host that the change takes away is lost and one that it brings is gained; neither has failed."""
    old, new = run / "old.sock", run / "new.sock"
    async with await Backends.start() as backends:
        await backends.listen(old, pod="p", labels={})
        async with await Traffic.start([_target(old), _target(new)], rate=500) as traffic:
            await traffic.before()
            await backends.close(old)
            await backends.listen(new, pod="p", labels={})
            verdict = await traffic.after()
    assert verdict.lost == {"to old.sock": ("client-1.default",)}
    assert verdict.gained == {"to new.sock": ("client-1.default",)}
    assert verdict.failed == 0


async def test_a_request_without_an_answer_times_out(run: Path) -> None:
    """Silence is a failure once the client's patience is over."""
    path, silent = run / "b.sock", asyncio.Event()

    def answer(client: asyncio.Transport) -> None:
        if not silent.is_set():
            client.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async with _server(path, answer), await Traffic.start([_target(path)], rate=100, patience=0.2) as traffic:
        await traffic.before()
        silent.set()
        await traffic.at_rest("during")
        silent.clear()
        verdict = await traffic.after()
    assert verdict.by_flag["timeout"] == verdict.failed > 0


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", SERVED),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", SERVED),
        (b"HTTP/1.1 301 Moved\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n", SERVED),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", SERVED),
        (b"HTTP/1.1 404 Not Found\r\nx-envoy-response-flags: NR\r\ncontent-length: 0\r\n\r\n", "NR"),
        (b"HTTP/1.1 503 x\r\nx-envoy-response-flags: NC\r\ncontent-length: 0\r\n\r\n", "NC"),
        (b"HTTP/1.1 503 x\r\ncontent-length: 19\r\n\r\nno healthy upstream", "503"),
        (b"HTTP/1.1 503 x\r\nx-envoy-response-flags: -\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", "503"),
    ],
)
async def test_outcomes_of_http_answers(run: Path, answer: bytes, outcome: str) -> None:
    """An answer is not served when it is a server error or Envoy found no route; a 404 of the application is."""
    assert await _exchange(run / "b.sock", answer) == outcome


async def _exchange(path: Path, answer: bytes) -> str:
    outcome = asyncio.get_running_loop().create_future()
    async with _server(path, lambda client: client.write(answer)), asyncio.timeout(5):
        _, http = await asyncio.get_running_loop().create_unix_connection(lambda: Http(lambda _: None), str(path))
        http.send(GET, outcome.set_result, again=lambda: outcome.set_result("again"))
        try:
            return str(await outcome)
        finally:
            http.abort()


async def test_an_answer_may_arrive_in_any_pieces() -> None:
    """Nothing is reported before the last byte."""
    outcomes: list[str] = []
    ended = asyncio.Event()

    def report(outcome: str) -> None:
        outcomes.append(outcome)
        ended.set()

    ours, theirs = socket.socketpair()
    _, http = await asyncio.get_running_loop().create_connection(lambda: Http(lambda _: None), sock=ours)
    http.send(GET, report, again=lambda: report("again"))
    with theirs:
        for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok":
            assert outcomes == []
            theirs.send(bytes((byte,)))
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await ended.wait()
    http.abort()
    assert outcomes == [SERVED]


async def test_a_fresh_connection_that_closes_is_a_reset_and_a_used_one_is_tried_again(run: Path) -> None:
    """Clients repeat a request only when an idle connection turned out to be closed before it was sent."""
    path, outcomes = run / "b.sock", asyncio.Queue[str]()

    async with _server(path, lambda client: client.close()), asyncio.timeout(5):
        for used, outcome in ((False, "reset"), (True, "again")):
            _, http = await asyncio.get_running_loop().create_unix_connection(
                lambda: Http(lambda _: None), str(path)
            )
            http.used = used
            http.send(GET, outcomes.put_nowait, again=lambda: outcomes.put_nowait("again"))
            assert await outcomes.get() == outcome


async def test_a_tcp_connection_that_closes_without_a_byte_is_a_reset(run: Path) -> None:
    """Plain TCP is served by the first byte that comes back, and by nothing less."""
    path, outcomes = run / "b.sock", asyncio.Queue[str]()

    async with _server(path, lambda client: client.close()), asyncio.timeout(5):
        await asyncio.get_running_loop().create_unix_connection(
            lambda: Bytes(b"ping", outcomes.put_nowait), str(path)
        )
        assert await outcomes.get() == "reset"
