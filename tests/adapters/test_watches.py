"""Following the objects of a kind on an API server that forgets, forbids and goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from safeapply.adapters import watches
from safeapply.adapters.access import ClusterAccess
from safeapply.adapters.connection import connected
from safeapply.adapters.kube import KubeCluster
from safeapply.errors import ClusterError
from safeapply.istio.kinds import POD
from safeapply.ports import Changed, Gone, Listed, Sighting
from safeapply.resources.objects import Document, Namespace, ResourceId
from safeapply.sandbox.apiserver import ApiServer, Store

PATIENCE = 10.0


def pod(name: str) -> Document:
    """Return a pod."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [{"name": "app", "image": "app"}]},
    }


@asynccontextmanager
async def served(directory: Path) -> AsyncIterator[tuple[Store, ApiServer, KubeCluster]]:
    """Serve a store on a socket, with a client of it."""
    store = Store()
    server = ApiServer(store, admin_address=lambda *_: None)
    await server.start()
    (directory / "kubeconfig").write_text(server.kubeconfig())
    try:
        async with connected(ClusterAccess(str(directory / "kubeconfig"))) as connection:
            yield store, server, KubeCluster(connection)
    finally:
        await server.stop()


def told(sighting: Sighting) -> str:
    """Return a sighting in a word or two."""
    match sighting:
        case Listed(resources=resources):
            return "listed " + ",".join(one.id.name for one in resources)
        case Changed(resource=one):
            return f"changed {one.id.name}"
        case Gone(resource=one):
            return f"gone {one.id.name}"


async def test_what_there_is_and_then_every_change(tmp_path: Path) -> None:
    """An object that appears, one that goes; nothing is told twice."""
    async with (
        asyncio.timeout(PATIENCE),
        served(tmp_path) as (store, _, cluster),
        aclosing(cluster.watch(POD)) as sightings,
    ):
        store.create(pod("a"))
        assert told(await anext(sightings)) == "listed a"
        store.create(pod("b"))
        assert told(await anext(sightings)) == "changed b"
        store.delete(ResourceId("", "Pod", Namespace("default"), "a"))
        assert told(await anext(sightings)) == "gone a"


async def test_a_forgotten_past_is_listed_anew(tmp_path: Path) -> None:
    """410: the server does not know the changes since any more, so all that there is is told."""
    async with (
        asyncio.timeout(PATIENCE),
        served(tmp_path) as (store, _, cluster),
        aclosing(cluster.watch(POD)) as sightings,
    ):
        assert told(await anext(sightings)) == "listed "
        store.create(pod("a"))
        store.ledger.forget()
        assert told(await anext(sightings)) == "listed a"


async def test_a_watch_that_the_server_ends_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers end every watch after a while; the next one goes on where it ended."""
    monkeypatch.setattr(watches, "SECONDS", 1)
    begun, taken_up = list[str](), asyncio.Event()

    def count(verb: str, _: object) -> None:
        begun.extend([verb] if verb == "watch" else [])
        if len(begun) > 1:
            taken_up.set()

    async with (
        asyncio.timeout(PATIENCE),
        served(tmp_path) as (store, server, cluster),
        aclosing(cluster.watch(POD)) as sightings,
    ):
        server.deny = count
        assert told(await anext(sightings)) == "listed "
        coming = asyncio.ensure_future(anext(sightings))
        await taken_up.wait()
        assert not coming.done()
        store.create(pod("a"))
        assert told(await coming) == "changed a"


async def test_a_watch_that_is_forbidden_is_an_error(tmp_path: Path) -> None:
    """Whoever may only list learns what there is, and has to ask again."""
    async with (
        asyncio.timeout(PATIENCE),
        served(tmp_path) as (_, server, cluster),
        aclosing(cluster.watch(POD)) as sightings,
    ):
        server.deny = lambda verb, _: "not you" if verb == "watch" else None
        assert told(await anext(sightings)) == "listed "
        with pytest.raises(ClusterError, match="not you"):
            await anext(sightings)


async def test_a_server_that_goes_away_is_an_error(tmp_path: Path) -> None:
    """No exception of the client's libraries leaves the adapter."""
    async with (
        asyncio.timeout(PATIENCE),
        served(tmp_path) as (_, server, cluster),
        aclosing(cluster.watch(POD)) as sightings,
    ):
        assert told(await anext(sightings)) == "listed "
        await server.stop()
        with pytest.raises(ClusterError):
            await anext(sightings)
