"""Websockets to pods through the API server: many at once, in a session of their own.

The session of the other requests allows so many connections in all, open websockets among them; a fleet must not
starve the rollout's own writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

import aiohttp

from safeapply.adapters.connection import HANGING_UP, Connection
from safeapply.adapters.lines import TunnelError
from safeapply.adapters.redirects import refuse_redirects

__all__ = ["Websockets", "refusal"]

FORBIDDEN = 403
LARGEST = 4 * 1024**2
"""Bytes of one message; API servers pass on what they have read, some tens of kilobytes."""


class Websockets:
    """Opens websockets with the credentials, the CA and the proxy of the kubeconfig."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._session: aiohttp.ClientSession | None = None

    async def open(
        self, path: str, query: Iterable[tuple[str, str]], *, protocols: tuple[str, ...], what: str
    ) -> aiohttp.ClientWebSocketResponse:
        """Open one websocket.

        Args:
            path: below the API server's address.
            query: names and values; a name may come twice.
            protocols: what may be spoken, the best first.
            what: the word for errors: ``port-forward``.

        Raises:
            TunnelError: the API server cannot be reached, or refuses.
        """
        url = f"{self._connection.server}{path}?{urlencode(list(query))}"
        headers = await self._connection.headers()
        try:
            opened: aiohttp.ClientWebSocketResponse = await self._opened().ws_connect(
                url, protocols=protocols, headers=headers, timeout=HANGING_UP, max_msg_size=LARGEST, **self._ways()
            )
        except aiohttp.WSServerHandshakeError as error:
            raise TunnelError(refusal(path, error.status, what)) from error
        except (aiohttp.ClientError, OSError) as error:
            raise TunnelError(f"the {what} could not be opened ({error})") from error
        return opened

    async def close(self) -> None:
        """Close all that is still open."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Loading all CAs takes longer than many questions: the context is the client's own.
            connector = aiohttp.TCPConnector(limit=0, ssl=self._connection.client.rest_client.ssl_context)
            self._session = aiohttp.ClientSession(connector=connector, middlewares=(refuse_redirects,))
        return self._session

    def _ways(self) -> dict[str, Any]:
        """Return how the kubeconfig, or the environment, wants the server to be reached."""
        settings = self._connection.client.configuration
        ways = {
            "proxy": settings.proxy,
            "proxy_headers": settings.proxy_headers,
            "server_hostname": settings.tls_server_name,
        }
        return {name: value for name, value in ways.items() if value}


def refusal(path: str, status: int, what: str) -> str:
    """Return the sentence for a websocket that the API server refuses; its own are lost with the handshake."""
    if status != FORBIDDEN:
        return f"the API server refused the {what} with HTTP {status}"
    _, _, space = path.partition("/namespaces/")
    resource = f"pods/{path.rpartition('/')[2]}"
    return (
        f"the API server forbids the {what}: get and create {resource} in namespace {space.partition('/')[0]} are "
        "needed; `safeapply rbac` prints them"
    )
