"""The Flux example: a Kustomization of the Job, ready when it is complete, run again for other files only."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from safeapply.resources.objects import Document, Namespace, ResourceId
from tests.gitops.jobs import CONTROLLER
from tests.gitops.sites import EXAMPLES, LIVE, Site, built, site

HERE = EXAMPLES / "flux"
JOB = ResourceId("batch", "Job", Namespace("default"), "safeapply")
FORCE = "kustomize.toolkit.fluxcd.io/force"


@dataclass
class Flux:
    """Stands in for kustomize-controller: applies what differs, makes anew what cannot be changed, and waits."""

    site: Site

    async def reconcile(self, documents: Sequence[Document]) -> bool:
        """Apply a revision, and tell whether all of it became ready."""
        store = self.site.mesh.store
        for document in documents:
            group = "batch" if document["kind"] == "Job" else ""
            one = ResourceId(group, document["kind"], Namespace("default"), document["metadata"]["name"])
            wanted = {**document, "metadata": {**document["metadata"], "namespace": "default"}}
            live = store.get(one)
            if one == JOB:
                wanted["spec"] = {**document["spec"], "managedBy": CONTROLLER}
                if live is not None and live["spec"]["template"] != wanted["spec"]["template"]:
                    assert document["metadata"]["annotations"][FORCE] == "enabled"
                    store.delete(one)
                    live = None
            if live is None:
                store.create(wanted, manager="kustomize-controller")
        return await self._ready()

    async def _ready(self) -> bool:
        """Wait for the Job as kstatus judges it."""
        async with asyncio.timeout(120):
            while not (conditions := (self.site.live(JOB).get("status") or {}).get("conditions")):
                await self.site.jobs.ended()
        return bool(conditions[0]["type"] == "Complete")


def revision(directory: Path, manifests: Path | None = None) -> list[Document]:
    """Return what Flux builds of the example, or of it with other manifests."""
    shutil.copytree(HERE / "mesh", directory)
    if manifests is not None:
        shutil.copy(manifests, directory / "manifests" / "reviews.yaml")
    return built(directory)


def rights() -> list[Document]:
    """Return the account, and what the README says that it needs."""
    command = ("safeapply", "rbac", "-f", "mesh/manifests", "-n", "default")
    said = subprocess.run(
        [sys.executable, "-m", *command, "--serviceaccount", "default:safeapply"],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=True,
    )
    return list(yaml.safe_load_all(said.stdout))


async def test_other_files_are_another_job_and_the_same_files_are_none(tmp_path: Path) -> None:
    """The Job of the revision before gives way; under load no request fails; a further reconciliation is none."""
    first, wanted = revision(tmp_path / "first", LIVE), revision(tmp_path / "wanted")
    async with site(rights()) as place:
        flux = Flux(place)
        assert await flux.reconcile(first)
        well, tally = await place.under_load(lambda: flux.reconcile(wanted))
        assert well, place.jobs.logs
        assert tally.requests > 50
        assert (tally.failed, tally.lost, place.subsets) == (0, {}, ["stable"])
        assert len(place.jobs.logs["safeapply"]) == 2
        assert await flux.reconcile(wanted)
        assert len(place.jobs.logs["safeapply"]) == 2


async def test_the_application_waits_for_the_mesh_and_a_failed_job_is_not_ready(tmp_path: Path) -> None:
    """The Kustomization of the Job is waited for, and the other depends on it."""
    mesh, application = yaml.safe_load_all((HERE / "flux.yaml").read_text())
    assert mesh["spec"]["wait"]
    assert application["spec"]["dependsOn"] == [{"name": mesh["metadata"]["name"]}]
    broken = tmp_path / "broken.yaml"
    broken.write_text(LIVE.read_text().replace("subset: v1", "subset: v9"))
    async with site(rights()) as place:
        assert not await Flux(place).reconcile(revision(tmp_path / "broken", broken))
        assert [one.code for one in place.jobs.logs["safeapply"]] == [4]
        assert place.subsets == ["v1"]
