"""``--metrics-file``: there after success and failure, whole at any time; a wrong path is told before a write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.cli.clusters import files, safeapply
from tests.sandbox.apiserver.cluster import Cluster

CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "shop", "namespace": "default"},
    "data": {"a": "1"},
}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Return an API server without Envoys."""
    with Cluster(tmp_path) as running:
        yield running


def test_the_figures_of_a_rollout_are_written_over_the_last_ones(cluster: Cluster, tmp_path: Path) -> None:
    """One write; then, because nobody can be asked, exit 2 and none."""
    directory, metrics = files(tmp_path / "manifests", CONFIG), tmp_path / "out" / "rollout.prom"
    metrics.parent.mkdir()
    done = safeapply(cluster, "apply", "-f", directory, "--yes", "--metrics-file", str(metrics))
    assert done.code == 0, done.err
    assert {"safeapply_rollout_exit_code 0", "safeapply_rollout_writes 1"} <= set(metrics.read_text().splitlines())
    other = files(tmp_path / "manifests", {**CONFIG, "data": {"a": "2"}})
    asked = safeapply(cluster, "apply", "-f", other, "--metrics-file", str(metrics))
    assert asked.code == 2
    assert {"safeapply_rollout_exit_code 2", "safeapply_rollout_writes 0"} <= set(metrics.read_text().splitlines())
    assert list(text_string_to_metric_families(metrics.read_text()))  # type: ignore[no-untyped-call]
    assert [one.name for one in metrics.parent.iterdir()] == ["rollout.prom"]
    assert metrics.stat().st_mode & 0o777 == 0o644


def test_a_directory_that_is_not_there_is_told_before_anything_is_written(cluster: Cluster, tmp_path: Path) -> None:
    """Exit 2, and no object."""
    directory = files(tmp_path / "manifests", CONFIG)
    told = safeapply(cluster, "apply", "-f", directory, "--yes", "--metrics-file", str(tmp_path / "no" / "file"))
    assert told.code == 2
    assert told.err.startswith("error: --metrics-file ")
    assert safeapply(cluster, "apply", "-f", directory, "--dry-run=server").out.count("created") == 1
