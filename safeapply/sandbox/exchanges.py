"""One request on one connection, as its client sees it: served, or what came instead.

Raw asyncio protocols, because the generator must reach thousands of requests per second on part of a core.
An Envoy answers in HTTP/1.1 with lower-case header names, which is all that is parsed here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

__all__ = ["FLAGS_HEADER", "SERVED", "Bytes", "Http", "Report"]

SERVED = ""
"""The outcome of a request that got its answer; every other outcome says what came instead."""

FLAGS_HEADER = b"x-envoy-response-flags"
"""Where the embedded Envoys tell the client why they answered by themselves (%RESPONSE_FLAGS%)."""

SERVER_ERROR = 500
NO_ROUTE = "NR"
HEAD_END = b"\r\n\r\n"

Report: TypeAlias = Callable[[str], None]
"""Called once with the outcome of a request."""


class Http(asyncio.Protocol):
    """A keep-alive connection that carries one request at a time."""

    def __init__(self, gone: Callable[[Http], None]) -> None:
        self.used = False
        self._gone = gone
        self._transport: asyncio.Transport | None = None
        self._report: Report | None = None
        self._again: Callable[[], None] | None = None
        self._answer = b""
        self._bodiless = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def send(self, request: bytes, report: Report, *, again: Callable[[], None]) -> None:
        """Send a request; ``again`` is called instead of ``report`` where a client would send it anew.

        Clients do that (RFC 9110, 9.2.2) when a connection that had served before turns out to be closed before
        the first byte of an answer: it was closed while idle.
        """
        self._report, self._again, self._answer = report, again, b""
        self._bodiless = request.startswith(b"HEAD ")
        if self._transport is None or self._transport.is_closing():
            self.connection_lost(None)
        else:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Report the outcome once the whole answer is there."""
        self._answer += data
        head, found, body = self._answer.partition(HEAD_END)
        if not found or self._report is None:
            return
        fields = head + b"\r\n"
        if not (self._bodiless or _complete(fields, body)):
            return
        report, self._report, self.used = self._report, None, True
        if b"\r\nconnection: close\r\n" in fields:
            self.abort()
        report(_outcome(fields))

    def connection_lost(self, exc: Exception | None) -> None:
        """Report a request that will never be answered."""
        del exc
        self._gone(self)
        report, self._report = self._report, None
        if report is None:
            return
        if self.used and not self._answer and self._again is not None:
            self._again()
        else:
            report("reset")

    @property
    def reusable(self) -> bool:
        """Whether the next request can go this way."""
        return self._report is None and self._transport is not None and not self._transport.is_closing()

    def abort(self) -> None:
        """Close without ceremony; an unanswered request is no longer reported."""
        self._report = None
        if self._transport is not None:
            self._transport.abort()


class Bytes(asyncio.Protocol):
    """A connection that sends some bytes and counts as served by the first that come back."""

    def __init__(self, payload: bytes, report: Report) -> None:
        self._payload = payload
        self._report: Report | None = report
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send at once."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
            transport.write(self._payload)

    def data_received(self, data: bytes) -> None:
        """Take any answer for good."""
        del data
        report = self._report
        self.abort()
        if report is not None:
            report(SERVED)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report a connection that closed without an answer."""
        del exc
        report, self._report = self._report, None
        if report is not None:
            report("reset")

    def abort(self) -> None:
        """Close without ceremony; nothing is reported any more."""
        self._report = None
        if self._transport is not None:
            self._transport.abort()


def _complete(fields: bytes, body: bytes) -> bool:
    length = _field(fields, b"content-length")
    if length is not None:
        return len(body) >= int(length)
    if b"\r\ntransfer-encoding: chunked\r\n" in fields:
        return body.endswith(b"0\r\n\r\n")
    return True


def _outcome(fields: bytes) -> str:
    status = int(fields[9:12])
    flags = (_field(fields, FLAGS_HEADER) or b"-").decode()
    if status < SERVER_ERROR and NO_ROUTE not in flags.split(","):
        return SERVED
    return str(status) if flags == "-" else flags


def _field(fields: bytes, name: bytes) -> bytes | None:
    start = fields.find(b"\r\n" + name + b": ")
    if start < 0:
        return None
    start += len(name) + 4
    return fields[start : fields.index(b"\r\n", start)]
