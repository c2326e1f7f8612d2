"""The Terraform example, applied by the real program: once for each change of a file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from safeapply.resources.objects import Namespace, ResourceId
from tests.gitops.sites import EXAMPLES
from tests.sandbox.apiserver.cluster import Cluster

MESH = EXAMPLES / "argocd" / "mesh" / "manifests"
ROUTE = ResourceId("networking.istio.io", "VirtualService", Namespace("default"), "reviews")
pytestmark = pytest.mark.skipif(shutil.which("terraform") is None, reason="terraform is not installed")


def test_files_are_applied_when_they_change_and_not_again(tmp_path: Path) -> None:
    """No provider is downloaded: terraform_data is built in."""
    work = tmp_path / "work"
    shutil.copytree(EXAMPLES / "terraform", work)
    shutil.copytree(MESH, work / "mesh")
    with Cluster(tmp_path) as cluster:
        terraform(cluster, work, "init", "-input=false")
        assert "1 added" in terraform(cluster, work, "apply", "-auto-approve", "-input=false")
        live = cluster.do(lambda: cluster.store.get(ROUTE))
        assert live is not None
        assert "0 added, 0 changed" in terraform(cluster, work, "apply", "-auto-approve", "-input=false")
        file = work / "mesh" / "reviews.yaml"
        file.write_text(file.read_text().replace("hosts:", "hosts: # all of them"))
        assert "1 added" in terraform(cluster, work, "apply", "-auto-approve", "-input=false")


def terraform(cluster: Cluster, work: Path, *arguments: str) -> str:
    """Run Terraform, and return what it said."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(cluster.kubeconfig), "CHECKPOINT_DISABLE": "1"}
    said = subprocess.run(
        ["terraform", *arguments, "-no-color"],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr
    return said.stdout
