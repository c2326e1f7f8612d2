"""Faults of the API server, one at a time: what is tried again, what is not, and that nobody is told an untruth."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from safeapply.adapters import kube as kube_adapter
from safeapply.adapters.access import ClusterAccess
from safeapply.adapters.clock import SystemClock
from safeapply.adapters.connection import Connection, Reply, connected
from safeapply.adapters.kube import KubeCluster
from safeapply.errors import ClusterChangedError, ClusterError, ClusterUnreachableError, RejectedError
from safeapply.plans.found import Found
from safeapply.plans.records import State
from safeapply.resources.objects import Document, Namespace, Resource, ResourceId
from safeapply.rollout.history import History
from safeapply.sandbox.apiserver import ADMIN, Access
from safeapply.sandbox.apiserver.faults import ApiFault, ApiFaults
from tests.sandbox.apiserver.cluster import CONFIGMAPS, Cluster, config, rule, service

DEFAULT = Namespace("default")
SETTINGS = ResourceId("", "ConfigMap", DEFAULT, "settings")


class Scripted(ApiFaults):
    """Faults that befall the first requests of a method, one after the other."""

    def __init__(self, **script: list[ApiFault]) -> None:
        super().__init__(0)
        self._script = script

    def draw(self, method: str, *, watch: bool) -> ApiFault | None:
        """Return the next fault of the method."""
        left = [] if watch else self._script.get(method, [])
        if not left:
            return None
        self.drawn.append(left[0])
        return left.pop(0)


class Counted(ApiFaults):
    """No fault, and a count of the writes."""

    def __init__(self) -> None:
        super().__init__(0)
        self.writes = 0

    def draw(self, method: str, *, watch: bool) -> ApiFault | None:
        """Let the request be."""
        self.writes += not watch and method != "GET"
        return None


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Hand over a running API server."""
    with Cluster(tmp_path) as running:
        yield running


@pytest.fixture
async def connection(cluster: Cluster) -> AsyncIterator[Connection]:
    """Hand over a connection that has not been used."""
    async with connected(ClusterAccess(str(cluster.kubeconfig))) as one:
        yield one


def history(connection: Connection) -> History:
    """Return the records of the cluster."""
    return History(KubeCluster(connection), SystemClock(), DEFAULT, "alice@laptop")


def settings(**data: str) -> Resource:
    """Return a ConfigMap."""
    return Resource(SETTINGS, config(SETTINGS.name, data, namespace=DEFAULT))


def found(value: str) -> tuple[Found, ...]:
    """Return what a rollout found."""
    document: Document = config(SETTINGS.name, {"key": value}, namespace=DEFAULT)
    return (Found(SETTINGS, document, there=True),)


@pytest.mark.parametrize(
    "faults",
    [
        {"POST": [ApiFault.RESET, ApiFault.LOST_ANSWER]},
        {"PATCH": [ApiFault.LOST_ANSWER]},
        {"PATCH": [ApiFault.CONFLICT, ApiFault.CONFLICT]},
        {"PATCH": [ApiFault.RESET, ApiFault.LOST_ANSWER, ApiFault.LOST_ANSWER]},
        {"GET": [ApiFault.LOST_ANSWER], "PATCH": [ApiFault.CONFLICT, ApiFault.LOST_ANSWER]},
    ],
    ids=str,
)
async def test_a_record_is_kept_and_settled_whatever_one_answer_was(
    cluster: Cluster, connection: Connection, faults: Mapping[str, list[ApiFault]]
) -> None:
    """A lost answer to its creation is no stranger's record, and a conflict is with a write that says nothing."""
    cluster.server.faults = scripted = Scripted(**faults)
    expected = [fault for each in faults.values() for fault in each]
    records = history(connection)
    await records.mark(await records.begin(found("before")), State.SETTLED)
    assert scripted.drawn == expected
    assert [(one.revision, one.state) for one in await records.entries()] == [(1, State.SETTLED)]
    assert (await records.latest()).found == found("before")


