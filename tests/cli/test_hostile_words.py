"""The commands themselves, fed with words that terminals and CI systems act on: all are seen, none is obeyed."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from safeapply.resources.objects import Namespace, ResourceId
from tests.adapters.servers import http, serving
from tests.cli.clusters import Said, files, ran, safeapply
from tests.sandbox.apiserver.cluster import Cluster, config, rule
from tests.test_visible import harmless

WORDS = "\x1b[2J\x9b1;1H\u202e\u200b\n::error file=a::pwned\n##vso[task.complete]\nApply this plan? [y/N]: y\n"
YAML_WORDS = WORDS.replace("\x1b", "").replace("\x9b", "")
"""What may stand in a YAML file as it is; the others come as escapes."""
SHOWN = (r"\x1b[2J", r"\u202e", r"\x23#vso[")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Hand over a server with a ConfigMap and a rule."""
    with Cluster(tmp_path) as running:
        for document in (config("settings", {"key": "old"}), rule("reviews", "v1")):
            running.do(lambda one=document: running.store.create(one, manager="safeapply"))  # type: ignore[misc]
        yield running


def unharmed(said: Said) -> None:
    """Hold everything that a command printed against what must not be in it."""
    # diff parts a file's name and its time by a tab.
    harmless(said.out.replace("\t", " "))
    harmless(said.err)
    for line in said.all.split("\n"):
        assert not line.startswith(("Apply this plan", "::", "##")), line


def hostile_config(**more: str) -> dict[str, Any]:
    """Return a ConfigMap whose values are hostile; an API server takes it."""
    document = config("settings", {"key": WORDS, **more})
    return {**document, "metadata": {**document["metadata"], "annotations": {"note": WORDS}}}


def hostile_rule() -> dict[str, Any]:
    """Return a rule whose every free text is hostile; an API server refuses it, in its own words."""
    document = rule("reviews", "v1")
    spec = {**document["spec"], "host": f"reviews{WORDS}", WORDS: WORDS, "subsets": [{"name": WORDS}]}
    return {**document, "metadata": {**document["metadata"], "annotations": {WORDS: WORDS}}, "spec": spec}


@pytest.mark.parametrize(
    "words",
    [
        ("diff",),
        ("plan",),
        ("plan", "-o", "json"),
        ("plan", "-o", "mermaid"),
        ("plan", "-o", "name"),
        ("check", "-o", "text"),
        ("check", "-o", "json"),
        ("check", "-o", "sarif"),
        ("check", "-o", "junit"),
        ("apply",),
        ("apply", "--yes", "--dry-run=server"),
        ("apply", "--yes", "--soak=0", "-o", "events"),
        ("apply", "--yes", "--soak=0", "-o", "json"),
    ],
    ids=" ".join,
)
def test_words_of_a_manifest(cluster: Cluster, tmp_path: Path, words: tuple[str, ...]) -> None:
    """Values, names of fields, and what is told of them."""
    taken = files(tmp_path / "taken", hostile_config())
    refused = files(tmp_path / "refused", hostile_rule(), hostile_config())
    offline = words[0] in {"diff", "plan", "check"}
    live = files(tmp_path / "live", rule("reviews", "v1"), config("settings", {"key": "old"}))
    ways = [("-f", refused), ("-f", taken), *([("-f", refused, "--live", live)] if offline else [])]
    told = [safeapply(cluster, *words, *way) for way in ways]
    for said in told:
        unharmed(said)
        for line in said.out.splitlines() if "events" in words else [said.out] if "json" in words else []:
            assert not line or json.loads(line)


def test_a_difference_that_cannot_be_seen_is_told(cluster: Cluster, tmp_path: Path) -> None:
    """Escapes could stand for two texts; the file says so where they do."""
    for value in ("a\u202eb", "a\\u202eb"):
        directory = files(tmp_path / "one", config("settings", {"key": value}))
        said = safeapply(cluster, "diff", "-f", directory)
        assert said.code == 1
        unharmed(said)
        done = safeapply(cluster, "apply", "-f", directory, "--yes", "--soak", "0", "--force-conflicts")
        assert done.code == 0, done.err
    hidden = files(tmp_path / "one", config("settings", {"key": "a\u202eb"}))
    said = safeapply(cluster, "diff", "-f", hidden)
    assert said.code == 1
    assert r"a\u202eb" in said.out or "differs from the other in what is not visible" in said.out


