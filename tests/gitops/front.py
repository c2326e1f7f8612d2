"""TLS before the embedded API server, as pods meet it: they know its address, its CA and their own token."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import trustme
import yaml

HOST = "127.0.0.1"
CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Front:
    """A listening front."""

    port: int
    ca: bytes

    def kubeconfig(self, path: Path, token: str) -> Path:
        """Write what leads a client here."""
        (path.parent / "ca.crt").write_bytes(self.ca)
        cluster = {"server": f"https://{HOST}:{self.port}", "certificate-authority": str(path.parent / "ca.crt")}
        context = {"cluster": "mesh", "user": "me", "namespace": "default"}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "mesh", "cluster": cluster}],
            "users": [{"name": "me", "user": {"token": token}}],
            "contexts": [{"name": "mesh", "context": context}],
            "current-context": "mesh",
        }
        path.write_text(yaml.safe_dump(document))
        return path


@asynccontextmanager
async def front(url: str) -> AsyncIterator[Front]:
    """Listen before a server that speaks plain HTTP."""
    host, _, port = url.removeprefix("http://").partition(":")
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST).configure_cert(context)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(_pump(reader, behind_writer), _pump(behind_reader, writer))

    server = await asyncio.start_server(serve, HOST, 0, ssl=context)
    try:
        yield Front(server.sockets[0].getsockname()[1], authority.cert_pem.bytes())
    finally:
        server.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what one side says, until it says no more."""
    with suppress(OSError, ssl.SSLError):
        while part := await reader.read(CHUNK):
            writer.write(part)
            await writer.drain()
    with suppress(OSError, ssl.SSLError):
        writer.close()
