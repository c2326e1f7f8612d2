"""The way back: from every step of every example, without a failed request, to exactly what was there."""

from __future__ import annotations

import base64
import gzip
import json
import re
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from safeapply.adapters.access import ClusterAccess
from safeapply.adapters.clock import SystemClock
from safeapply.adapters.connection import connected
from safeapply.adapters.kube import KubeCluster
from safeapply.plans.found import Found
from safeapply.resources.objects import GroupKind, Namespace, ResourceId
from safeapply.rollout.history import History
from safeapply.sandbox.delays import Delays, Span
from safeapply.sandbox.loading import read_documents
from safeapply.sandbox.mesh import Mesh, Scene
from safeapply.sandbox.run import run_under_load
from tests.mesh.command import EXAMPLE, SAFEAPPLY, command, scene

ROOT = Path(__file__).parents[2]
BRISK = Delays(lag=Span(0.0, 0.3), push=Span(0.0, 0.4))
RETURNING = (sys.executable, str(Path(__file__).with_name("returning.py")))
NETWORKING = "networking.istio.io"
KINDS = (
    *(GroupKind(NETWORKING, kind) for kind in ("VirtualService", "DestinationRule", "Gateway", "ServiceEntry")),
    GroupKind("", "Service"),
)
RECORD = GroupKind("", "Secret")
STABLE = "outbound|9080|stable|reviews.default.svc.cluster.local"
APPLY = ("apply", "-f", str(EXAMPLE / "desired"), "--yes", "--soak", "0")


def steps() -> Iterator[Any]:
    """Yield every step of every example; the first step of the first three is the sample of ``make test``."""
    for number, plan in enumerate(sorted(ROOT.glob("examples/*/plan.txt"))):
        count = len(re.findall(r"^Step \d+ of", plan.read_text(), re.MULTILINE))
        for step in range(1, count + 1):
            sampled = number < 3 and step == 1
            name = f"{plan.parent.name}-{step}"
            yield pytest.param(plan.parent, step, id=name, marks=[] if sampled else [pytest.mark.long])


@pytest.mark.parametrize(("example", "step"), list(steps()))
async def test_from_every_step_there_is_a_safe_way_back(example: Path, step: int) -> None:
    """Killed when a step is done, then rolled back under load: none fails, and all is as it was, spec by spec."""
    live, desired = (read_documents([example / part]) for part in ("live", "desired"))
    seen: list[Mapping[str, Any]] = []

    @asynccontextmanager
    async def looking(mesh: Mesh) -> AsyncIterator[None]:
        seen.append(specs(mesh))
        yield
        seen.append(specs(mesh))

    report = await run_under_load(
        (
            *(*RETURNING, str(step), *SAFEAPPLY, "--"),
            *("-f", str(example / "desired"), "--yes", "--soak", "200ms"),
        ),
        scene=Scene(live=live, desired=desired, proxies=4, seed=step, delays=BRISK),
        rate=200.0,
        meanwhile=looking,
    )
    assert (report.exit_code, report.tally.failed, report.tally.lost) == (0, 0, {}), report.to_document()
    assert seen[0] == seen[1]
    assert {write.id.kind for write in report.writes} & {"VirtualService", "DestinationRule"}


async def test_a_settled_rollout_can_be_rolled_back_and_the_one_before_it_too() -> None:
    """Each rollback leads one further; when all are gone back, it says so."""
    async with Mesh(scene()) as mesh:
        start = specs(mesh)
        assert (await command(mesh, *APPLY)).code == 0
        assert specs(mesh) != start
        shown = await command(mesh, "rollback", "--dry-run=server")
        assert (shown.code, specs(mesh) != start) == (0, True)
        assert "Plan: 3 steps" in shown.err
        back = await command(mesh, "rollback", "--yes", "--soak", "0")
        assert back.code == 0, back.err
        assert "back to what rollout 1 of" in back.err
        assert specs(mesh) == start
        nothing = await command(mesh, "rollback", "--yes")
        assert (nothing.code, "no rollout to go back from" in nothing.err) == (2, True)


async def test_a_rollout_that_takes_too_long_goes_back_by_itself_where_that_is_asked_for(tmp_path: Path) -> None:
    """Exit 3 with the straggler, everything as it was found, and a page of either way."""
    report = ("--report", str(tmp_path / "rollout.html"))
    async with Mesh(scene()) as mesh:
        start = specs(mesh)
        mesh.control_plane.withhold_eds([STABLE])
        result = await command(mesh, *APPLY, "--timeout", "3s", "--on-timeout", "rollback", *report)
        assert result.code == 3, result.err
        there, back = (tmp_path / name for name in ("rollout.html", "rollout.rollback.html"))
        assert "stable" in there.read_text()
        assert there.read_text() != back.read_text()
        assert "is still warming" in result.err
        assert result.err.rstrip().endswith("rolled back: everything is as the rollout found it")
        assert specs(mesh) == start
        assert states(mesh) == ["rolled-back"]


async def test_a_run_that_goes_on_goes_back_to_where_the_stopped_one_began() -> None:
    """What the first has changed is no finding of the second, and it is the second that takes it back."""
    async with Mesh(scene()) as mesh:
        start = specs(mesh)
        mesh.control_plane.withhold_eds([STABLE])
        assert (await command(mesh, *APPLY, "--timeout", "2s")).code == 3
        assert specs(mesh) != start
        result = await command(mesh, *APPLY, "--timeout", "2s", "--on-timeout", "rollback")
        assert (result.code, states(mesh)) == (3, ["rolled-back"]), result.err
        assert specs(mesh) == start


