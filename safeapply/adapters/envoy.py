"""The ``Proxies`` port: Envoys' admin ports, reached by port-forward through the API server.

Istio binds the admin port to the pod's own loopback address, so port-forward is the way that needs nothing
installed (ISTIO.md 8.1). A tunnel stays open while its proxy is a straggler; a bounded number are open at once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

import aiohttp
from kubernetes.aio.stream import WsApiClient

from safeapply.adapters.connection import Connection
from safeapply.adapters.tunnel import Tunnel, TunnelError
from safeapply.errors import ProxyError
from safeapply.istio.proxies import Proxy
from safeapply.ports import Answer

__all__ = ["PortForward"]

ADMIN_PORT = "15000"
PROTOCOL = "v4.channel.k8s.io"


class PortForward:
    """Tunnels to the admin ports of many Envoys."""

    def __init__(self, connection: Connection, *, max_connections: int = 64) -> None:
        self._connection = connection
        self._client = WsApiClient(connection.client.configuration)
        self._most = max_connections
        self._asking = asyncio.Semaphore(max_connections)
        self._idle: OrderedDict[str, Tunnel] = OrderedDict()
        """Open tunnels that nobody uses now, the longest unused first, by the pod's uid."""
        self._open = 0

    async def ask(self, proxy: Proxy, path: str, *, deadline: float) -> Answer:
        """GET a path of one Envoy's admin interface within ``deadline`` seconds.

        Raises:
            ProxyError: no whole HTTP answer came back.
        """
        async with self._asking:
            try:
                async with asyncio.timeout(deadline):
                    return await self._ask(proxy, path)
            except TimeoutError as error:
                raise ProxyError(proxy.id, f"no answer within {deadline:g} s") from error
            except TunnelError as error:
                raise ProxyError(proxy.id, str(error)) from error

    async def release(self, proxy: Proxy) -> None:
        """Close the tunnel to a proxy, because it will not be asked again soon."""
        tunnel = self._idle.pop(proxy.uid, None)
        if tunnel is not None:
            await self._close(tunnel)

    async def close(self) -> None:
        """Close every tunnel, and the client."""
        while self._idle:
            await self._close(self._idle.popitem()[1])
        await self._client.close()

    async def _ask(self, proxy: Proxy, path: str) -> Answer:
        tunnel = self._idle.pop(proxy.uid, None) or await self._tunnel(proxy)
        try:
            answer = await tunnel.get(path)
        except BaseException:
            # Half a conversation cannot be gone on with, also when it was cancelled.
            await self._close(tunnel)
            raise
        if tunnel.closed:
            await self._close(tunnel)
        else:
            self._idle[proxy.uid] = tunnel
        return answer

    async def _tunnel(self, proxy: Proxy) -> Tunnel:
        if self._open >= self._most and self._idle:
            await self._close(self._idle.popitem(last=False)[1])
        url = f"{self._connection.server}/api/v1/namespaces/{proxy.namespace}/pods/{proxy.pod}/portforward"
        headers = {**await self._connection.headers(), "sec-websocket-protocol": PROTOCOL}
        self._open += 1
        try:
            opening = await self._client.request(
                "GET", url, query_params=[("ports", ADMIN_PORT)], headers=headers, _preload_content=False
            )
            return Tunnel(await opening)
        except BaseException as error:
            self._open -= 1
            if isinstance(error, aiohttp.ClientError | OSError):
                raise TunnelError(_refused(error)) from error
            raise

    async def _close(self, tunnel: Tunnel) -> None:
        self._open -= 1
        await tunnel.close()


def _refused(error: Exception) -> str:
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"the API server refused the port-forward with HTTP {error.status}"
    return f"the port-forward could not be opened ({error})"
