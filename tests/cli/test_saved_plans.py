"""Saved plans: made, looked at, carried out as they are, and refused when anything has changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.clusters import Said, files, safeapply
from tests.sandbox.apiserver.cluster import RULES, Cluster, rule


class Desk:
    """A cluster, a directory of manifests and a file for the plan."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self.cluster, self.file = cluster, directory / "rollout.plan"
        self.directory = files(directory / "files", rule("reviews", "v1", "v2"))

    def plan(self, *also: str) -> Said:
        """Save a plan."""
        return safeapply(self.cluster, "plan", "-f", self.directory, "--out", str(self.file), *also)

    def apply(self, *also: str) -> Said:
        """Carry it out."""
        return safeapply(self.cluster, "apply", str(self.file), "--soak", "0", *also)

    def subsets(self) -> list[str]:
        """Return the subsets that are live."""
        live = self.cluster.ask("GET", f"{RULES}/reviews").body
        return [one["name"] for one in live["spec"].get("subsets", ())]

    def write(self, document: Any, *, by: str = "other") -> None:
        """Write as another client does."""
        path = f"{RULES}/{document['metadata']['name']}"
        assert self.cluster.apply(path, document, by, force=True).code in {200, 201}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Hand over a cluster with one rule."""
    with Cluster(tmp_path) as cluster:
        desk = Desk(cluster, tmp_path)
        desk.write(rule("reviews", "v1"), by="safeapply")
        yield desk


def test_a_saved_plan_is_carried_out_without_being_asked_for_again(desk: Desk) -> None:
    """The file is consent; it is for its owner's eyes, and says how to go on."""
    saved = desk.plan()
    assert (saved.code, saved.err) == (0, f"saved; carry it out with: safeapply apply {desk.file}\n")
    assert desk.file.stat().st_mode & 0o777 == 0o600
    assert desk.subsets() == ["v1"]
    Path(desk.directory, "0.yaml").unlink()
    done = desk.apply()
    assert (done.code, done.out) == (0, "destinationrule.networking.istio.io/reviews configured\n"), done.err
    assert desk.subsets() == ["v1", "v2"]


def test_a_plan_is_stale_once_it_has_been_carried_out(desk: Desk) -> None:
    """The object that it writes has another resourceVersion."""
    desk.plan()
    desk.apply()
    again = desk.apply()
    assert again.code == 5
    assert "the saved plan is stale:\n  destinationrule.networking.istio.io/default/reviews: uid " in again.err


def test_a_plan_is_stale_when_what_it_depends_on_has_changed(desk: Desk) -> None:
    """No object that it writes was touched; but another rule may decide."""
    desk.plan()
    desk.write(rule("ratings", "v1"))
    stale = desk.apply()
    assert stale.code == 5
    assert "destinationrule.networking.istio.io/default/ratings, which the plan depends on, is new" in stale.err
    assert desk.subsets() == ["v1"]


def test_a_plan_is_stale_when_an_object_was_made_anew(desk: Desk) -> None:
    """The same name and content, and another uid: its age is another, and age decides."""
    desk.plan()
    desk.cluster.ask("DELETE", f"{RULES}/reviews")
    desk.write(rule("reviews", "v1"), by="safeapply")
    assert desk.apply().code == 5


def test_a_plan_that_was_tampered_with_is_refused(desk: Desk) -> None:
    """What is carried out is what would be planned, and not what the file says."""
    desk.plan()
    document = json.loads(desk.file.read_text())
    document["manifests"][0]["spec"]["subsets"].pop()
    desk.file.write_text(json.dumps(document))
    refused = desk.apply()
    assert refused.code == 5
    assert "what is planned now is not what safeapply" in refused.err
    assert desk.subsets() == ["v1"]


@pytest.mark.parametrize("content", ["", "kind: List", "[]", "{}", '{"formatVersion": "1", "request": 1}'])
def test_what_is_no_plan_is_told_in_one_sentence(desk: Desk, content: str) -> None:
    """Also a manifest that was meant for -f."""
    desk.file.write_text(content)
    refused = desk.apply()
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "not a saved plan; save one by safeapply plan --out FILE" in refused.err


def test_a_plan_with_a_secret_is_not_saved(desk: Desk, tmp_path: Path) -> None:
    """Its values would stand in the file."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"key": "hunter2"}}
    desk.directory = files(tmp_path / "secrets", secret)
    refused = desk.plan()
    assert refused.code == 2
    assert "apply Secrets by themselves" in refused.err
    assert not desk.file.exists()


def test_options_that_cannot_go_together_are_told(desk: Desk) -> None:
    """A saved plan has its manifests, and is for one cluster."""
    desk.plan()
    assert "leave out -f, --prune and --phase" in desk.apply("-f", desk.directory).err
    assert "neither with --live" in desk.plan("--live", desk.directory).err