async def test_a_run_does_not_go_back_from_another_rollout_that_was_stopped() -> None:
    """They share a user and a record, and no object: the other's way back stays for `safeapply rollback`."""
    async with Mesh(scene()) as mesh:
        start = specs(mesh)
        settings = ResourceId("", "ConfigMap", Namespace("default"), "settings")
        document = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": settings.name, "namespace": settings.namespace},
        }
        mesh.store.create({**document, "data": {"key": "after"}}, manager="safeapply")
        async with connected(ClusterAccess(str(mesh.kubeconfig))) as connection:
            records = History(KubeCluster(connection), SystemClock(), Namespace("istio-system"), "bob")
            before = Found(settings, {**document, "data": {"key": "before"}}, there=True)
            await records.begin((before,))
        mesh.control_plane.withhold_eds([STABLE])
        result = await command(mesh, *APPLY, "--timeout", "2s", "--on-timeout", "rollback")
        assert (result.code, states(mesh), specs(mesh)) == (3, ["under-way"], start), result.err
        assert (mesh.store.get(settings) or {})["data"] == {"key": "after"}
        back = await command(mesh, "rollback", "--yes", "--soak", "0")
        assert (back.code, states(mesh), specs(mesh)) == (0, ["rolled-back"], start), back.err
        assert (mesh.store.get(settings) or {})["data"] == {"key": "before"}


async def test_a_forged_record_leads_nowhere() -> None:
    """A ClusterRoleBinding to write and a Service to delete, in a ControllerRevision that anybody may have made."""
    async with Mesh(scene()) as mesh:
        start = specs(mesh)
        binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding"}
        evil = {
            **binding,
            "metadata": {"name": "evil"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "evil", "namespace": "default"}],
        }
        objects = [
            {
                "id": ["rbac.authorization.k8s.io", "ClusterRoleBinding", "", "evil"],
                "there": True,
                "document": evil,
            },
            {"id": ["", "Service", "default", "reviews"], "there": False, "document": None},
        ]
        text = json.dumps({"formatVersion": "1", "objects": objects}).encode()
        annotations = {"safeapply/state": "under-way", "safeapply/by": "me", "safeapply/at": "now"}
        revision = {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {
                "name": "safeapply-1",
                "namespace": "istio-system",
                "labels": {"app.kubernetes.io/managed-by": "safeapply"},
                "annotations": annotations,
            },
            "revision": 1,
            "data": {"found": base64.b64encode(gzip.compress(text)).decode()},
        }
        mesh.store.create(revision)
        back = await command(mesh, "rollback", "--yes")
        assert (back.code, "they are not read: kubectl delete controllerrevisions" in back.err) == (2, True), (
            back.err
        )
        mesh.control_plane.withhold_eds([STABLE])
        result = await command(mesh, *APPLY, "--timeout", "2s", "--on-timeout", "rollback")
        assert (result.code, specs(mesh)) == (3, start), result.err
        assert mesh.store.list(GroupKind("rbac.authorization.k8s.io", "ClusterRoleBinding")) == ()


async def test_the_way_there_and_back_is_one_document_and_one_stream() -> None:
    """Whoever parses standard output reads one report with the rollback inside, or lines with one result."""
    async with Mesh(scene()) as mesh:
        mesh.control_plane.withhold_eds([STABLE])
        late = (*APPLY, "--timeout", "2s", "--on-timeout", "rollback", "-o")
        told = json.loads((await command(mesh, *late, "json")).out)
        assert (told["outcome"], told["rollback"]["outcome"]) == ("stopped", "settled")
        assert [write["result"] for step in told["rollback"]["steps"] for write in step["writes"]]
        lines = [json.loads(one) for one in (await command(mesh, *late, "events")).out.splitlines()]
        kinds = [one["type"] for one in lines]
        assert (kinds.count("result"), kinds[-1], lines[-1]["rollback"]) == (1, "result", "settled")
        assert kinds.index("rolloutStopped") < kinds.index("rollbackBegan") < kinds.index("rolloutSettled")
        assert [one["at"] for one in lines] == sorted(one["at"] for one in lines)


async def test_a_proxy_that_does_not_count_does_not_bar_the_way_back() -> None:
    """It refuses every update: the way back stops and names it, and goes on without it."""
    async with Mesh(scene()) as mesh:
        start = specs(mesh)
        assert (await command(mesh, *APPLY)).code == 0
        mesh.control_plane.corrupt("client-1.default", "CDS")
        barred = await command(mesh, "rollback", "--yes", "--soak", "0", "--timeout", "3s")
        assert (barred.code, "client-1.default" in barred.err) == (3, True), barred.err
        back = await command(mesh, "rollback", "--yes", "--soak", "0", "--exclude", "default/client-1")
        assert back.code == 0, back.err
        assert specs(mesh) == start


async def test_without_a_record_nothing_is_kept() -> None:
    """Whoever may not write Secrets, or does not want to, does without."""
    async with Mesh(scene()) as mesh:
        assert (await command(mesh, *APPLY, "--no-record")).code == 0
        assert mesh.store.list(RECORD) == ()


def states(mesh: Mesh) -> list[str]:
    """Return what became of the newest rollout of each user."""
    labels = [one["metadata"].get("labels") or {} for one in mesh.store.list(RECORD)]
    return [one["safeapply/state"] for one in labels if "safeapply/state" in one]


def specs(mesh: Mesh) -> Mapping[str, Any]:
    """Return what every object that routes says."""
    return {
        f"{kind}/{one['metadata']['namespace']}/{one['metadata']['name']}": one.get("spec")
        for kind in KINDS
        for one in mesh.store.list(kind)
    }