@pytest.mark.parametrize("made", [True, False], ids=["there", "not there"])
async def test_a_record_that_is_written_meanwhile_is_read_again(connection: Connection, *, made: bool) -> None:
    """Two runs of one user that begin at once: neither takes the other's record away, the first one ever either."""
    first = history(connection)
    if made:
        await first.mark(await first.begin(found("first")), State.SETTLED)

    class Late(KubeCluster):
        """Writes only when the other run has begun and ended."""

        raced = False

        async def apply(self, resource: Resource, *, dry_run: bool = False, manager: str = "") -> Resource:
            if not self.raced:
                self.raced = True
                await first.mark(await first.begin(found("theirs")), State.SETTLED)
            return await KubeCluster.apply(self, resource, dry_run=dry_run, manager=manager)

    ours = await History(Late(connection), SystemClock(), DEFAULT, "bob@laptop").begin(found("ours"))
    assert (ours.revision, ours.found) == (2 + made, found("ours"))
    states = [State.UNDER_WAY, *[State.SETTLED] * (1 + made)]
    assert [one.state for one in await first.entries()] == states


async def test_a_write_that_names_its_version_is_not_repeated_after_a_conflict(
    cluster: Cluster, connection: Connection
) -> None:
    """Whoever planned with that version plans again."""
    kube = KubeCluster(connection)
    live = await kube.create(settings(key="before"))
    cluster.server.faults = scripted = Scripted(PATCH=[ApiFault.CONFLICT])
    metadata = {"name": SETTINGS.name, "namespace": DEFAULT, "resourceVersion": live.resource_version}
    with pytest.raises(ClusterChangedError):
        await kube.apply(Resource(SETTINGS, {**settings(key="after").document, "metadata": metadata}))
    assert scripted.drawn == [ApiFault.CONFLICT]


@pytest.mark.parametrize(
    ("one", "document"),
    [
        (SETTINGS, config()),
        (ResourceId("networking.istio.io", "DestinationRule", DEFAULT, "settings"), rule("settings")),
    ],
    ids=["core", "custom"],
)
async def test_an_object_that_is_gone_is_not_created_again(
    cluster: Cluster, connection: Connection, one: ResourceId, document: dict[str, Any]
) -> None:
    """Somebody deleted it after it was planned; for all that a version says, an apply would create it anew."""
    kube, metadata = KubeCluster(connection), {"name": "settings", "namespace": DEFAULT}
    wanted = Resource(one, {**document, "metadata": metadata})
    live = await kube.create(wanted)
    await kube.apply(wanted, dry_run=True)
    await kube.delete(live)
    planned = {**document, "metadata": {**metadata, "resourceVersion": live.resource_version}}
    with pytest.raises(ClusterChangedError):
        await kube.apply(Resource(one, planned))
    assert cluster.do(lambda: cluster.store.get(one)) is None


async def test_what_the_server_filled_in_at_creation_is_no_difference(connection: Connection) -> None:
    """Whoever creates an object owns its defaults, and no manifest has them: planned again, nothing changes."""
    kube, one = KubeCluster(connection), ResourceId("", "Service", DEFAULT, "reviews")
    manifest = service("reviews", 80)
    wanted = Resource(one, {**manifest, "metadata": {"name": "reviews", "namespace": DEFAULT}})
    live = await kube.create(wanted)
    again = await kube.apply(wanted, dry_run=True)
    assert again.spec == live.spec


async def test_a_permanent_error_is_told_at_once_in_the_servers_own_words(
    cluster: Cluster, connection: Connection
) -> None:
    """No second request is sent."""
    cluster.server.faults = counted = Counted()
    name = "Not_A_Name"
    wrong = Resource(ResourceId("", "ConfigMap", DEFAULT, name), config(name, namespace=DEFAULT))
    with pytest.raises(RejectedError, match="RFC 1123"):
        await KubeCluster(connection).create(wrong)
    assert counted.writes == 1


async def test_too_many_requests_wait_as_long_as_the_server_asks(cluster: Cluster, connection: Connection) -> None:
    """It asks for one second, as priority and fairness does."""
    kube = KubeCluster(connection)
    await kube.create(settings(key="value"))
    cluster.server.faults = Scripted(GET=[ApiFault.TOO_MANY])
    before = time.monotonic()
    assert await kube.get(SETTINGS) is not None
    assert time.monotonic() - before >= 1.0


