"""What a manifest is called decides over nothing but its own object: no file, no other object, no other path."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.clusters import files, safeapply
from tests.sandbox.apiserver.cluster import Cluster, config

KEY = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "ca-key", "namespace": "istio-system"},
    "data": {"key": "c2VjcmV0"},
}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Hand over a server with the key of a CA, and a ConfigMap that has to stay."""
    with Cluster(tmp_path) as running:
        for document in (KEY, config("keepme", {"a": "1"})):
            running.do(lambda one=document: running.store.create(one, manager="admin"))  # type: ignore[misc]
        yield running


def named(name: str, namespace: str = "default") -> dict[str, Any]:
    """Return a ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}


HOSTILE = {
    "a Secret behind the namespace": named("ca-key", "istio-system/secrets/ca-key?"),
    "another namespace": named("settings", "default/../istio-system"),
    "another object": named("keepme?innocent"),
}


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("command", ["delete", "apply", "diff", "plan"])
def test_an_identity_that_is_a_path_is_refused(cluster: Cluster, tmp_path: Path, command: str, case: str) -> None:
    """Nothing is read, written or deleted; the sentence names the field."""
    before = cluster.do(lambda: cluster.store.resource_version)
    more = ("--yes",) if command in {"delete", "apply"} else ()
    said = safeapply(cluster, command, "-f", files(tmp_path / "hostile", HOSTILE[case]), *more)
    assert said.code == (2 if command == "diff" else 1), said.err
    assert "metadata.name" in said.err
    assert said.err.count("\n") == 1
    assert cluster.do(lambda: cluster.store.resource_version) == before


def test_a_kind_is_no_way_out_of_the_directory_of_a_diff(cluster: Cluster, tmp_path: Path) -> None:
    """What would be written is Python, into a file that Python runs."""
    victim = tmp_path / "victim"
    victim.mkdir()
    evil = {
        "apiVersion": ".",
        "kind": f"/../..{victim}/evil",
        "metadata": {"name": "pth", "namespace": "ns"},
        "import os": "",
    }
    shorter = {**evil, "kind": "/../victim/evil"}
    for document in (evil, shorter):
        for where in ((), ("--live", files(tmp_path / "live", config("a", {})))):
            said = safeapply(cluster, "diff", *where, "-f", files(tmp_path / "hostile", document))
            assert said.code == 2, said.all
            assert "apiVersion '.' must be a version" in said.err
    assert list(victim.iterdir()) == []


def test_a_saved_plan_is_held_to_the_same(cluster: Cluster, tmp_path: Path) -> None:
    """It is a file, and whoever can write it could name another object."""
    saved = tmp_path / "plan.json"
    wanted = files(tmp_path / "wanted", config("settings", {"a": "1"}))
    assert safeapply(cluster, "plan", "-f", wanted, "--out", str(saved)).code == 0
    document = json.loads(saved.read_text())
    document["manifests"][0]["metadata"]["namespace"] = "istio-system/secrets/ca-key?"
    saved.write_text(json.dumps(document))
    said = safeapply(cluster, "apply", str(saved), "--yes")
    assert said.code == 1
    assert "must be a DNS label" in said.err


def test_names_that_are_too_long_for_a_file_are_shown_all_the_same(cluster: Cluster, tmp_path: Path) -> None:
    """A group, a kind, a namespace and a name may together be longer than a file's name may be."""
    said = safeapply(cluster, "diff", "-f", files(tmp_path / "long", named("n" * 253, "default")))
    assert said.code == 1, said.err
    assert "+kind: ConfigMap" in said.out
