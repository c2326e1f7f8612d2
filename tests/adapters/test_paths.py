"""What is asked of the API server is what was meant, and what it answers is about that."""

from __future__ import annotations

import asyncio
import json
from functools import partial

import pytest

from safeapply.adapters.kube import KubeCluster
from safeapply.adapters.paths import path_of
from safeapply.errors import ClusterError
from safeapply.resources.objects import Document, Namespace, Resource, ResourceId
from tests.adapters.servers import CORE, connection_to, http, serving

SETTINGS = ResourceId("", "ConfigMap", Namespace("default"), "settings")
DOCUMENT = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "default"}}
OTHERS = {
    "another name": {**DOCUMENT, "metadata": {"name": "other", "namespace": "default"}},
    "another namespace": {**DOCUMENT, "metadata": {"name": "settings", "namespace": "istio-system"}},
    "another kind": {**DOCUMENT, "kind": "Secret"},
    "another group": {**DOCUMENT, "apiVersion": "apps/v1"},
    "a list": {**DOCUMENT, "kind": "ConfigMapList", "items": []},
}


def answering(document: Document, target: str, writer: asyncio.StreamWriter) -> None:
    """Answer discovery truly, and everything else with one document."""
    writer.write(http(CORE if target == "/api/v1" else document))


@pytest.mark.parametrize("segment", ["", ".", "..", "a/b", "a%2Fb", "a\nb", "a\0b", "\x1b"])
def test_no_segment_is_two_or_none(segment: str) -> None:
    """Whatever it came from."""
    with pytest.raises(ClusterError, match="can be no part of an address"):
        path_of("api", "v1", "namespaces", segment)


def test_what_ends_a_path_is_quoted() -> None:
    """A name that only the API server can judge reaches it whole."""
    assert path_of("apis", "x", "system:a?b#c d;e") == "/apis/x/system:a%3Fb%23c%20d%3Be"


@pytest.mark.parametrize("case", OTHERS)
async def test_an_answer_about_something_else_is_an_error(case: str) -> None:
    """For reading, writing and trying out alike: it would be planned with, or taken for written."""
    async with serving(partial(answering, OTHERS[case])) as server, connection_to(server.url) as connection:
        cluster = KubeCluster(connection)
        with pytest.raises(ClusterError, match=r"was asked for configmap/default/settings and answered with"):
            await cluster.get(SETTINGS)
        for dry_run in (True, False):
            with pytest.raises(ClusterError, match="answered with"):
                await cluster.apply(Resource(SETTINGS, DOCUMENT), dry_run=dry_run)
        with pytest.raises(ClusterError, match="answered with"):
            await cluster.create(Resource(SETTINGS, DOCUMENT))


async def test_a_list_of_another_kind_or_namespace_is_an_error() -> None:
    """What was selected in one namespace stands in that one."""
    strange = {"kind": "List", "metadata": {}, "items": [{"metadata": {"name": "a", "namespace": "other"}}]}
    async with serving(partial(answering, strange)) as server, connection_to(server.url) as connection:
        with pytest.raises(ClusterError, match="answered with ConfigMap/other/a"):
            await KubeCluster(connection).select((SETTINGS.group_kind,), (Namespace("default"),), "a=b")


@pytest.mark.parametrize(
    "one",
    [
        ResourceId("", "ConfigMap", Namespace("default"), ""),
        ResourceId("", "ConfigMap", Namespace(""), "settings"),
        ResourceId("", "ConfigMap", Namespace("default/../istio-system"), "settings"),
        ResourceId("", "ConfigMap", Namespace("istio-system/secrets/ca-key?"), "ca-key"),
    ],
)
async def test_nothing_is_asked_about_an_object_that_cannot_be(one: ResourceId) -> None:
    """Least of all is it deleted: without a name the path would be that of all objects."""
    async with serving(partial(answering, DOCUMENT)) as server, connection_to(server.url) as connection:
        cluster = KubeCluster(connection)
        with pytest.raises(ClusterError, match="can be no part of an address"):
            await cluster.delete(Resource(one, {**DOCUMENT, "metadata": json.loads("{}")}))
        with pytest.raises(ClusterError, match="can be no part of an address"):
            await cluster.get(one)
        assert server.targets == ["/api/v1"]
