"""The Pulumi example: its program and its provider run by Pulumi's SDK, with a stand-in for the engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from safeapply.resources.objects import GroupKind
from tests.gitops.container import REPOSITORY
from tests.gitops.sites import EXAMPLES
from tests.sandbox.apiserver.cluster import SERVICES, Cluster, service

ENGINE = Path(__file__).with_name("pulumi_engine.py")
PROGRAM = EXAMPLES / "pulumi" / "__main__.py"
MESH = EXAMPLES / "argocd" / "mesh" / "manifests"
LOCK = REPOSITORY / "locks" / "pulumi.txt"
PATIENCE = 120.0


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hand over a Python that has Pulumi's SDK, whose dependencies would not bear the tests' own beside them."""
    python = tmp_path_factory.mktemp("pulumi") / "venv" / "bin" / "python"
    subprocess.run((sys.executable, "-m", "venv", python.parents[1]), check=True)
    install = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    locked = ("--require-hashes", "--only-binary", ":all:", "--requirement", LOCK)
    for wanted in (locked, ("--no-index", "--no-deps", "--no-build-isolation", "--editable", REPOSITORY)):
        said = subprocess.run((*install, *wanted), capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert said.returncode == 0, said.stderr
    return python


@contextmanager
def stack(python: Path, cluster: Cluster) -> Iterator[Callable[[str], str]]:
    """Start what brings the resource up or down, and hand over how to tell it."""
    with subprocess.Popen(
        [python, ENGINE, PROGRAM],
        cwd=cluster.directory,
        env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as engine:

        def tell(verb: str) -> str:
            assert engine.stdin is not None
            assert engine.stdout is not None
            print(verb, file=engine.stdin, flush=True)
            return engine.stdout.readline().strip()

        yield tell


def live(cluster: Cluster, name: str) -> list[str]:
    """Return the names of what is in the cluster of a kind of Istio's."""
    found = cluster.do(lambda: cluster.store.list(GroupKind("networking.istio.io", name)))
    return [one["metadata"]["name"] for one in found]


def test_a_resource_is_made_changed_left_alone_and_deleted(python: Path, tmp_path: Path) -> None:
    """What leaves the files leaves the cluster; what would fail is told by the check, as in a preview."""
    shutil.copytree(MESH, tmp_path / "mesh")
    file = tmp_path / "mesh" / "reviews.yaml"
    with Cluster(tmp_path) as cluster, stack(python, cluster) as tell:
        cluster.ask("POST", SERVICES, service())
        assert [tell("up"), tell("up")] == ["created", "unchanged"]
        file.write_text(file.read_text().replace("stable", "next"))
        assert tell("up") == "updated"
        good = file.read_text()
        file.write_text(good.replace("subset: next", "subset: v9"))
        assert "subset v9 of reviews.default.svc.cluster.local, which will not exist" in tell("up")
        file.write_text(good.partition("---")[0])
        assert tell("up") == "updated"
        assert (live(cluster, "DestinationRule"), live(cluster, "VirtualService")) == (["reviews"], [])
        assert tell("destroy") == "deleted"
        assert live(cluster, "DestinationRule") == []
