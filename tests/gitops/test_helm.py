"""The Helm example: what Helm renders, its hook run in a container under load; and the same through a pipe."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from safeapply.resources.objects import Document
from tests.gitops.argo import Hooks
from tests.gitops.sites import CONTROLLER, EXAMPLES, LIVE, site
from tests.gitops.test_flux import rights

HERE = EXAMPLES / "helm"
pytestmark = pytest.mark.skipif(
    shutil.which("helm") is None, reason="helm is not installed: make .venv/programs, on Linux and x86-64"
)


def rendered(directory: Path, manifests: Path | None = None, *values: str) -> str:
    """Return what Helm makes of the example, or of it with other manifests."""
    shutil.copytree(HERE, directory)
    if manifests is not None:
        shutil.copy(manifests, directory / "mesh" / "reviews.yaml")
    options = (word for value in values for word in ("--set", value))
    command = ("helm", "template", "reviews", str(directory), "--namespace", "default", *options)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def hooks(text: str, when: str = "pre-upgrade") -> list[Document]:
    """Return a release's hooks of an event in the order in which Helm runs them: by weight."""
    found = [one for one in yaml.safe_load_all(text) if one is not None]
    assert {one["metadata"]["annotations"]["helm.sh/hook-delete-policy"] for one in found} == {
        "before-hook-creation"
    }
    chosen = [one for one in found if when in one["metadata"]["annotations"]["helm.sh/hook"].split(",")]
    return sorted(chosen, key=lambda one: int(one["metadata"]["annotations"]["helm.sh/hook-weight"]))


async def test_an_upgrade_loses_no_request(tmp_path: Path) -> None:
    """The hook of the release before is still there, and is deleted before this one is made."""
    first, wanted = rendered(tmp_path / "first", LIVE), rendered(tmp_path / "wanted")
    async with site(rights()) as place:
        helm = Hooks(place.mesh)
        helm.start()
        assert await helm.run(hooks(first)), place.jobs.logs
        well, tally = await place.under_load(lambda: helm.run(hooks(wanted)))
        assert well, place.jobs.logs
        assert (tally.failed, tally.lost, place.subsets) == (0, {}, ["stable"])
        assert helm.deleted == ["reviews-safeapply", "reviews-safeapply"]


async def test_in_two_parts_the_old_version_stays_until_the_upgrade_is_well(tmp_path: Path) -> None:
    """Widen and switch before, narrow after; an upgrade that fails in between leaves the old subset in reach."""
    first, wanted = (
        rendered(tmp_path / name, live, "safeapply.split=true")
        for name, live in (("first", LIVE), ("wanted", None))
    )
    async with site(rights()) as place:
        helm = Hooks(place.mesh)
        helm.start()
        for when in ("pre-install", "post-install"):
            assert await helm.run(hooks(first, when)), place.jobs.logs
        assert await helm.run(hooks(wanted)), place.jobs.logs
        assert place.subsets == ["v1", "stable"]
        well, tally = await place.under_load(lambda: helm.run(hooks(wanted, "post-upgrade")))
        assert well, place.jobs.logs
        assert (tally.failed, tally.lost, place.subsets) == (0, {}, ["stable"])


async def test_what_helm_renders_goes_through_a_pipe(tmp_path: Path) -> None:
    """``helm template | safeapply apply -f -``, with the Istio objects among the templates."""
    chart = tmp_path / "chart"
    shutil.copytree(HERE, chart)
    shutil.move(chart / "mesh" / "reviews.yaml", chart / "templates" / "reviews.yaml")
    script = f"helm template reviews {chart} --no-hooks | {sys.executable} -m safeapply apply -f - -n default --yes"
    async with site(rights()) as place:
        config = place.front.kubeconfig(tmp_path / "config", CONTROLLER)

        async def piped() -> bool:
            process = await asyncio.create_subprocess_exec(
                *("bash", "-o", "pipefail", "-c", script), env={**os.environ, "KUBECONFIG": str(config)}
            )
            return await process.wait() == 0

        well, tally = await place.under_load(piped)
        assert (well, tally.failed, place.subsets) == (True, 0, ["stable"])
