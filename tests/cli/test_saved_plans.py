"""Saved plans: made, looked at, carried out as they are, and refused when anything has changed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from safeapply.cli.saved import load
from safeapply.errors import ManifestsError, UsageError
from tests.cli.clusters import Said, files, safeapply
from tests.sandbox.apiserver.cluster import RULES, Cluster, rule

UNDERSTOOD: dict[str, Any] = {
    "formatVersion": "2",
    "madeBy": "0.1.0",
    "request": {
        "pruning": {"prune": False, "selector": None, "applyset": None},
        "namespace": "",
        "rootNamespace": "istio-system",
        "soakSeconds": 1.0,
    },
    "manifests": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shop", "namespace": "default"}}],
    "plan": {},
    "touched": {"configmap/default/shop": {"uid": "1", "resourceVersion": "2"}},
    "used": {},
}
"""What ``plan --out`` writes, as far as it is read without a cluster."""


MISBOUND = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "shop", "namespace": "default"},
    "spec": {
        "hosts": ["shop.example"],
        "gateways": ["store"],
        "http": [{"route": [{"destination": {"host": "reviews", "subset": "v1"}}]}],
    },
}
"""Bound to a gateway that is not there: the planner has nothing against it, and a check has."""


class Desk:
    """A cluster, a directory of manifests and a file for the plan."""

    def __init__(self, cluster: Cluster, directory: Path) -> None:
        self.cluster, self.file = cluster, directory / "rollout.plan"
        self.directory = files(directory / "files", rule("reviews", "v1", "v2"))

    def plan(self, *also: str) -> Said:
        """Save a plan."""
        return safeapply(self.cluster, "plan", "-f", self.directory, "--out", str(self.file), *also)

    def apply(self, *also: str) -> Said:
        """Carry it out, whatever it is."""
        return self.carry_out("--yes", *also)

    def carry_out(self, *also: str) -> Said:
        """Carry it out by the words that are given."""
        return safeapply(self.cluster, "apply", str(self.file), "--soak", "0", *also)

    def edit(self, **fields: Any) -> None:
        """Change the file as whoever may write it can."""
        document = json.loads(self.file.read_text())
        self.file.write_text(json.dumps({**document, **fields}))

    @property
    def digest(self) -> str:
        """Return the digest of the file as it is."""
        return f"sha256:{hashlib.sha256(self.file.read_bytes()).hexdigest()}"

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


def test_a_saved_plan_is_carried_out_by_its_digest_without_being_asked_for_again(desk: Desk) -> None:
    """The digest is consent; the file is for its owner's eyes, and how to go on is printed."""
    saved = desk.plan()
    command = f"safeapply apply {desk.file} --digest {desk.digest}"
    assert (saved.code, saved.err) == (0, f"saved; carry it out with: {command}\n")
    assert desk.file.stat().st_mode & 0o777 == 0o600
    assert desk.subsets() == ["v1"]
    Path(desk.directory, "0.yaml").unlink()
    done = desk.carry_out("--digest", desk.digest)
    assert (done.code, done.out) == (0, "destinationrule.networking.istio.io/reviews configured\n"), done.err
    assert "Step 1 of 1" not in done.err
    assert desk.subsets() == ["v1", "v2"]


def test_without_the_digest_nothing_is_written_that_nobody_agreed_to(desk: Desk) -> None:
    """The plan is shown, and where nobody can be asked that is all."""
    desk.plan()
    asked = desk.carry_out()
    assert asked.code == 2
    assert "Step 1 of 1" in asked.err
    assert "subsets +v2" in asked.err
    assert desk.subsets() == ["v1"]


def test_with_yes_the_plan_that_is_carried_out_is_printed(desk: Desk) -> None:
    """A log shows what was done in whose name."""
    desk.plan()
    done = desk.carry_out("--yes")
    assert (done.code, done.out) == (0, "destinationrule.networking.istio.io/reviews configured\n")
    assert "Step 1 of 1" in done.err


def test_another_file_than_the_one_that_was_looked_at_is_refused(desk: Desk) -> None:
    """One byte is enough, and the sentence does not tell the digest that would do."""
    desk.plan()
    digest = desk.digest
    desk.file.write_text(desk.file.read_text() + " ")
    refused = desk.carry_out("--digest", digest, "--yes")
    assert refused.code == 2
    assert "is not the plan that this was printed for" in refused.err
    assert desk.digest not in refused.err
    assert desk.subsets() == ["v1"]
    assert desk.carry_out("--digest", "é").code == 2


