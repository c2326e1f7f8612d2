"""The Argo CD example, synced under load on real Envoys: its Job in a container, with its rights and no others."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from safeapply.resources.objects import Document, Namespace, ResourceId
from safeapply.sandbox.apiserver import ADMIN
from safeapply.sandbox.mesh import Mesh
from safeapply.sandbox.tally import Tally
from safeapply.sandbox.traffic import Traffic
from tests.gitops.argo import Argo
from tests.gitops.container import NOBODY, Mount
from tests.gitops.front import front
from tests.gitops.jobs import Jobs
from tests.mesh.command import EXAMPLE, scene

HERE = EXAMPLE.parent / "argocd"
RULE = ResourceId("networking.istio.io", "DestinationRule", Namespace("default"), "reviews")
ROUTE = ResourceId("networking.istio.io", "VirtualService", Namespace("default"), "reviews")


@dataclass
class Site:
    """A mesh with Argo CD, and an Application that has been synced once."""

    mesh: Mesh
    argo: Argo
    jobs: Jobs

    @property
    def subsets(self) -> list[str]:
        """The subsets of the rule, as they are live."""
        return [str(one["name"]) for one in self.live(RULE)["spec"]["subsets"]]

    def live(self, one: ResourceId) -> Document:
        """Return a live object."""
        found = self.mesh.store.get(one)
        assert found is not None
        return found

    async def under_load(self, documents: list[Document]) -> tuple[bool, Tally]:
        """Sync a revision while requests flow; tell whether it went well, and what became of the requests."""
        async with await Traffic.start(self.mesh.targets(), rate=200.0, seed=1) as traffic:
            await traffic.before()
            self.argo.writes.clear()
            well = await self.argo.sync(documents)
            await self.mesh.settled(within=60)
            return well, await traffic.after()


Start = Callable[..., AbstractAsyncContextManager[Site]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Hand over what starts a site whose first revision is the example's live state."""

    @asynccontextmanager
    async def starting(first: list[Document], *, server_side: bool = True) -> AsyncIterator[Site]:
        async with Mesh(scene()) as mesh, front(mesh.api.url) as before:
            for document in yaml.safe_load_all((HERE / "rbac.yaml").read_text()):
                mesh.store.create(document)
            jobs = Jobs(mesh, before, {"argocd": ADMIN})
            argo = Argo(mesh, before.kubeconfig(tmp_path / "config", "argocd"), server_side)
            jobs.start()
            argo.start()
            assert await argo.sync(first), jobs.logs
            yield Site(mesh, argo, jobs)

    return starting


@pytest.fixture
def revision(tmp_path: Path) -> Callable[..., list[Document]]:
    """Hand over what renders a revision as Argo CD does: the example's, or with other manifests."""

    def render(where: str = ".", *, manifests: Path | None = None, revision: str = "") -> list[Document]:
        copy = tmp_path / f"checkout-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(HERE, copy)
        if manifests is not None:
            shutil.copy(manifests, copy / "mesh" / "manifests" / "reviews.yaml")
        if revision:
            with (copy / where / "kustomization.yaml").open("a") as file:
                file.write(f"commonAnnotations: {{example.test/revision: {revision}}}\n")
        said = subprocess.run(["kubectl", "kustomize", copy / where], capture_output=True, text=True, check=True)
        return list(yaml.safe_load_all(said.stdout))

    return render


Revision = Callable[..., list[Document]]
LIVE = EXAMPLE / "live" / "reviews.yaml"


@pytest.mark.parametrize("server_side", [True, False], ids=["server-side", "client-side"])
async def test_a_sync_loses_no_request_and_leaves_nothing_for_argo_itself(
    start: Start, revision: Revision, *, server_side: bool
) -> None:
    """The Job of the sync before is still there; all is done in PreSync, and Argo's apply changes no spec."""
    async with start(revision(manifests=LIVE), server_side=server_side) as site:
        well, tally = await site.under_load(revision())
        assert well, site.jobs.logs
        assert tally.requests > 50
        assert (tally.failed, tally.lost) == (0, {})
        assert site.argo.deleted_hooks == ["safeapply-manifests", "safeapply"]
        assert [one.id.kind for one in site.argo.writes if one.phase == "PreSync" and one.spec_changed] == [
            "DestinationRule",
            "VirtualService",
            "DestinationRule",
        ]
        assert not [one for one in site.argo.writes if one.phase == "Sync" and one.spec_changed]
        assert site.subsets == ["stable"]
        assert all(one.tracked for one in site.argo.writes)


