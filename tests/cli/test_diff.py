"""``safeapply diff``: what kubectl shows of the same files, and what no other tool can: each step by itself."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.clusters import Said, files, kubectl, safeapply
from tests.mesh.command import EXAMPLE
from tests.sandbox.apiserver.cluster import Cluster, config, rule, service

OFFLINE = ("diff", "--live", str(EXAMPLE / "live"), "-f", str(EXAMPLE / "desired"))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Hand over a server with a rule that safeapply applied."""
    with Cluster(tmp_path) as running:
        applied(running, tmp_path)
        yield running


def applied(cluster: Cluster, tmp_path: Path) -> None:
    """Apply what the tests then change."""
    before = files(tmp_path / "before", rule("reviews", "v1"), config("settings", {"key": "old"}))
    said = safeapply(cluster, "apply", "-f", before, "--yes", "--soak", "0")
    assert said.code == 0, said.err


def changed(said: Said) -> list[str]:
    """Return the lines that come and go, less what the server counts."""
    lines = (line for line in said.out.splitlines() if re.match(r"[+-](?![+-])", line))
    return [line for line in lines if not re.search(r"generation|uid|creationTimestamp|resourceVersion", line)]


def test_nothing_differs_once_it_is_applied(cluster: Cluster, tmp_path: Path) -> None:
    """Exit 0, and no word."""
    said = safeapply(cluster, "diff", "-f", str(tmp_path / "before"))
    assert (said.code, said.out, said.err) == (0, "", "")


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_a_change_a_creation_and_nothing_else_are_shown_as_kubectl_shows_them(
    cluster: Cluster, tmp_path: Path
) -> None:
    """The same lines, the same names of files, and exit 1."""
    after = files(tmp_path / "after", rule("reviews", "v1", "v2"), service("ratings"))
    ours = safeapply(cluster, "diff", "-f", after)
    theirs = kubectl(cluster, "diff", "--server-side", "--force-conflicts", "-f", after)
    assert (ours.code, theirs.code) == (1, 1), ours.err + theirs.err
    assert sorted(changed(ours)) == sorted(changed(theirs))
    names = [sorted(re.findall(r"^diff .* \S+/(\S+)$", said.out, re.MULTILINE)) for said in (ours, theirs)]
    assert (
        names[0]
        == names[1]
        == ["networking.istio.io.v1.DestinationRule.default.reviews", "v1.Service.default.ratings"]
    )


def test_what_would_be_pruned_is_shown_as_going(cluster: Cluster, tmp_path: Path) -> None:
    """By labels; kubectl has it so, too."""
    labelled = {**rule("old", "v1"), "metadata": {"name": "old", "labels": {"app": "shop"}}}
    assert safeapply(cluster, "apply", "-f", files(tmp_path / "old", labelled), "--yes", "--soak", "0").code == 0
    said = safeapply(cluster, "diff", "-f", str(tmp_path / "before"), "--prune", "-l", "app=shop")
    assert said.code == 1, said.err
    assert "-  name: old" in said.out
    assert "+" not in {line[:1] for line in changed(said)}


def test_each_step_shows_what_it_alone_changes(cluster: Cluster) -> None:
    """The bridge holds both subsets; the last step takes the old one."""
    said = safeapply(cluster, *OFFLINE, "--steps")
    assert said.code == 1
    steps = re.split(r"^Step \d of 3: (\w+)\n", said.out, flags=re.MULTILINE)[1:]
    told = {
        phase: [line for line in text.splitlines() if re.match(r"[+-](?![+-])", line)]
        for phase, text in zip(steps[::2], steps[1::2], strict=True)
    }
    assert told == {
        "widen": ["+  - labels:", "+      version: v1", "+    name: stable"],
        "switch": ["-        subset: v1", "+        subset: stable"],
        "narrow": ["-    name: v1", "-  - labels:", "-      version: v1"],
    }


def test_another_program_may_show_the_differences(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its own options; one that fails, or is not there, is an error and no difference."""
    program = tmp_path / "show"
    program.write_text('#!/bin/sh\necho "$1" "$(ls $2)"\nexit ${CODE:-1}\n')
    program.chmod(0o755)
    monkeypatch.setenv("KUBECTL_EXTERNAL_DIFF", f"{program} --brief")
    said = safeapply(cluster, *OFFLINE)
    assert said.code == 1
    assert said.out.splitlines()[0] == "--brief networking.istio.io.v1.DestinationRule.default.reviews"
    monkeypatch.setenv("CODE", "3")
    failed = safeapply(cluster, *OFFLINE)
    assert (failed.code, failed.err) == (2, f"error: {program} failed with exit code 3\n")
    monkeypatch.setenv("KUBECTL_EXTERNAL_DIFF", "no-such-program")
    missing = safeapply(cluster, *OFFLINE)
    assert missing.code == 2
    assert "no-such-program: No such file or directory; install it" in missing.err


def test_no_error_ends_with_the_exit_code_of_a_difference(cluster: Cluster, tmp_path: Path) -> None:
    """Scripts that ask whether anything differs would take it for a yes."""
    cluster.stop()
    said = safeapply(cluster, "diff", "-f", str(tmp_path / "before"))
    assert said.code == 2
    assert said.err.startswith("error: no API server answers")


def test_of_a_secret_it_is_shown_that_its_value_changes_and_no_value(cluster: Cluster, tmp_path: Path) -> None:
    """As kubectl masks them."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}, "data": {"key": "b2xk"}}
    assert safeapply(cluster, "apply", "-f", files(tmp_path / "s", secret), "--yes", "--soak", "0").code == 0
    said = safeapply(cluster, "diff", "-f", files(tmp_path / "s", {**secret, "data": {"key": "bmV3"}}))
    assert changed(said) == ["-  key: '*** (before)'", "+  key: '*** (after)'"]
    assert "b2xk" not in said.all
    assert "bmV3" not in said.all
