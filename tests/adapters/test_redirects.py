"""A redirect is an error that is told: credentials and bodies go to the server of the kubeconfig, no further."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from safeapply.adapters.credentials import Identity
from safeapply.adapters.envoy import PortForward
from safeapply.adapters.istiod import IstiodPages
from safeapply.adapters.kube import KubeCluster
from safeapply.errors import ClusterError, IstiodError, ProxyError
from safeapply.istio.replicas import Replica
from safeapply.resources.objects import Namespace, Resource, ResourceId
from tests.adapters.servers import CORE, Told, connection_to, http, serving
from tests.rollout.memory import proxy

SETTINGS = ResourceId("", "ConfigMap", Namespace("default"), "settings")
DOCUMENT = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "default"}}
SOMEBODY = Identity("default", (("Impersonate-User", "somebody"),))


@asynccontextmanager
async def redirecting(status: int, *, discovers: bool = True) -> AsyncIterator[tuple[Told, Told]]:
    """Run a server that sends everything but discovery to another one, which only listens."""

    def listen(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(http({"kind": "Status"}))

    async with serving(listen) as other:

        def send_away(target: str, writer: asyncio.StreamWriter) -> None:
            if discovers and target == "/api/v1":
                writer.write(http(CORE))
            else:
                place = f"location: {other.url}{target}\r\n"
                writer.write(f"HTTP/1.1 {status} -\r\n{place}content-length: 0\r\n\r\n".encode())

        async with serving(send_away) as server:
            yield server, other


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_request_goes_on_elsewhere(status: int) -> None:
    """Neither reads nor writes, whose bodies would go along; one sentence says where to."""
    async with redirecting(status) as (server, other), connection_to(server.url, SOMEBODY) as connection:
        cluster = KubeCluster(connection)
        for asking in (
            cluster.get(SETTINGS),
            cluster.apply(Resource(SETTINGS, DOCUMENT)),
            cluster.create(Resource(SETTINGS, DOCUMENT)),
            cluster.delete(Resource(SETTINGS, DOCUMENT)),
            anext(cluster.watch(SETTINGS.group_kind)),
        ):
            with pytest.raises(ClusterError, match=rf"HTTP {status} sends elsewhere, to '{other.url}"):
                await asking
        assert other.heads == []


async def test_no_watch_goes_on_elsewhere() -> None:
    """It is opened by another way than requests."""
    async with redirecting(307) as (server, other), connection_to(server.url, SOMEBODY) as connection:
        with pytest.raises(Exception, match="HTTP 307 sends elsewhere"):
            await connection.stream("/api/v1/configmaps", {"watch": "true"}, seconds=5)
        assert other.heads == []


async def test_no_websocket_goes_on_elsewhere() -> None:
    """Neither to an Envoy nor to istiod."""
    async with redirecting(302) as (server, other), connection_to(server.url, SOMEBODY) as connection:
        proxies, istiods = PortForward(connection), IstiodPages(connection)
        with pytest.raises(ProxyError, match="HTTP 302 sends elsewhere"):
            await proxies.ask(proxy("web"), "/ready", deadline=5)
        with pytest.raises(IstiodError, match="HTTP 302 sends elsewhere"):
            await istiods.ask(Replica(Namespace("istio-system"), "istiod-0", "uid"), "/debug/syncz", deadline=5)
        await proxies.close()
        assert other.heads == []