class TestWhatTheFileSays:
    """Is what is wanted, and nothing else: the command line decides what is checked."""

    def test_cannot_skip_the_checks(self, desk: Desk, tmp_path: Path) -> None:
        """A plan that only ``--skip-checks`` makes is refused without it."""
        desk.directory = files(tmp_path / "files", MISBOUND)
        saved = desk.plan("--skip-checks")
        assert saved.code == 0, saved.err
        assert saved.err.strip().endswith("--skip-checks")
        refused = desk.apply()
        assert (refused.code, "Refused: requests would fail at rest" in refused.err) == (4, True)

    def test_has_no_field_for_it(self, desk: Desk) -> None:
        """A file that has one was not written by this version."""
        desk.plan()
        request = json.loads(desk.file.read_text())["request"]
        desk.edit(request={**request, "checked": False})
        refused = desk.apply()
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert "unknown field `checked` - at `$.request`" in refused.err

    def test_cannot_choose_where_istio_is(self, desk: Desk) -> None:
        """Rules of another root namespace would not be seen to be for all."""
        desk.plan()
        request = json.loads(desk.file.read_text())["request"]
        desk.edit(request={**request, "rootNamespace": "default"})
        refused = desk.apply()
        assert (refused.code, "made for Istio in 'default'" in refused.err) == (2, True)

    def test_cannot_bring_a_secret_in(self, desk: Desk) -> None:
        """None was saved, so whoever put one in was not the planner."""
        desk.plan()
        desk.edit(manifests=[{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}}])
        refused = desk.apply()
        assert (refused.code, "a saved plan holds no Secrets" in refused.err) == (1, True)

    @pytest.mark.parametrize(
        "fields",
        [
            {"request": None},
            {"request": {"pruning": 1}},
            {"request": {"pruning": {"prune": True, "selector": 7, "applyset": None}}},
            {"manifests": {}},
            {"manifests": [1]},
            {"manifests": [{}]},
            {"manifests": []},
            {"manifests": [{"apiVersion": 1, "kind": [], "metadata": "x"}]},
            {"manifests": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a/../b"}}]},
            {"manifests": [{"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {}}]},
            {"touched": []},
            {"touched": {"x": None}},
            {"touched": {"x": {"uid": 1, "resourceVersion": 2}}},
            {"used": {"x": 1}},
            {"plan": 3},
            {"madeBy": "\x1b[2J"},
            {"madeBy": None},
            {"formatVersion": 1},
            {"formatVersion": "1"},
        ],
    )
    def test_of_another_shape_is_told_in_a_sentence(self, tmp_path: Path, fields: dict[str, Any]) -> None:
        """One that is understood is edited, so that each of these is the reason."""
        path = tmp_path / "rollout.plan"
        path.write_text(json.dumps(UNDERSTOOD))
        assert load(path).manifests[0].id.name == "shop"
        path.write_text(json.dumps({**UNDERSTOOD, **fields}))
        with pytest.raises((UsageError, ManifestsError)) as caught:
            load(path)
        assert str(caught.value).startswith(str(path))
        assert "\x1b" not in str(caught.value)

    @pytest.mark.parametrize("soak", ["-1", "1e9", "NaN", "Infinity", '"1"', "null"])
    def test_of_a_soak_that_is_none_is_told(self, tmp_path: Path, soak: str) -> None:
        """It is a number of seconds, and not of years."""
        path = tmp_path / "rollout.plan"
        path.write_text(json.dumps(UNDERSTOOD).replace('"soakSeconds": 1.0', f'"soakSeconds": {soak}'))
        with pytest.raises(UsageError, match="not a saved plan"):
            load(path)

    def test_nested_without_end_is_told(self, tmp_path: Path) -> None:
        """Nor is it read without end."""
        path = tmp_path / "rollout.plan"
        path.write_text("[" * 100_000)
        with pytest.raises(UsageError, match="not a saved plan"):
            load(path)
        path.unlink()
        path.symlink_to("/dev/zero")
        with pytest.raises(UsageError, match="it is a device"):
            load(path)


class TestTheFile:
    """Is private, whole, and where it was asked for."""

    def test_that_was_there_before_is_private_afterwards(self, desk: Desk) -> None:
        """Whatever mode it had."""
        desk.file.write_text("old")
        desk.file.chmod(0o666)
        assert desk.plan().code == 0
        assert desk.file.stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("kind", ["link", "pipe", "directory", "no directory"])
    def test_that_is_none_is_refused_before_anything_is_planned(
        self, desk: Desk, tmp_path: Path, kind: str
    ) -> None:
        """A link leads where somebody else may have chosen."""
        victim = tmp_path / "victim"
        victim.write_text("precious")
        match kind:
            case "link":
                desk.file.symlink_to(victim)
            case "pipe":
                os.mkfifo(desk.file)
            case "directory":
                desk.file.mkdir()
            case _:
                desk.file = tmp_path / "no" / "file"
        refused = desk.plan()
        assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
        assert refused.err.startswith("error: --out ")
        assert victim.read_text() == "precious"


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


@pytest.mark.parametrize("content", ["", "kind: List", "[]", "{}", '{"formatVersion": "2", "request": 1}'])
def test_what_is_no_plan_is_told_in_one_sentence(tmp_path: Path, content: str) -> None:
    """Also a manifest that was meant for -f."""
    path = tmp_path / "rollout.plan"
    path.write_text(content)
    with pytest.raises(
        UsageError, match=r"not a saved plan \(.*\); save one by safeapply plan --out FILE, and give"
    ):
        load(path)


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
    assert "name the plan's file" in safeapply(desk.cluster, "apply", "-f", desk.directory, "--digest", "x").err
    assert "neither with --live" in desk.plan("--live", desk.directory).err
