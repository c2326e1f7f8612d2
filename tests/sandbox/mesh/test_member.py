"""A mesh of two clusters: one holds the configuration, and istiod reads the Services and pods of both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from safeapply.resources.objects import Document, GroupKind, Namespace, ResourceId
from safeapply.sandbox.controlplane.snapshots import Snapshot, is_watched
from safeapply.sandbox.controlplane.translation.configuration import Translation
from safeapply.sandbox.mesh import Mesh, Scene
from safeapply.sandbox.traffic import Traffic

RULE = GroupKind("networking.istio.io", "DestinationRule")
LIVE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews, subset: v1, port: {number: 9080}}}]}]
"""
SUBSET = "outbound|9080|v1|reviews.shop.svc.cluster.local"


async def test_both_clusters_serve_by_the_configuration_of_one() -> None:
    """Proxies of the same name run in both, each serves, and the remote holds Services, but no configuration."""
    live = tuple(yaml.safe_load_all(LIVE))
    async with Mesh(Scene(live=live, proxies=1, remotes=("east",))) as mesh:
        assert mesh.proxies == ("client-1.shop", "east/client-1.shop")
        assert mesh.control_plane.proxies == mesh.proxies
        contexts = yaml.safe_load(mesh.kubeconfig.read_text())["contexts"]
        assert [one["name"] for one in contexts] == ["safeapply-sandbox", "east"]
        east = mesh.members["east"]
        assert (len(mesh.store.list(RULE)), len(east.store.list(RULE))) == (1, 0)
        async with await Traffic.start(mesh.targets(), rate=200) as traffic:
            await traffic.before()
            await east.api.stop()
            await traffic.at_rest("during")
            verdict = await traffic.after()
    assert (verdict.failed, verdict.lost) == (0, {})


def test_a_service_of_two_clusters_has_the_pods_of_both() -> None:
    """Endpoints are those of every cluster that has the Service; a pod counts for no Service of another cluster."""
    own = [service(), pod("reviews-0", "10.0.0.1"), rule()]
    assert endpoints(*own) == ["10.0.0.1"]
    there = [pod("reviews-0", "10.0.1.1", cluster="east")]
    assert endpoints(*own, *there) == ["10.0.0.1"]
    assert endpoints(*own, *there, service(cluster="east")) == ["10.0.0.1", "10.0.1.1"]
    assert endpoints(rule(), *there, service(cluster="east")) == ["10.0.1.1"]


def test_istiod_reads_no_configuration_of_another_cluster() -> None:
    """Services and pods it does."""
    kinds = (RULE, GroupKind("", "Service"), GroupKind("", "Pod"))
    ids = [ResourceId(kind.group, kind.kind, Namespace("shop"), "reviews", "east") for kind in kinds]
    assert [is_watched(one) for one in ids] == [False, True, True]


Placed = tuple[ResourceId, Document]


def endpoints(*objects: Placed) -> list[str]:
    """Return the addresses behind the subset, as a client of the namespace gets them."""
    found = Translation(Snapshot(dict(objects))).configuration("sidecar", "shop", {}).endpoints
    localities = found.get(SUBSET, {}).get("endpoints") or ()
    paths = [
        each["endpoint"]["address"]["pipe"]["path"] for one in localities for each in one.get("lb_endpoints") or ()
    ]
    return sorted(path.rpartition("/")[2].partition("_")[0] for path in paths)


def service(cluster: str = "") -> Placed:
    """Return the Service in a cluster."""
    spec = {"selector": {"app": "reviews"}, "ports": [{"name": "http", "port": 9080}]}
    return placed("v1", "Service", "reviews", cluster, spec=spec)


def rule() -> Placed:
    """Return the rule that makes subset v1."""
    document = next(iter(yaml.safe_load_all(LIVE)))
    return placed(document["apiVersion"], document["kind"], "reviews", "", spec=document["spec"])


def pod(name: str, address: str, cluster: str = "") -> Placed:
    """Return a ready pod of version v1 in a cluster."""
    status = {"podIP": address, "conditions": [{"type": "Ready", "status": "True"}]}
    labels = {"app": "reviews", "version": "v1"}
    return placed("v1", "Pod", name, cluster, labels, spec={"containers": []}, status=status)


def placed(
    version: str, kind: str, name: str, cluster: str, labels: Mapping[str, str] | None = None, **more: Any
) -> Placed:
    """Return an object with its place."""
    group = version.rpartition("/")[0]
    metadata = {
        "name": name,
        "namespace": "shop",
        "labels": labels or {},
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    document = {"apiVersion": version, "kind": kind, "metadata": metadata, **more}
    return ResourceId(group, kind, Namespace("shop"), name, cluster), document
