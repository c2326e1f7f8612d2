"""The ``Proxies`` port by port-forward through the API server.

Istio binds the admin port to the pod's own loopback address, so port-forward is the way that needs nothing
installed (ISTIO.md 8.1).
"""

from __future__ import annotations

from safeapply.adapters.admin import AdminPorts
from safeapply.adapters.connection import Connection
from safeapply.adapters.lines import Line
from safeapply.adapters.paths import path_of
from safeapply.adapters.tunnel import PROTOCOL, Tunnel
from safeapply.adapters.websockets import Websockets
from safeapply.istio.proxies import Proxy

__all__ = ["PortForward"]

ADMIN_PORT = "15000"


class PortForward(AdminPorts):
    """Tunnels to the admin ports of many Envoys."""

    def __init__(self, connection: Connection, *, max_connections: int = 64) -> None:
        super().__init__(self._tunnel, max_connections=max_connections)
        self._websockets = Websockets(connection)

    async def close(self) -> None:
        """Close every tunnel, and the session."""
        await super().close()
        await self._websockets.close()

    async def _tunnel(self, proxy: Proxy) -> Line:
        path = path_of("api", "v1", "namespaces", proxy.namespace, "pods", proxy.pod, "portforward")
        query = [("ports", ADMIN_PORT)]
        return Tunnel(await self._websockets.open(path, query, protocols=(PROTOCOL,), what="port-forward"))
