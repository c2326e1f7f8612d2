"""The official Python clients take the server for a Kubernetes API server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, web
from aiohttp.test_utils import TestServer
from kubernetes import client as official
from kubernetes import watch
from kubernetes.aio import client as aio
from kubernetes.aio import config as aio_config
from kubernetes.aio import watch as aio_watch
from kubernetes.aio.stream import WsApiClient
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError, UnprocessibleEntityError

from safeapply.sandbox.apiserver.portforward import PROTOCOL, forward
from tests.sandbox.apiserver.cluster import APPLY, MERGE, PATIENCE, Cluster, config, rule, service

RULES = ("networking.istio.io", "v1", "default", "destinationrules")
JSON_PATCH = "application/json-patch+json"


@asynccontextmanager
async def asynchronous(cluster: Cluster) -> AsyncIterator[Any]:
    """Hand over the official asynchronous client."""
    settings = aio.Configuration()
    await aio_config.load_kube_config(str(cluster.kubeconfig), client_configuration=settings)
    async with aio.ApiClient(settings) as api:
        yield api


def status_of(call: Callable[[], object]) -> tuple[int, str]:
    """Return the code and the reason of the ``Status`` that refuses a call."""
    with pytest.raises(official.ApiException) as caught:
        call()
    said = json.loads(caught.value.body)
    assert (said["kind"], said["status"], said["code"]) == ("Status", "Failure", caught.value.status)
    return said["code"], said["reason"]


def test_typed_objects_live_from_creation_to_deletion(client: Any) -> None:
    """CoreV1Api creates, reads, replaces, patches and deletes, and reads back what the server filled in."""
    core = official.CoreV1Api(client)
    born = core.create_namespaced_service("default", service())
    assert (born.spec.type, born.spec.ports[0].target_port) == ("ClusterIP", 9080)
    assert born.spec.cluster_ip.startswith("10.96.")
    born.spec.ports[0].name = "web"
    replaced = core.replace_namespaced_service("reviews", "default", born)
    assert (replaced.spec.ports[0].name, replaced.metadata.uid) == ("web", born.metadata.uid)
    patch = {"spec": {"ports": [{"port": 9080, "name": "http"}, {"port": 9090, "name": "metrics"}]}}
    patched = core.patch_namespaced_service("reviews", "default", patch)
    assert [port.name for port in patched.spec.ports] == ["http", "metrics"]
    core.delete_namespaced_service("reviews", "default", body=official.V1DeleteOptions())
    assert status_of(lambda: core.read_namespaced_service("reviews", "default")) == (404, "NotFound")


def test_custom_objects_take_three_kinds_of_patches(client: Any) -> None:
    """CustomObjectsApi applies, merges and edits by JSON patch; strategic merge is not for custom kinds."""
    api = official.CustomObjectsApi(client)
    patch = api.patch_namespaced_custom_object
    api.create_namespaced_custom_object(*RULES, rule("reviews", "v1"))
    applied = patch(*RULES, "reviews", rule("reviews", "v1"), field_manager="me", _content_type=APPLY)
    assert applied["metadata"]["managedFields"][0]["manager"] == "me"
    merged = patch(*RULES, "reviews", {"spec": {"host": "ratings", "subsets": None}}, _content_type=MERGE)
    assert merged["spec"] == {"host": "ratings"}
    move = [
        {"op": "test", "path": "/spec/host", "value": "ratings"},
        {"op": "add", "path": "/metadata/labels", "value": {}},
        {"op": "copy", "from": "/spec/host", "path": "/metadata/labels/host"},
    ]
    moved = patch(*RULES, "reviews", move, _content_type=JSON_PATCH)
    assert moved["metadata"]["labels"] == {"host": "ratings"}
    strategic = "application/strategic-merge-patch+json"
    refused = status_of(lambda: patch(*RULES, "reviews", {}, _content_type=strategic))
    assert refused == (415, "UnsupportedMediaType")


def test_refusals_carry_a_status_that_clients_parse(client: Any, cluster: Cluster) -> None:
    """404, 409 for a name and for a version, 422, and 403 where a test denies a verb."""
    core, custom = official.CoreV1Api(client), official.CustomObjectsApi(client)
    first = core.create_namespaced_config_map("default", config())
    create = core.create_namespaced_config_map
    assert status_of(lambda: create("default", config())) == (409, "AlreadyExists")
    assert status_of(lambda: create("nowhere", config())) == (404, "NotFound")
    assert status_of(lambda: create("default", config("Not_A_Name"))) == (422, "Invalid")
    core.patch_namespaced_config_map("settings", "default", {"data": {"a": "1"}})
    replace = core.replace_namespaced_config_map
    assert status_of(lambda: replace("settings", "default", first)) == (409, "Conflict")
    custom.create_namespaced_custom_object(*RULES, rule())
    blind = status_of(lambda: custom.replace_namespaced_custom_object(*RULES, "reviews", rule()))
    assert blind == (422, "Invalid")
    cluster.server.deny = lambda verb, _: "not today" if verb == "delete" else None
    delete = core.delete_namespaced_config_map
    assert status_of(lambda: delete("settings", "default")) == (403, "Forbidden")


def test_the_dynamic_client_finds_kinds_and_applies(client: Any) -> None:
    """DynamicClient discovers every group, and its server-side apply meets conflicts and force."""
    dynamic = DynamicClient(client)
    rules = dynamic.resources.get(api_version="networking.istio.io/v1", kind="DestinationRule")
    assert rules.short_names == ["dr"]

    def apply(subset: str, by: str, *, force: bool = False) -> Any:
        body = rule("reviews", subset)
        return rules.server_side_apply(body=body, namespace="default", field_manager=by, force_conflicts=force)

    apply("v1", "one")
    with pytest.raises(ConflictError, match="conflict with"):
        apply("v2", "two")
    assert apply("v2", "two", force=True).spec.subsets[0].name == "v2"
    (found,) = rules.get(namespace="default").items
    assert found.metadata.generation == 2
    rules.delete(name="reviews", namespace="default")
    with pytest.raises(NotFoundError):
        rules.get(name="reviews", namespace="default")
    with pytest.raises(UnprocessibleEntityError):
        rules.create(body=rule("Reviews"), namespace="default")


def test_collections_are_deleted_by_selector(client: Any) -> None:
    """Deletecollection takes what a selector holds, and leaves the rest."""
    core = official.CoreV1Api(client)
    for name, tier in (("a", "web"), ("b", "db"), ("c", "web")):
        core.create_namespaced_config_map("default", config(name, labels={"tier": tier}))
    core.delete_collection_namespaced_config_map("default", label_selector="tier=web")
    assert [one.metadata.name for one in core.list_namespaced_config_map("default").items] == ["b"]


def test_a_watch_goes_on_where_a_list_ended(client: Any) -> None:
    """The official Watch yields typed objects, in order, from the version of the list."""
    core = official.CoreV1Api(client)
    since = core.list_namespaced_config_map("default").metadata.resource_version
    core.create_namespaced_config_map("default", config())
    core.patch_namespaced_config_map("settings", "default", {"data": {"a": "1"}})
    core.delete_namespaced_config_map("settings", "default")
    watching, seen = watch.Watch(), []
    arguments = {"resource_version": since, "timeout_seconds": int(PATIENCE)}
    for event in watching.stream(core.list_namespaced_config_map, "default", **arguments):
        seen.append((event["type"], event["object"].data))
        if event["type"] == "DELETED":
            watching.stop()
    assert seen == [("ADDED", None), ("MODIFIED", {"a": "1"}), ("DELETED", {"a": "1"})]


async def test_the_asynchronous_client_does_all_of_it(cluster: Cluster) -> None:
    """kubernetes.aio lists, watches, applies and deletes, and is refused with the same Status."""
    async with asynchronous(cluster) as api:
        custom = aio.CustomObjectsApi(api)
        listed = await custom.list_namespaced_custom_object(*RULES)
        events: list[str] = []

        async def follow() -> None:
            since = listed["metadata"]["resourceVersion"]
            async with aio_watch.Watch() as watching:
                told = watching.stream(custom.list_namespaced_custom_object, *RULES, resource_version=since)
                async for event in told:
                    events.append(event["type"])
                    if event["type"] == "DELETED":
                        return

        following = asyncio.create_task(follow())
        patch = custom.patch_namespaced_custom_object
        await patch(*RULES, "reviews", rule("reviews", "v1"), field_manager="me", _content_type=APPLY)
        with pytest.raises(aio.ApiException) as refused:
            await patch(*RULES, "reviews", rule("reviews", "v2"), field_manager="you", _content_type=APPLY)
        assert refused.value.status == 409
        await custom.delete_namespaced_custom_object(*RULES, "reviews")
        await asyncio.wait_for(following, PATIENCE)
        assert events == ["ADDED", "DELETED"]


async def test_a_port_of_a_pod_is_reached_through_the_server(cluster: Cluster, tmp_path: Path) -> None:
    """A port-forward carries bytes both ways, and tells on its second channel of a port where nothing answers."""
    cluster.sockets[15000] = str(tmp_path / "s")

    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    spec = {"containers": [{"name": "web", "image": "web"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec}
    cluster.do(lambda: cluster.store.create(pod))
    async with await asyncio.start_unix_server(shout, cluster.sockets[15000]):
        assert await _forwarded(cluster, 15000) == [b"\x00\x98\x3a", b"\x01\x98\x3a", b"\x00HELLO\n"]
    *_, refused = await _forwarded(cluster, 15001)
    assert refused[:1] == b"\x01"
    assert b"connection refused" in refused


async def test_a_client_that_leaves_before_its_port_forward_begins_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whoever hangs up while the server answers the handshake leaves no traceback behind."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return await forward(request, (15000,), lambda _: None, closing=asyncio.Event())

    app = web.Application()
    app.router.add_get("/", answer)
    async with asyncio.timeout(PATIENCE), TestServer(app) as server, ClientSession() as session:
        with pytest.raises(ClientError):
            await session.ws_connect(server.make_url("/"), protocols=(PROTOCOL,))
    assert not [one for one in caplog.records if one.exc_info]


async def _forwarded(cluster: Cluster, port: int) -> list[bytes]:
    """Say hello to a port of the pod, and return every frame that comes back."""
    url = f"{cluster.server.url}/api/v1/namespaces/default/pods/web/portforward?ports={port}"
    async with WsApiClient() as api, await api.request("GET", url, _preload_content=False) as socket:
        await socket.send_bytes(b"\x00hello\n")
        async with asyncio.timeout(PATIENCE):
            return [message.data async for message in socket]
