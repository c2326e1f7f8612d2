"""One directory with a Deployment, its subset and its route: it goes in, and out, without a failed request."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from safeapply.resources.objects import GroupKind
from safeapply.sandbox.delays import Delays, Span
from safeapply.sandbox.loading import read_documents
from safeapply.sandbox.mesh import Mesh, Scene
from safeapply.sandbox.run import run_under_load
from tests.mesh.command import SAFEAPPLY, command, ended, started

BRISK = Delays(lag=Span(0.0, 0.3), push=Span(0.0, 0.4))
POD = GroupKind("", "Pod")
ROUTE = GroupKind("networking.istio.io", "VirtualService")
HOST = "reviews.default.svc.cluster.local"


def deployment(version: str, **extra: object) -> dict[str, object]:
    """Return a Deployment of two replicas, the newer ones of which take a second to be ready."""
    labels = {"app": "reviews", "version": version}
    probe = {} if version == "v1" else {"readinessProbe": {"initialDelaySeconds": 1}}
    container = {"name": "app", "image": "reviews", "ports": [{"containerPort": 9080}], **probe, **extra}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"reviews-{version}", "namespace": "default", "labels": {"app": "reviews"}},
        "spec": {
            "replicas": 2,
            "progressDeadlineSeconds": 3,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def routes(version: str) -> list[dict[str, object]]:
    """Return a rule with one subset, and a route to it."""
    metadata = {"name": "reviews", "namespace": "default"}
    subset = {"name": version, "labels": {"version": version}}
    destination = {"destination": {"host": HOST, "subset": version}}
    head = {"apiVersion": "networking.istio.io/v1", "metadata": metadata}
    return [
        {**head, "kind": "DestinationRule", "spec": {"host": HOST, "subsets": [subset]}},
        {**head, "kind": "VirtualService", "spec": {"hosts": [HOST], "http": [{"route": [destination]}]}},
    ]


SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "reviews", "namespace": "default"},
    "spec": {"selector": {"app": "reviews"}, "ports": [{"name": "http", "port": 9080}]},
}


def directory(place: Path, *documents: object) -> Path:
    """Write manifests."""
    place.mkdir()
    (place / "all.yaml").write_text(yaml.safe_dump_all(documents))
    return place


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_new_version_goes_in_and_the_old_one_out_with_no_failed_request(tmp_path: Path, seed: int) -> None:
    """Deployment v2, subset v2 and the route in one directory; then the Deployment v1 is deleted."""
    live = directory(tmp_path / "live", SERVICE, deployment("v1"), *routes("v1"))
    new = directory(tmp_path / "new", deployment("v2"), *routes("v2"))
    old = directory(tmp_path / "old", deployment("v1"))
    applied = " ".join((*SAFEAPPLY, "apply", "-f", str(new), "--yes", "--soak", "200ms"))
    deleted = " ".join((*SAFEAPPLY, "delete", "-f", str(old), "--yes", "--soak", "200ms"))
    report = await run_under_load(
        ("sh", "-c", f"{applied} && {deleted}"),
        scene=Scene(live=read_documents([live]), proxies=4, seed=seed, delays=BRISK),
        rate=200.0,
    )
    assert (report.exit_code, report.tally.failed) == (0, 0), report.to_document()
    assert report.tally.requests > 100


@pytest.mark.parametrize(
    "prune", [("--applyset", "configmap/shop", "-n", "default"), ("-l", "app=reviews")], ids=["applyset", "labels"]
)
async def test_a_set_takes_its_old_workload_out_when_routes_have_let_go(
    tmp_path: Path, prune: tuple[str, ...]
) -> None:
    """One command: v2 comes up, requests move, and v1 is pruned last."""
    live = directory(tmp_path / "live", SERVICE)
    old, new = (directory(tmp_path / version, deployment(version), *routes(version)) for version in ("v1", "v2"))
    several = ("--yes", "--soak", "200ms", "--prune", *prune)
    async with Mesh(Scene(live=read_documents([live]), proxies=3, delays=BRISK)) as mesh:
        before = await command(mesh, "apply", "-f", str(old), *several)
        assert before.code == 0, before.err
        result = await command(mesh, "apply", "-f", str(new), *several)
        assert result.code == 0, result.err
        left = [line for line in result.out.splitlines() if "deployment" in line]
        assert left == ["deployment.apps/reviews-v2 created", "deployment.apps/reviews-v1 pruned"]


async def test_a_workload_that_never_comes_up_gets_no_request_and_is_named(tmp_path: Path) -> None:
    """The route stays where it is; the server's words say why, long before the barrier's patience ends."""
    live = directory(tmp_path / "live", SERVICE, deployment("v1"), *routes("v1"))
    new = directory(tmp_path / "new", deployment("v2", command=["false"]), *routes("v2"))
    async with Mesh(Scene(live=read_documents([live]), proxies=2, delays=BRISK)) as mesh:
        result = await command(mesh, "apply", "-f", str(new), "--yes")
        assert result.code == 1
        assert "deployment default/reviews-v2 exceeded its progress deadline" in result.err
        assert "CrashLoopBackOff: back-off restarting failed container app" in result.err
        assert "v1" in json.dumps(mesh.store.list(ROUTE)[0]["spec"])


async def test_a_run_that_goes_on_waits_for_what_the_killed_one_wrote(tmp_path: Path) -> None:
    """The Deployment is live as desired, and not rolled out: its requests have to wait all the same."""
    live = directory(tmp_path / "live", SERVICE, deployment("v1"), *routes("v1"))
    new = directory(tmp_path / "new", deployment("v2", command=["false"]), *routes("v2"))
    async with Mesh(Scene(live=read_documents([live]), proxies=2, delays=BRISK)) as mesh:
        process = await started(mesh, "apply", "-f", str(new), "--yes")
        assert (await ended(process)).code == 1
        planned = await command(mesh, "plan", "-f", str(new), "-o", "json")
        steps = json.loads(planned.out)["steps"]
        waits = [one["expectations"] for one in steps if one["phase"] == "switch"]
        assert {"type": "workloadReady", "resource": "deployment.apps/default/reviews-v2"} in waits[0]
