"""The pipelines of the examples: their scripts are run, with a stand-in for the service that gets the comment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest
import yaml

from safeapply.sandbox.apiserver import Access, User
from safeapply.sandbox.loading import read_documents
from tests.gitops.sites import EXAMPLES
from tests.posting import posted_to
from tests.sandbox.apiserver.cluster import Cluster

HERE = EXAMPLES / "ci"
MESH = EXAMPLES / "argocd" / "mesh" / "manifests"
READING = ("get", "list", "watch")
SCHEMAS = {
    "github.yaml": ("--builtin-schema", "vendor.github-workflows"),
    "gitlab.yaml": ("--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"),
}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Cluster]:
    """Hand over a cluster in which the pipeline may read, and a checkout."""
    shutil.copytree(MESH, tmp_path / "mesh")
    with Cluster(tmp_path) as cluster:
        for document in read_documents([EXAMPLES / "01-rename-a-subset" / "live"]):
            spaced = {**document, "metadata": {**document["metadata"], "namespace": "default"}}
            cluster.do(partial(cluster.store.create, spaced))
        command = (sys.executable, "-m", "safeapply", "rbac", "-f", MESH, "--user", "ci")
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        for document in yaml.safe_load_all(said.stdout):
            for rule in document.get("rules", ()):
                rule["verbs"] = [verb for verb in rule["verbs"] if verb in READING]
            document["rules"] = [rule for rule in document.get("rules", ()) if rule["verbs"]]
            cluster.do(partial(cluster.store.create, document))
        cluster.do(lambda: setattr(cluster.server, "access", Access(cluster.store, {"ci": User("ci")})))
        cluster.kubeconfig.write_text(cluster.server.kubeconfig(token="ci"))
        yield cluster


def environment(desk: Cluster, **more: str) -> Mapping[str, str]:
    """Return what a script finds: the command, stand-ins, and the way to the cluster."""
    path = f"{desk.directory / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "KUBECONFIG": str(desk.kubeconfig), **more}


def ran(script: str, desk: Cluster, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a runner does."""
    shell = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script)
    return subprocess.run(
        shell, cwd=desk.directory, env=environment(desk, **more), capture_output=True, text=True, check=False
    )


def github(desk: Cluster) -> dict[str, subprocess.CompletedProcess[str]]:
    """Run the steps that are scripts, less the installation; the comment goes to a file."""
    stub = desk.directory / "bin" / "gh"
    stub.parent.mkdir()
    stub.write_text('#!/bin/sh\nprintf "%s\\n" "$*" > gh.txt\n')
    stub.chmod(0o755)
    (job,) = yaml.safe_load((HERE / "github.yaml").read_text())["jobs"].values()
    steps = {one["name"]: one["run"] for one in job["steps"] if "run" in one}
    return {name: ran(steps[name], desk, NUMBER="7") for name in ("Check", "Plan", "Comment")}


@pytest.mark.parametrize("file", SCHEMAS)
def test_the_file_is_one_that_the_service_understands(file: str) -> None:
    """By the service's own schema."""
    command = (sys.executable, "-m", "check_jsonschema", *SCHEMAS[file], str(HERE / file))
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout


def test_a_pull_request_gets_its_plan_as_a_comment_and_its_findings_as_sarif(desk: Cluster) -> None:
    """By an account that may only read."""
    before = desk.do(lambda: desk.store.resource_version)
    said = github(desk)
    assert {name: one.returncode for name, one in said.items()} == {"Check": 0, "Plan": 0, "Comment": 0}, said
    comment = (desk.directory / "comment.md").read_text()
    assert comment.startswith("```text\nPlan: 3 steps, 3 writes (1 bridge)")
    assert (desk.directory / "gh.txt").read_text().startswith("pr comment 7 --body-file comment.md")
    assert json.loads((desk.directory / "findings.sarif").read_text())["version"] == "2.1.0"
    assert desk.do(lambda: desk.store.resource_version) == before


def test_a_pull_request_that_breaks_something_fails_and_says_what(desk: Cluster) -> None:
    """The comment is written all the same."""
    file = desk.directory / "mesh" / "reviews.yaml"
    file.write_text(file.read_text().replace("subset: stable", "subset: v9"))
    said = github(desk)
    assert {name: one.returncode for name, one in said.items()} == {"Check": 4, "Plan": 4, "Comment": 0}
    assert "Refused" in (desk.directory / "comment.md").read_text()
    assert "IST0101" in (desk.directory / "findings.sarif").read_text()


@pytest.mark.parametrize(("wanted", "code"), [("stable", 0), ("v9", 4)])
def test_a_merge_request_gets_its_plan_as_a_note(desk: Cluster, wanted: str, code: int) -> None:
    """Also where it is refused; the job ends as the plan does."""
    file = desk.directory / "mesh" / "reviews.yaml"
    file.write_text(file.read_text().replace("subset: stable", f"subset: {wanted}"))
    script = "\n".join(yaml.safe_load((HERE / "gitlab.yaml").read_text())["mesh"]["script"])
    posted: list[tuple[str, str, str]] = []
    with posted_to(
        lambda path, headers, body: posted.append((path, str(headers["PRIVATE-TOKEN"]), json.loads(body)["body"]))
    ) as url:
        named = {
            "CI_API_V4_URL": f"{url}/api/v4",
            "CI_PROJECT_ID": "1",
            "CI_MERGE_REQUEST_IID": "7",
            "NOTES_TOKEN": "hidden",
        }
        said = ran(script, desk, **named)
    assert said.returncode == code, said
    ((path, token, body),) = posted
    assert (path, token) == ("/api/v4/projects/1/merge_requests/7/notes", "hidden")
    assert body.startswith("```text\n" + ("Refused" if code else "Plan: 3 steps"))
    assert (desk.directory / "findings.xml").read_text().startswith("<?xml")
