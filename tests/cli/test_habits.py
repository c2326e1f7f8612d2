"""How kubectl's users call it: as a plugin, with a kustomization, completed by TAB."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.clusters import files, ran, safeapply
from tests.sandbox.apiserver.cluster import Cluster, rule


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Hand over a running API server."""
    with Cluster(tmp_path) as running:
        yield running


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_a_kustomization_is_built_by_kubectl(cluster: Cluster, tmp_path: Path) -> None:
    """Its prefix is on the object; one that cannot be built is told in kustomize's words."""
    directory = Path(files(tmp_path / "shop", rule("reviews", "v1")))
    (directory / "kustomization.yaml").write_text("resources: [0.yaml]\nnamePrefix: my-\nnamespace: default\n")
    said = safeapply(cluster, "apply", "-k", str(directory), "--yes", "--soak", "0")
    assert (said.code, said.out) == (0, "destinationrule.networking.istio.io/my-reviews created\n"), said.err
    both = safeapply(cluster, "plan", "-k", str(directory), "-f", str(directory))
    assert (both.code, "-k and -f exclude each other" in both.err) == (2, True)
    (directory / "kustomization.yaml").write_text("resources: [missing.yaml]\n")
    broken = safeapply(cluster, "plan", "-k", str(directory))
    assert broken.code == 1
    assert "missing.yaml" in broken.err


def test_without_kustomize_and_kubectl_a_kustomization_is_a_usage_error(cluster: Cluster, tmp_path: Path) -> None:
    """It says what to install."""
    said = ran(
        sys.executable, "-m", "safeapply", "plan", "-k", "shop", kubeconfig=cluster.kubeconfig, PATH=str(tmp_path)
    )
    assert (said.code, said.err) == (
        2,
        "error: -k shop: neither kustomize nor kubectl is on the PATH; install one of them\n",
    )


def test_as_a_plugin_of_kubectl_it_goes_by_kubectls_name() -> None:
    """``kubectl safeapply`` finds ``kubectl-safeapply`` on the PATH."""
    program = Path(sys.executable).with_name("kubectl-safeapply")
    shown = subprocess.run([program, "plan", "--help"], capture_output=True, text=True, check=True)
    assert "Usage: kubectl safeapply plan" in shown.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_are_told_how_to_complete(shell: str) -> None:
    """What is printed calls the command; the command then names what may follow."""
    program = Path(sys.executable).with_name("safeapply")
    script = subprocess.run([program, "completion", shell], capture_output=True, text=True, check=True).stdout
    assert "_SAFEAPPLY_COMPLETE=complete_" in script
    asked = {
        "_SAFEAPPLY_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "safeapply ro",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "safeapply ro",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_WORD_TO_COMPLETE": "ro",
    }
    told = subprocess.run([program], capture_output=True, text=True, check=False, env={**os.environ, **asked})
    assert "rollback" in told.stdout
