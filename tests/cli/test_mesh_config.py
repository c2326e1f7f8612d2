"""Istio's MeshConfig, as a cluster or a directory holds it: read before anything is planned (ISTIO.md 3.5, 4.7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cli.clusters import Said, files, safeapply
from tests.sandbox.apiserver.cluster import Cluster

ISTIO = "networking.istio.io/v1"
HOST = "reviews.default.svc.cluster.local"
PRIVATE = "defaultVirtualServiceExportTo: ['.']\ndefaultDestinationRuleExportTo: ['.']\n"


def mesh_config(mesh: str) -> dict[str, Any]:
    """Return Istio's ConfigMap."""
    metadata = {"name": "istio", "namespace": "istio-system"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"mesh": mesh}}


def rule(*subsets: str) -> dict[str, Any]:
    """Return the DestinationRule of reviews."""
    named = [{"name": one, "labels": {"version": one}} for one in subsets]
    metadata = {"name": "reviews", "namespace": "default"}
    spec = {"host": HOST, "subsets": named}
    return {"apiVersion": ISTIO, "kind": "DestinationRule", "metadata": metadata, "spec": spec}


LIVE: tuple[Mapping[str, Any], ...] = (
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "reviews", "namespace": "default"},
        "spec": {"ports": [{"name": "http", "port": 9080}]},
    },
    rule("v1", "v2"),
    {
        "apiVersion": ISTIO,
        "kind": "VirtualService",
        "metadata": {"name": "reviews", "namespace": "shop"},
        "spec": {"hosts": [HOST], "http": [{"route": [{"destination": {"host": HOST, "subset": "v1"}}]}]},
    },
)
"""A route in shop to a subset in default: it is served if both say so, and neither does."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Hand over an API server with the above."""
    with Cluster(tmp_path) as running:
        create(running, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}, *LIVE)
        yield running


def create(cluster: Cluster, *documents: Mapping[str, Any]) -> None:
    """Write objects past safeapply."""
    for document in documents:
        cluster.do(partial(cluster.store.create, document, manager="kubectl-client-side-apply"))


def planned(cluster: Cluster, *documents: Mapping[str, Any]) -> Said:
    """Plan for some files."""
    return safeapply(cluster, "plan", "-f", files(cluster.directory / "wanted", *documents))


def test_the_live_mesh_config_says_what_the_live_objects_mean(cluster: Cluster) -> None:
    """The same narrowing is refused where everybody sees everything, and safe where the route never worked."""
    refused = planned(cluster, rule("v2"))
    assert refused.code == 4
    assert "503 NC" in refused.out
    create(cluster, mesh_config(PRIVATE))
    assert planned(cluster, rule("v2")).code == 0


def test_files_hold_it_too(cluster: Cluster) -> None:
    """Offline the directory that stands for the cluster says it, to ``plan`` and to ``check``."""
    wanted, live = files(cluster.directory / "wanted", rule("v2")), cluster.directory / "live"
    offline = ("plan", "-f", wanted, "--live")
    assert safeapply(cluster, *offline, files(live, *LIVE)).code == 4
    assert safeapply(cluster, *offline, files(live, *LIVE, mesh_config(PRIVATE))).code == 0
    alone = [one for one in LIVE if one["kind"] != "DestinationRule"]
    assert safeapply(cluster, "check", "-f", files(live, *alone, rule("v1"))).code == 0
    private = safeapply(cluster, "check", "-f", files(live, *alone, rule("v1"), mesh_config(PRIVATE)))
    assert (private.code, "v1" in private.out) == (4, True)


def test_a_mesh_config_that_decides_anew_is_refused(cluster: Cluster) -> None:
    """All proxies learn it at once; a change of anything else in it is a ConfigMap like any other."""
    create(cluster, mesh_config("accessLogFile: ''\n"))
    refused = planned(cluster, mesh_config(PRIVATE))
    assert refused.code == 4
    said = " ".join(refused.out.split())
    assert "istio would change defaultVirtualServiceExportTo, defaultDestinationRuleExportTo" in said
    assert planned(cluster, mesh_config("accessLogFile: /dev/stdout\n")).code == 0


def test_a_namespace_that_istiod_does_not_read_does_not_count(cluster: Cluster) -> None:
    """The route in shop is no reason to keep a subset; and shop may not be let in by the files."""
    create(cluster, mesh_config("discoverySelectors: [{matchExpressions: [{key: mesh, operator: Exists}]}]\n"))
    shop = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    assert planned(cluster, rule("v2")).code == 0
    labelled = {**shop, "metadata": {"name": "shop", "labels": {"mesh": "inside"}}}
    refused = planned(cluster, labelled)
    assert refused.code == 4
    assert "by the labels of namespace/shop istiod would begin to read all that stands in it at once" in " ".join(
        refused.out.split()
    )


def test_a_mesh_config_that_cannot_be_read_is_named(cluster: Cluster) -> None:
    """One sentence: which object, which key, what is wrong; nothing was written."""
    create(cluster, mesh_config("defaultServiceExportTo: here\n"))
    said = planned(cluster, rule("v2"))
    assert said.code == 1
    assert "error: Istio's MeshConfig cannot be used: configmap/istio-system/istio data.mesh: Expected" in said.err
