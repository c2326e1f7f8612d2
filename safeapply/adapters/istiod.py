"""The ``Istiods`` port: the debug pages of istiod, reached by port-forward through the API server.

istiod trusts whoever asks from its pod's own loopback address, so this needs nothing beyond the right that reading
Envoys needs (ISTIO.md 7.6). The pages are served beside the metrics, and on the port of the readiness probe.
"""

from __future__ import annotations

import asyncio

import aiohttp

from safeapply.adapters.allowance import Bounded
from safeapply.adapters.connection import Connection
from safeapply.adapters.paths import path_of
from safeapply.adapters.tunnel import Tunnel, TunnelError
from safeapply.adapters.websockets import refusal
from safeapply.errors import IstiodError
from safeapply.istio.replicas import Replica
from safeapply.ports import Answer
from safeapply.rollout.durations import duration

__all__ = ["IstiodPages"]

PORTS = ("15014", "8080")
PROTOCOL = "v4.channel.k8s.io"
OK = 200
LARGEST = 128 * 1024**2
"""Bytes of a page; that of all objects of a mesh is the largest."""


class IstiodPages:
    """Tunnels to the replicas of istiod, one for each, kept open until ``close``."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tunnels: dict[str, Tunnel] = {}
        """By the pod's uid; one that is in use is not in here."""

    async def ask(self, replica: Replica, path: str, *, deadline: float) -> Answer:
        """GET a path of one replica's debug pages within ``deadline`` seconds.

        Raises:
            IstiodError: no whole HTTP answer came back.
        """
        try:
            async with asyncio.timeout(deadline):
                return await self._ask(replica, path)
        except TimeoutError as error:
            raise IstiodError(replica.id, f"no answer within {duration(deadline)}") from error
        except TunnelError as error:
            raise IstiodError(replica.id, str(error)) from error

    async def close(self) -> None:
        """Close every tunnel."""
        while self._tunnels:
            await self._tunnels.popitem()[1].close()

    async def _ask(self, replica: Replica, path: str) -> Answer:
        known = self._tunnels.pop(replica.uid, None)
        if known is not None and not known.closed:
            return await self._get(replica, known, path)
        first, second = PORTS
        try:
            answer = await self._get(replica, await self._tunnel(replica, first), path)
        except TunnelError:
            return await self._get(replica, await self._tunnel(replica, second), path)
        return answer if answer.status == OK else await self._second_opinion(replica, path, answer)

    async def _second_opinion(self, replica: Replica, path: str, first: Answer) -> Answer:
        """Ask on the other port, where the first one serves other pages than these."""
        try:
            return await self._get(replica, await self._tunnel(replica, PORTS[1]), path)
        except TunnelError:
            return first

    async def _get(self, replica: Replica, tunnel: Tunnel, path: str) -> Answer:
        try:
            answer = await tunnel.get(path, Bounded(LARGEST))
        except BaseException:
            # Half a conversation cannot be gone on with, also when it was cancelled.
            await tunnel.close()
            raise
        if tunnel.closed or answer.status != OK:
            await tunnel.close()
        else:
            self._tunnels[replica.uid] = tunnel
        return answer

    async def _tunnel(self, replica: Replica, port: str) -> Tunnel:
        path = path_of("api", "v1", "namespaces", replica.namespace, "pods", replica.pod, "portforward")
        try:
            return Tunnel(await self._connection.websocket(path, {"ports": port}, protocol=PROTOCOL))
        except aiohttp.WSServerHandshakeError as error:
            raise TunnelError(refusal(path, error.status, "port-forward")) from error
        except (aiohttp.ClientError, OSError) as error:
            raise TunnelError(f"the port-forward could not be opened ({error})") from error