async def test_a_token_that_has_expired_is_read_anew(cluster: Cluster) -> None:
    """From the kubeconfig, into which a login has written another; until it has, that is what is missing."""
    let = partial(setattr, cluster.server, "access")
    cluster.do(lambda: let(Access(cluster.store, {"monday": ADMIN})))
    cluster.kubeconfig.write_text(cluster.server.kubeconfig(token="monday"))
    async with connected(ClusterAccess(str(cluster.kubeconfig))) as connection:
        kube = KubeCluster(connection)
        assert await kube.get(SETTINGS) is None
        cluster.do(lambda: let(Access(cluster.store, {"tuesday": ADMIN})))
        with pytest.raises(ClusterError, match="does not accept these credentials; log in again"):
            await kube.get(SETTINGS)
        cluster.kubeconfig.write_text(cluster.server.kubeconfig(token="tuesday"))
        assert await kube.get(SETTINGS) is None


async def test_the_first_request_may_meet_an_api_server_that_is_being_started(
    cluster: Cluster, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections are refused for a moment; that is no reason to send a user to the kubeconfig."""
    refused = asyncio.Event()
    port = int(cluster.server.url.rpartition(":")[2])
    call = connection.client.call_api

    async def watched(*arguments: Any) -> Any:
        try:
            return await call(*arguments)
        except aiohttp.ClientConnectorError:
            refused.set()
            raise

    monkeypatch.setattr(connection.client, "call_api", watched)
    cluster.stop()
    reading = asyncio.create_task(KubeCluster(connection).get(SETTINGS))
    async with asyncio.timeout(20):
        await refused.wait()
        await asyncio.to_thread(cluster.start, port)
        assert await reading is None


async def test_nobody_at_that_address_is_told_after_a_few_seconds(
    cluster: Cluster, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart would be over, or answer again and again."""
    monkeypatch.setattr("safeapply.adapters.connection.STARTING_SECONDS", 0.5)
    cluster.stop()
    with pytest.raises(ClusterUnreachableError, match="check the kubeconfig, the context and the network"):
        await KubeCluster(connection).get(SETTINGS)


@pytest.mark.parametrize(
    "server", ["https://no-such-host.invalid:6443", "https://127.0.0.1:{port}"], ids=["DNS", "TLS"]
)
async def test_a_wrong_address_is_told_at_once(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    """A name that nobody has and a server that speaks no TLS stay what they are: no second try."""
    cluster.server.faults = counted = Counted()
    address = server.format(port=cluster.server.url.rpartition(":")[2])
    path = tmp_path / "wrong"
    path.write_text(cluster.kubeconfig.read_text().replace(cluster.server.url, address))
    async with connected(ClusterAccess(str(path))) as one:
        tries = 0
        call = one.client.call_api

        async def watched(*arguments: Any) -> Any:
            nonlocal tries
            tries += 1
            return await call(*arguments)

        monkeypatch.setattr(one.client, "call_api", watched)
        with pytest.raises(ClusterUnreachableError, match="check the kubeconfig"):
            await KubeCluster(one).get(SETTINGS)
    assert (tries, counted.writes) == (1, 0)


async def test_a_list_whose_first_parts_are_forgotten_begins_anew(
    cluster: Cluster, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token of the second part is too old (410): all is listed once more, as it is then, none of it twice."""
    monkeypatch.setattr(kube_adapter, "PAGE", "2")
    kube, kind = KubeCluster(connection), SETTINGS.group_kind
    for name in "abcde":
        await kube.create(Resource(replace(SETTINGS, name=name), config(name, namespace=DEFAULT)))
    parts: list[Mapping[str, str]] = []
    ask = connection.request

    async def asked(method: str, path: str, **more: Any) -> Reply:
        query = more.get("query") or {}
        if len(parts) == 1:
            cluster.ask("DELETE", f"{CONFIGMAPS}/b")
            cluster.do(cluster.store.ledger.forget)
        if "limit" in query or path.endswith("/configmaps"):
            parts.append(query)
        return await ask(method, path, **more)

    monkeypatch.setattr(Connection, "request", lambda _, *words, **more: asked(*words, **more))
    listed = await kube.list([kind])
    assert [one.id.name for one in listed] == ["a", "c", "d", "e"]
    assert [sorted(query) for query in parts] == [["limit"], ["continue", "limit"], []]


async def test_a_server_that_does_not_say_who_asks_keeps_no_records(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is too old: what to do is in the sentence."""
    monkeypatch.setattr(kube_adapter, "WHO", "/apis/authentication.k8s.io/v1beta9/selfsubjectreviews")
    with pytest.raises(ClusterError, match="records go by user: give --no-record"):
        await history(connection).begin(found("before"))