async def test_without_force_conflicts_a_server_side_sync_stops_before_its_first_write(
    start: Start, revision: Revision
) -> None:
    """Argo CD owns the fields of its last sync: the Job says so, and the sync ends there."""
    wanted = revision()
    (job,) = (one for one in wanted if one["kind"] == "Job")
    job["spec"]["template"]["spec"]["containers"][0]["args"].remove("--force-conflicts")
    async with start(revision(manifests=LIVE)) as site:
        before = site.live(RULE)["metadata"]["resourceVersion"]
        assert not await site.argo.sync(wanted)
        said = site.jobs.logs["safeapply"][-1]
        assert said.code == 1
        assert 'conflict with "argocd-controller"' in said.err
        assert "--force-conflicts" in said.err
        assert site.live(RULE)["metadata"]["resourceVersion"] == before


async def test_a_refused_plan_ends_the_sync_at_once(start: Start, revision: Revision, tmp_path: Path) -> None:
    """No order of writes can serve a route to a subset that nobody defines; the Job is not tried again."""
    broken = tmp_path / "broken.yaml"
    broken.write_text(
        (HERE / "mesh" / "manifests" / "reviews.yaml").read_text().replace("subset: stable", "subset: v9")
    )
    async with start(revision(manifests=LIVE)) as site:
        known = len(site.jobs.logs["safeapply"])
        assert not await site.argo.sync(revision(manifests=broken))
        (said,) = site.jobs.logs["safeapply"][known:]
        assert said.code == 4
        assert "v9" in said.err
        assert site.subsets == ["v1"]


async def test_the_revision_is_cloned_where_files_do_not_fit_into_a_configmap(
    start: Start, revision: Revision, tmp_path: Path
) -> None:
    """Argo CD writes the revision onto the Job's pods, and the init container fetches just that, with real git."""
    work, bare = tmp_path / "work", tmp_path / "reviews.git"
    shutil.copytree(HERE, work / "examples" / "argocd")
    wanted = committed(work)
    (work / "examples" / "argocd" / "mesh" / "manifests" / "reviews.yaml").write_text("later: true\n")
    committed(work)
    git("clone", "-q", "--bare", str(work), str(bare))
    git("config", "uploadpack.allowAnySHA1InWant", "true", within=bare)
    if os.geteuid() == 0:
        for path in (bare, *bare.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
    documents = revision("from-git", revision=wanted)
    (job,) = (one for one in documents if one["kind"] == "Job")
    (clone,) = job["spec"]["template"]["spec"]["initContainers"]
    clone["env"][0]["value"] = "file:///repository"
    async with start(revision(manifests=LIVE)) as site:
        site.jobs.extra = (Mount(bare, "/repository"),)
        well, tally = await site.under_load(documents)
        assert well, site.jobs.logs
        assert (tally.failed, site.subsets) == (0, ["stable"])


async def test_in_two_parts_the_old_version_stays_until_the_sync_is_well(start: Start, revision: Revision) -> None:
    """Widen and switch before, narrow after; where a hook in between fails, the old subset is still there."""
    before, documents = revision("split", manifests=LIVE), revision("split")
    async with start(before) as site:
        failing = hook("Sync", "smoke-test", "exit 1")
        assert not await site.argo.sync([*documents, failing])
        assert site.subsets == ["v1", "stable"]
        assert site.live(ROUTE)["spec"]["http"][0]["route"][0]["destination"]["subset"] == "stable"
        well, tally = await site.under_load([*documents, hook("Sync", "smoke-test", "exit 0")])
        assert well, site.jobs.logs
        assert (tally.failed, site.subsets) == (0, ["stable"])
        assert {one.phase for one in site.argo.writes if one.spec_changed} == {"PostSync"}


def test_the_rights_are_those_that_rbac_prints() -> None:
    """To the letter, beside the account."""
    command = (
        "safeapply",
        "rbac",
        "-f",
        "mesh/manifests",
        "-n",
        "default",
        "--serviceaccount",
        "default:safeapply",
    )
    said = subprocess.run([sys.executable, "-m", *command], cwd=HERE, capture_output=True, text=True, check=True)
    assert (HERE / "rbac.yaml").read_text().endswith(f"---\n{said.stdout}")


def hook(phase: str, name: str, script: str) -> Document:
    """Return a Job with a shell script as a hook."""
    document: dict[str, Any] = yaml.safe_load((HERE / "job" / "job.yaml").read_text())
    document["metadata"]["name"] = name
    document["metadata"]["annotations"]["argocd.argoproj.io/hook"] = phase
    document["spec"] |= {"backoffLimit": 0}
    spec = document["spec"]["template"]["spec"]
    spec["containers"][0] |= {"command": ["sh", "-c", script], "args": [], "volumeMounts": []}
    spec["volumes"] = []
    return document


def git(*arguments: str, within: Path | None = None) -> str:
    """Run git."""
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.test", "-c", "init.defaultBranch=main")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=within, capture_output=True, text=True, check=True
    ).stdout


def committed(work: Path) -> str:
    """Commit all that is in a directory, and return the revision."""
    git("init", "-q", within=work)
    git("add", "-A", within=work)
    git("commit", "-qm", "A revision", within=work)
    return git("rev-parse", "HEAD", within=work).strip()
