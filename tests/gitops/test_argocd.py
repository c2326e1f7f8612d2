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

from safeapply.resources.objects import Document
from safeapply.sandbox.tally import Tally
from tests.gitops.argo import Argo, Hooks
from tests.gitops.container import NOBODY, Mount
from tests.gitops.sites import CONTROLLER, EXAMPLES, LIVE, ROUTE, RULE, Site, built, site

HERE = EXAMPLES / "argocd"
PRUNE = ("--prune", "--selector=app.kubernetes.io/instance=reviews")
"""As the README has it."""


@dataclass
class Application:
    """An Application that has been synced once, and its site."""

    site: Site
    argo: Argo

    async def under_load(self, documents: list[Document]) -> tuple[bool, Tally]:
        """Sync a revision while requests flow; tell whether it went well, and what became of the requests."""
        self.argo.writes.clear()
        return await self.site.under_load(lambda: self.argo.sync(documents))


Start = Callable[..., AbstractAsyncContextManager[Application]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Hand over what starts a site whose first revision is the example's live state."""

    @asynccontextmanager
    async def starting(
        first: list[Document], *, server_side: bool = True, roles: str = (HERE / "rbac.yaml").read_text()
    ) -> AsyncIterator[Application]:
        async with site(yaml.safe_load_all(roles)) as place:
            argo = Argo(
                place.mesh, place.front.kubeconfig(tmp_path / "config", CONTROLLER), server_side, Hooks(place.mesh)
            )
            argo.start()
            assert await argo.sync(first), place.jobs.logs
            yield Application(place, argo)

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
        return built(copy / where)

    return render


Revision = Callable[..., list[Document]]


@pytest.mark.parametrize("server_side", [True, False], ids=["server-side", "client-side"])
async def test_a_sync_loses_no_request_and_leaves_nothing_for_argo_itself(
    start: Start, revision: Revision, *, server_side: bool
) -> None:
    """The Job of the sync before is still there; all is done in PreSync, and Argo's apply changes no spec."""
    async with start(revision(manifests=LIVE), server_side=server_side) as app:
        well, tally = await app.under_load(revision())
        assert well, app.site.jobs.logs
        assert tally.requests > 50
        assert (tally.failed, tally.lost) == (0, {})
        assert app.argo.hooks.deleted == ["safeapply-manifests", "safeapply"]
        assert [one.id.kind for one in app.argo.writes if one.phase == "PreSync" and one.spec_changed] == [
            "DestinationRule",
            "VirtualService",
            "DestinationRule",
        ]
        assert not [one for one in app.argo.writes if one.phase == "Sync" and one.spec_changed]
        assert app.site.subsets == ["stable"]
        assert all(one.tracked for one in app.argo.writes)


async def test_without_force_conflicts_a_server_side_sync_stops_before_its_first_write(
    start: Start, revision: Revision
) -> None:
    """Argo CD owns the fields of its last sync: the Job says so, and the sync ends there."""
    wanted = revision()
    (job,) = (one for one in wanted if one["kind"] == "Job")
    job["spec"]["template"]["spec"]["containers"][0]["args"].remove("--force-conflicts")
    async with start(revision(manifests=LIVE)) as app:
        before = app.site.live(RULE)["metadata"]["resourceVersion"]
        assert not await app.argo.sync(wanted)
        said = app.site.jobs.logs["safeapply"][-1]
        assert said.code == 1
        assert 'conflict with "argocd-controller"' in said.err
        assert "--force-conflicts" in said.err
        assert app.site.live(RULE)["metadata"]["resourceVersion"] == before


async def test_a_refused_plan_ends_the_sync_at_once(start: Start, revision: Revision, tmp_path: Path) -> None:
    """No order of writes can serve a route to a subset that nobody defines; the Job is not tried again."""
    broken = tmp_path / "broken.yaml"
    broken.write_text(
        (HERE / "mesh" / "manifests" / "reviews.yaml").read_text().replace("subset: stable", "subset: v9")
    )
    async with start(revision(manifests=LIVE)) as app:
        known = len(app.site.jobs.logs["safeapply"])
        assert not await app.argo.sync(revision(manifests=broken))
        (said,) = app.site.jobs.logs["safeapply"][known:]
        assert said.code == 4
        assert "v9" in said.err
        assert app.site.subsets == ["v1"]


async def test_what_left_the_revision_is_pruned_by_the_job_and_before_argo(
    start: Start, revision: Revision, tmp_path: Path
) -> None:
    """Without pruning the Job refuses: the route that Argo CD would prune needs the subset that goes."""
    less = tmp_path / "less.yaml"
    less.write_text(LIVE.read_text().partition("  subsets")[0])
    wanted = revision(manifests=less)
    async with start(revision(manifests=LIVE), roles=rights(*PRUNE)) as app:
        assert not await app.argo.sync(wanted)
        assert "virtualservice default/reviews" in app.site.jobs.logs["safeapply"][-1].err
        assert app.site.subsets == ["v1"]
        (job,) = (one for one in wanted if one["kind"] == "Job")
        job["spec"]["template"]["spec"]["containers"][0]["args"] += PRUNE
        well, tally = await app.under_load(wanted)
        assert well, app.site.jobs.logs
        assert (tally.failed, tally.lost) == (0, {})
        changed = [(one.phase, one.id.kind) for one in app.argo.writes if one.spec_changed]
        assert changed == [("PreSync", "VirtualService"), ("PreSync", "DestinationRule")]


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
    async with start(revision(manifests=LIVE)) as app:
        app.site.jobs.extra = (Mount(bare, "/repository"),)
        well, tally = await app.under_load(documents)
        assert well, app.site.jobs.logs
        assert (tally.failed, app.site.subsets) == (0, ["stable"])


async def test_in_two_parts_the_old_version_stays_until_the_sync_is_well(start: Start, revision: Revision) -> None:
    """Widen and switch before, narrow after; where a hook in between fails, the old subset is still there."""
    before, documents = revision("split", manifests=LIVE), revision("split")
    async with start(before) as app:
        failing = hook("Sync", "smoke-test", "exit 1")
        assert not await app.argo.sync([*documents, failing])
        assert app.site.subsets == ["v1", "stable"]
        assert app.site.live(ROUTE)["spec"]["http"][0]["route"][0]["destination"]["subset"] == "stable"
        assert "left for another run, with --phase=narrow" in app.site.jobs.logs["safeapply-before"][-1].err
        well, tally = await app.under_load([*documents, hook("Sync", "smoke-test", "exit 0")])
        assert well, app.site.jobs.logs
        assert (tally.failed, app.site.subsets) == (0, ["stable"])
        assert {one.phase for one in app.argo.writes if one.spec_changed} == {"PostSync"}


def test_the_rights_are_those_that_rbac_prints() -> None:
    """To the letter, beside the account."""
    assert (HERE / "rbac.yaml").read_text().endswith(f"---\n{rights()}")


def rights(*more: str) -> str:
    """Return what ``safeapply rbac`` prints for the example."""
    named = ("-f", "mesh/manifests", "-n", "default", "--serviceaccount", "default:safeapply", *more)
    command = (sys.executable, "-m", "safeapply", "rbac", *named)
    return subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=True).stdout


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
