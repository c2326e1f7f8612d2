"""The API server as the node asks it: lists and watches, bindings, statuses."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

import aiohttp

from safeapply.resources.objects import Document
from tests.real.controlplane import PORT

__all__ = ["Api"]

CONFLICT, GONE, NOT_FOUND = 409, 410, 404
LINE: Final = 16 * 1024 * 1024


class Api:
    """One session with the API server, as the administrator."""

    def __init__(self, credentials: Path) -> None:
        """Take the certificates of a control plane's directory."""
        context = ssl.create_default_context(cafile=str(credentials / "ca.pem"))
        context.load_cert_chain(credentials / "admin.pem", credentials / "admin-key.pem")
        connector = aiohttp.TCPConnector(ssl=context, limit=64)
        self._session = aiohttp.ClientSession(
            f"https://127.0.0.1:{PORT}", connector=connector, read_bufsize=LINE, timeout=aiohttp.ClientTimeout(None)
        )

    async def __aenter__(self) -> Self:
        """Return it."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the session."""
        await self._session.close()

    async def ask(
        self, method: str, path: str, body: Document | None = None, *, kind: str = "application/json"
    ) -> Mapping[str, Any] | None:
        """Return the answer to a request; None where there is no such object, or it has changed or gone."""
        data = None if body is None else json.dumps(body)
        headers = {"content-type": kind, "user-agent": "kubelet"}
        async with self._session.request(method, path, data=data, headers=headers) as answer:
            document: dict[str, Any] = await answer.json()
        if answer.status in {CONFLICT, NOT_FOUND}:
            return None
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {document.get('message')}")
        return document

    async def follow(self, path: str) -> AsyncIterator[tuple[str, Document]]:
        """Yield ``(type, object)`` for all that is there and happens; ``RELIST`` comes before each list."""
        while True:
            listed = await self.ask("GET", path)
            if listed is None:
                raise RuntimeError(f"there is no {path}")
            yield "RELIST", {}
            for item in listed["items"]:
                yield "ADDED", item
            version = listed["metadata"]["resourceVersion"]
            query = f"{path}?watch=1&resourceVersion={version}&allowWatchBookmarks=false"
            try:
                async with self._session.get(query) as answer:
                    async for line in answer.content:
                        event = json.loads(line)
                        if event["type"] == "ERROR":
                            break
                        yield event["type"], event["object"]
            except (aiohttp.ClientError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.1)
