"""One question, one whole answer, and nothing that might be the answer to something else."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from safeapply.adapters.lines import HttpLine, TunnelError
from safeapply.ports import Answer

HELLO = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


@dataclass
class Recording:
    """A pipe out of which one answer comes, in pieces; then it is closed."""

    pieces: list[bytes]
    sent: list[bytes] = field(default_factory=list)
    closed: bool = False

    async def send(self, data: bytes) -> None:
        """Remember what was asked."""
        self.sent.append(data)

    async def receive(self) -> bytes:
        """Return the next piece."""
        return self.pieces.pop(0) if self.pieces else b""

    async def close(self) -> None:
        """Close."""
        self.closed = True


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_an_answer_is_whole_however_it_is_cut(size: int) -> None:
    """Frames of a websocket end anywhere, also within a chunk's length."""
    pipe = Recording([HELLO[at : at + size] for at in range(0, len(HELLO), size)] * 2)
    line = HttpLine(pipe)
    assert await line.get("/ready") == Answer(200, b"hello")
    assert await line.get("/ready") == Answer(200, b"hello")
    assert pipe.sent == [b"GET /ready HTTP/1.1\r\nHost: envoy\r\n\r\n"] * 2
    assert not line.closed


async def test_a_line_that_is_said_to_end_is_used_no_more() -> None:
    """``connection: close`` counts, whatever its case."""
    line = HttpLine(Recording([HELLO.replace(b"\r\n\r\n5", b"\r\nConnection: Close\r\n\r\n5")]))
    assert (await line.get("/ready")).body == b"hello"
    assert line.closed


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (HELLO[:-1], "the connection was closed before the answer was whole"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "the connection was closed before the answer was whole"),
        (HELLO + HELLO, "more came back than the answer to what was asked"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "more came back than the answer to what was asked"),
        (HELLO.replace(b"5", b"x"), "what came back is no HTTP answer"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "what came back is no HTTP answer"),
    ],
)
async def test_what_is_not_one_whole_answer_is_none(said: bytes, reason: str) -> None:
    """Cut off, of unknown length, two at once, or another protocol: what was asked has no answer."""
    with pytest.raises(TunnelError, match=reason):
        await HttpLine(Recording([said])).get("/ready")