def test_names_of_files(cluster: Cluster, tmp_path: Path) -> None:
    """A pull request may call them what it likes, and put faults into them."""
    directory = tmp_path / "files"
    directory.mkdir()
    for name in ("a\x1b[2J\n::error::x.yaml", "\u202eb.yaml", "##vso[c].yaml", os.fsdecode(b"d\xff.yaml")):
        (directory / name).write_text("kind: [")
    said = safeapply(cluster, "diff", "-f", str(directory))
    assert said.code == 2
    unharmed(said)
    assert r"\x1b[2J\n" in said.err
    assert r"\x23#vso[c].yaml" in said.err
    assert r"d\udcff.yaml" in said.err


def test_the_holder_of_a_lease(cluster: Cluster, tmp_path: Path) -> None:
    """Whoever may write Leases may call themselves what they like."""
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "safeapply", "namespace": "istio-system"},
        "spec": {
            "holderIdentity": WORDS,
            "leaseDurationSeconds": 3600,
            "renewTime": "2999-01-01T00:00:00.000000Z",
            "acquireTime": "2026-01-01T00:00:00.000000Z",
        },
    }
    cluster.do(lambda: cluster.store.create(lease, manager="somebody"))
    directory = files(tmp_path / "wanted", config("settings", {"key": "new"}))
    for output in ("text", "events", "json"):
        said = safeapply(cluster, "apply", "-f", directory, "--yes", "--lock-timeout=1s", "-o", output)
        assert said.code == 6, said.all
        unharmed(said)
        assert r"\x1b[2J" in said.err
        assert "is rolling out to this mesh" in said.err


async def test_what_an_api_server_or_a_webhook_says(tmp_path: Path) -> None:
    """A refusal is told on lines of its own, none of which begins with it."""
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 422, "message": f"denied: {WORDS}"}
    manifest = tmp_path / "a.yaml"
    manifest.write_text(yaml.safe_dump(config("settings", {"key": "new"})))
    async with serving(lambda _, writer: writer.write(http(status, 422))) as server:
        done = await served(tmp_path, server.url, "diff", "-f", str(manifest))
    assert done.code == 2
    unharmed(done)
    assert all(one in done.err for one in SHOWN)


async def served(directory: Path, server: str, *words: str) -> Said:
    """Run the command while this loop serves it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "safeapply", *words, "--server", server),
        env={**os.environ, "KUBECONFIG": str(directory / "none"), "HOME": str(directory)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return Said(process.returncode or 0, out.decode(), err.decode())


def test_the_plan_above_the_question_is_not_hidden(cluster: Cluster, tmp_path: Path) -> None:
    """On a terminal, where ESC would clear the screen and a long name would push the plan out of it."""
    document = hostile_config(long="x" * 100_000)
    said = on_terminal(cluster, "apply", "-f", files(tmp_path / "hostile", document))
    assert said.count("\nApply this plan? [y/N]: ") == 1
    plan = said.partition("\nApply this plan? [y/N]: ")[0]
    assert len(plan) < 20_000
    # What is ours: colours, and the ends of lines as a terminal has them.
    harmless(re.sub(r"\x1b\[[0-9;]*m", "", plan).replace("\r\n", "\n").rstrip("\r"))
    assert "Plan: 1 step" in plan
    assert SHOWN[0] in plan


def test_a_name_without_an_end_pushes_no_plan_away(tmp_path: Path) -> None:
    """Without a server that refuses it, a field may be called what its author likes."""
    live = files(tmp_path / "live", config("settings", {"key": "old"}))
    wanted = files(tmp_path / "wanted", config("settings", {"key": "new", "x" * 100_000: "more"}))
    said = ran(
        *(sys.executable, "-m", "safeapply", "plan", "-f", wanted, "--live", live), kubeconfig=tmp_path / "none"
    )
    assert "Plan: 1 step" in said.out
    assert len(said.out) < 20_000


def on_terminal(cluster: Cluster, *words: str) -> str:
    """Run a command on a terminal, answer no, and return what it showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        (sys.executable, "-m", "safeapply", *words),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(theirs)
    said = b""
    try:
        while chunk := os.read(ours, 65536):
            said += chunk
            if said.endswith(b"\nApply this plan? [y/N]: "):
                os.write(ours, b"n\n")
    except OSError:
        pass  # A terminal whose other end is closed says so.
    finally:
        os.close(ours)
        process.wait(60)
    return said.decode()


def test_a_record_of_another(cluster: Cluster) -> None:
    """Who rolled out and when is an annotation that anybody with rights over it may have written."""
    assert cluster.do(lambda: cluster.store.get(ResourceId("", "ConfigMap", Namespace("default"), "settings")))
    said = safeapply(cluster, "rollback", "--yes")
    assert said.code == 2
    unharmed(said)
