"""The value of a Secret is in no output, whichever way it takes: canaries that must never be seen."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from safeapply.plans.records import RECORD_PREFIX
from safeapply.resources.objects import GroupKind
from tests.cli.clusters import Said, files, kubectl, safeapply
from tests.sandbox.apiserver.cluster import Cluster, rule

CANARIES = ("c4n4ry-in-data", "c4n4ry-in-string", "c4n4ry-of-before", "31415926535")
"""What stands in Secrets; the last one is a number where the API wants text, which it quotes when it refuses."""
SECRETS = GroupKind("", "Secret")
SET = ("--prune", "--applyset", "shop", "-n", "default")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Hand over a server with a Secret that client-side kubectl made: its values are in an annotation, too."""
    with Cluster(tmp_path) as cluster:
        before = files(tmp_path / "before", secret("token", CANARIES[2]))
        assert kubectl(cluster, "apply", "--validate=false", "-f", before).code == 0
        yield cluster


def secret(name: str, value: str) -> dict[str, Any]:
    """Return a Secret."""
    data = {"key": base64.b64encode(value.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data, "type": "Opaque"}


def unseen(cluster: Cluster, said: Said, *more: str) -> Said:
    """Check that no canary is in what was printed or written, plain or in base64; and return it."""
    everything = "\n".join((said.all, *more))
    for canary in CANARIES:
        for form in (canary, base64.b64encode(canary.encode()).decode()):
            assert form not in everything, everything
    objects = [
        one
        for kind in cluster.store.kinds
        if kind.group_kind != SECRETS
        for one in cluster.store.list(kind.group_kind)
    ]
    assert not any(canary in str(objects) for canary in CANARIES)
    return said


@pytest.mark.parametrize("output", ["text", "json"])
def test_no_plan_no_report_and_no_log_shows_a_value(cluster: Cluster, output: str, tmp_path: Path) -> None:
    """A change, a creation and a removal: planned, dry-run, applied aloud with a report, deleted."""
    new = {**secret("new", CANARIES[0]), "stringData": {"more": CANARIES[1]}}
    directory = files(tmp_path / "wanted", secret("token", CANARIES[0]), new, rule("reviews", "v1"))
    form, report = ("-o", output), tmp_path / "report.json"
    for arguments in (
        ("plan", "-f", directory),
        ("plan", "-f", directory, "--explain", *SET),
        ("apply", "-f", directory, "--dry-run=client"),
        ("apply", "-f", directory, "--dry-run=server", *SET),
        ("apply", "-f", directory, "--yes", "-v", "--report", str(report), *SET),
        ("delete", "-f", directory, "--dry-run=client"),
        ("delete", "-f", directory, "--yes", "-v"),
    ):
        done = unseen(cluster, safeapply(cluster, *arguments, *form), report.read_text() if report.exists() else "")
        assert done.code == 0, (arguments, done.err)
    left = {one["metadata"]["name"] for one in cluster.store.list(SECRETS)}
    assert {name for name in left if not name.startswith(RECORD_PREFIX)} == {"shop"}


def test_a_plan_without_a_cluster_shows_no_value(cluster: Cluster, tmp_path: Path) -> None:
    """What is live is a directory with all that the server keeps, the annotation of client-side apply too."""
    live = files(tmp_path / "live", *cluster.do(lambda: cluster.store.list(SECRETS)))
    assert "last-applied" in Path(live, "0.yaml").read_text()
    wanted = files(tmp_path / "wanted", secret("token", CANARIES[0]))
    for output in ("text", "json"):
        said = unseen(cluster, safeapply(cluster, "plan", "--live", live, "-f", wanted, "-o", output))
        assert "***" in said.out
        assert "***" in unseen(cluster, safeapply(cluster, "plan", "--live", live, "-f", wanted, "-o", "json")).out


@pytest.mark.parametrize("page", ["html", "mermaid"])
def test_no_page_shows_a_value(cluster: Cluster, page: str, tmp_path: Path) -> None:
    """The graph of a plan, and the timeline of a rollout."""
    wanted = files(tmp_path / "wanted", secret("token", CANARIES[0]), secret("new", CANARIES[1]))
    said = unseen(cluster, safeapply(cluster, "plan", "-f", wanted, "-o", page))
    assert "token" in said.out
    report = tmp_path / "report.html"
    done = safeapply(cluster, "apply", "-f", wanted, "--yes", "-o", "events", "--report", str(report))
    unseen(cluster, done, report.read_text())
    assert "token" in report.read_text()


@pytest.mark.parametrize("more", [(), ("--steps",), ("--show-managed-fields",)], ids=str)
def test_no_diff_shows_a_value(cluster: Cluster, more: tuple[str, ...], tmp_path: Path) -> None:
    """Neither of what is live, in its annotation too, nor of what is wanted."""
    new = {**secret("new", CANARIES[0]), "stringData": {"more": CANARIES[1]}}
    wanted = files(tmp_path / "wanted", secret("token", CANARIES[0]), new)
    said = unseen(cluster, safeapply(cluster, "diff", "-f", wanted, *more))
    assert (said.code, "***" in said.out) == (1, True), said.all


def test_no_saved_plan_holds_a_value(cluster: Cluster, tmp_path: Path) -> None:
    """Neither one in which a Secret is left alone, nor, because it is not saved, one that writes it."""
    saved = tmp_path / "plan.json"
    beside = files(tmp_path / "beside", rule("reviews", "v1"))
    said = safeapply(cluster, "plan", "-f", beside, "--out", str(saved))
    assert said.code == 0, said.err
    unseen(cluster, said, saved.read_text())
    changed = files(tmp_path / "changed", rule("reviews", "v1"), secret("token", CANARIES[0]))
    said = safeapply(cluster, "plan", "-f", changed, "--out", str(tmp_path / "other.json"))
    assert said.code != 0
    unseen(cluster, said)
    assert not (tmp_path / "other.json").exists()


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {key: 31415926535}\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: [c4n4ry-in-data]\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {key: 'c4n4ry-in-string}\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n\tkey: c4n4ry-in-string\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {key: *c4n4ry-in-string}\n",
        "c4n4ry-in-string\n",
    ],
)
def test_no_error_quotes_a_value(cluster: Cluster, text: str, tmp_path: Path) -> None:
    """Files that cannot be read, and what the API server refuses in its own words."""
    path = tmp_path / "secret.yaml"
    path.write_text(text)
    unseen(cluster, safeapply(cluster, "apply", "-f", str(path), "--yes"))


def test_no_refusal_of_the_server_quotes_a_value(cluster: Cluster, tmp_path: Path) -> None:
    """An admission webhook that repeats what it was sent."""
    cluster.server.deny = lambda verb, _: f"you sent {CANARIES[0]}, did you not?" if verb == "patch" else None
    directory = files(tmp_path / "wanted", secret("new", CANARIES[0]))
    said = unseen(cluster, safeapply(cluster, "apply", "-f", directory, "--yes"))
    assert "you sent ***, did you not?" in said.err
