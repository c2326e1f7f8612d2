"""An API server that answers each request with what a test says, byte for byte, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from kubernetes.aio.client.configuration import Configuration

from safeapply.adapters.access import ClusterAccess
from safeapply.adapters.certificates import opened
from safeapply.adapters.connection import Connection
from safeapply.adapters.credentials import Identity, Login

Head: TypeAlias = list[str]
CORE = {"kind": "APIResourceList", "resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}]}


@dataclass
class Told:
    """What a server was asked."""

    url: str = ""
    heads: list[Head] = field(default_factory=list)
    """The lines of each request, without its body."""

    @property
    def targets(self) -> list[str]:
        """The path and the query of each request, as they came over the wire."""
        return [head[0].split(" ")[1] for head in self.heads]

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the last request, in small letters."""
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in self.heads[-1][1:])}


Answering: TypeAlias = Callable[[str, asyncio.StreamWriter], Any]
"""Takes the target of a request and writes its answer; may be awaited."""


def http(document: Mapping[str, Any], status: int = 200) -> bytes:
    """Return a JSON answer."""
    body = json.dumps(document).encode()
    head = f"HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


@asynccontextmanager
async def serving(answer: Answering) -> AsyncIterator[Told]:
    """Run a server until the context ends."""
    told, writers = Told(), list[asyncio.StreamWriter]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
                told.heads.append(head)
                length = next((line.split()[1] for line in head if line.lower().startswith("content-length:")), "0")
                await reader.readexactly(int(length))
                answered = answer(told.targets[-1], writer)
                if asyncio.iscoroutine(answered):
                    await answered
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    told.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield told
    finally:
        server.close()
        for writer in writers:
            writer.close()


@asynccontextmanager
async def connection_to(url: str, identity: Identity | None = None, **access: Any) -> AsyncIterator[Connection]:
    """Hand over a connection to an address, as somebody."""
    settings = Configuration()
    settings.host = url
    client = opened(settings)
    try:
        yield Connection(client, Login(settings, ClusterAccess(**access), identity or Identity("default")))
    finally:
        await client.close()
        await asyncio.sleep(0)
