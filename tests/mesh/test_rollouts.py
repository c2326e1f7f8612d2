"""The promise, on real Envoys under load: whatever the delays, no request is lost, and a killed run runs again.

The delays are short, so that the suite is; the longer ones of a busy mesh are measured by ``make bench``.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest
import yaml

from safeapply.resources.objects import GroupKind
from safeapply.sandbox.delays import Delays, Span
from safeapply.sandbox.loading import read_documents
from safeapply.sandbox.mesh import Mesh, Scene
from safeapply.sandbox.run import RunReport, run_under_load
from safeapply.sandbox.watching import WatchEvent

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/desired"))
BRISK = Delays(lag=Span(0.0, 0.3), push=Span(0.0, 0.4))
RULE = GroupKind("networking.istio.io", "DestinationRule")
SAFEAPPLY = (sys.executable, "-m", "safeapply")


def scene(example: Path, *, seed: int = 1, proxies: int = 4) -> Scene:
    """Return the mesh of an example."""
    live, desired = (read_documents([example / part]) for part in ("live", "desired"))
    return Scene(live=live, desired=desired, proxies=proxies, seed=seed, delays=BRISK)


async def applied(example: Path, *, seed: int = 1) -> RunReport:
    """Apply what an example desires, under load."""
    command = (*SAFEAPPLY, "apply", "-f", str(example / "desired"), "--yes", "--soak", "200ms")
    return await run_under_load(command, scene=scene(example, seed=seed), rate=200.0)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
async def test_no_example_loses_a_request(example: Path) -> None:
    """Every request that is served before and after is served in between, and the mesh is as desired."""
    report = await applied(example)
    assert report.exit_code == 0
    assert report.tally.requests > 50
    assert report.tally.failed == 0, report.to_document()
    assert report.tally.lost == {}


@pytest.mark.parametrize("seed", [2, 3])
async def test_no_seed_loses_a_request(seed: int) -> None:
    """Other draws, other proxies late: still none."""
    report = await applied(EXAMPLES[0], seed=seed)
    assert (report.exit_code, report.tally.failed) == (0, 0), report.to_document()


async def test_what_is_desired_is_what_is_live_in_the_end() -> None:
    """No bridge is left behind, and a second run finds nothing to do."""
    example = EXAMPLES[0]
    async with Mesh(scene(example)) as mesh:
        first = await command(mesh, "apply", "-f", str(example / "desired"), "--yes", "--soak", "0")
        assert first.code == 0, first.err
        assert "destinationrule.networking.istio.io/reviews configured" in first.out
        assert subsets(mesh) == ["stable"]
        again = await command(mesh, "apply", "-f", str(example / "desired"), "--yes", "-o", "json")
        assert json.loads(again.out)["outcome"] == "unchanged"
        assert "unchanged" in (await command(mesh, "apply", "-f", str(example / "desired"), "--yes")).out


@pytest.mark.parametrize("writes", [1, 2])
async def test_a_killed_run_is_simply_run_again(writes: int) -> None:
    """SIGKILL after the first or the second write: the state is safe, and the same command goes on from there."""
    example = EXAMPLES[0]
    async with Mesh(scene(example)) as mesh:
        enough = after_writes(mesh, writes)
        arguments = ("apply", "-f", str(example / "desired"), "--yes", "--soak", "200ms")
        process = await asyncio.create_subprocess_exec(
            *SAFEAPPLY, *arguments, env=environment(mesh), stderr=asyncio.subprocess.DEVNULL
        )
        await asyncio.wait_for(enough.wait(), 30)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        assert "stable" in subsets(mesh)
        again = await command(mesh, *arguments)
        assert again.code == 0, again.err
        assert subsets(mesh) == ["stable"]


async def test_an_interrupted_run_says_so_and_gives_the_lease_back() -> None:
    """Ctrl-C: exit 130, one sentence, and the next run starts at once."""
    example = EXAMPLES[0]
    async with Mesh(scene(example)) as mesh:
        enough = after_writes(mesh, 1)
        process = await asyncio.create_subprocess_exec(
            *SAFEAPPLY,
            *("apply", "-f", str(example / "desired"), "--yes"),
            env=environment(mesh),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        await asyncio.wait_for(enough.wait(), 30)
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
        assert process.returncode == 130
        assert b"Traceback" not in out + err
        assert (await command(mesh, "apply", "-f", str(example / "desired"), "--yes", "--soak", "0")).code == 0


async def test_a_refused_change_writes_nothing(tmp_path: Path) -> None:
    """Exit 4, and the request that would fail."""
    example = EXAMPLES[0]
    rule = next(one for one in read_documents([example / "desired"]) if one["kind"] == "DestinationRule")
    (tmp_path / "rule.yaml").write_text(yaml.safe_dump(dict(rule)))
    async with Mesh(scene(example)) as mesh:
        before = mesh.store.resource_version
        result = await command(mesh, "apply", "-f", str(tmp_path), "--yes")
        assert result.code == 4
        assert "virtualservice default/reviews" in result.err
        assert mesh.store.resource_version == before


async def test_a_barrier_that_stays_closed_exits_with_three() -> None:
    """Endpoints that never arrive: the cluster stays warming, the report says so, and nothing is switched."""
    example = EXAMPLES[0]
    cluster = "outbound|9080|stable|reviews.default.svc.cluster.local"
    async with Mesh(scene(example)) as mesh:
        mesh.control_plane.withhold_eds([cluster])
        result = await command(mesh, "apply", "-f", str(example / "desired"), "--yes", "--barrier-timeout", "3s")
        assert result.code == 3
        assert "is still warming" in result.err
        assert subsets(mesh) == ["stable", "v1"]


async def test_deleting_is_as_careful() -> None:
    """The route goes first, and the rule when no proxy names its subset any more."""
    example = EXAMPLES[0]
    files = str(example / "live" / "reviews.yaml")
    report = await run_under_load(
        (*SAFEAPPLY, "delete", "-f", files, "--yes", "--soak", "200ms"), scene=scene(example), rate=200.0
    )
    assert (report.exit_code, report.tally.failed) == (0, 0), report.to_document()


async def test_a_host_can_go_with_all_that_names_it() -> None:
    """A Service's own default route goes with it: nobody waits for its end, and the other hosts are served."""
    example = EXAMPLES[0]
    async with Mesh(scene(example)) as mesh:
        files = ("-f", str(example / "live" / "reviews.yaml"), "-f", str(example / "live" / "services.yaml"))
        result = await command(mesh, "delete", *files, "--yes", "--soak", "0", "--barrier-timeout", "20s")
        assert result.code == 0, result.err


class Result:
    """What a command said, and how it ended."""

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code, self.out, self.err = code, out.decode(), err.decode()
        assert "Traceback" not in self.err, self.err


async def command(mesh: Mesh, *arguments: str) -> Result:
    """Run safeapply against a mesh."""
    process = await asyncio.create_subprocess_exec(
        *SAFEAPPLY,
        *arguments,
        env=environment(mesh),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return Result(process.returncode or 0, out, err)


def environment(mesh: Mesh) -> dict[str, str]:
    """Return an environment that leads to the mesh."""
    return {**os.environ, "KUBECONFIG": str(mesh.kubeconfig)}


def after_writes(mesh: Mesh, number: int) -> asyncio.Event:
    """Return an event that is set when this many Istio objects have been written.

    Only what changes a spec counts: the handover of a field from another manager is a write that no proxy sees.
    """
    enough, seen = asyncio.Event(), list[WatchEvent]()

    def listen(event: WatchEvent) -> None:
        if event.id.group == RULE.group and event.document["metadata"]["generation"] > 1:
            seen.append(event)
        if len({(one.id, one.document["metadata"]["generation"]) for one in seen}) >= number:
            enough.set()

    mesh.store.listen(listen)
    return enough


def subsets(mesh: Mesh) -> list[str]:
    """Return the subsets of reviews, as they are live."""
    rules = [one for one in mesh.store.list(RULE) if one["metadata"]["name"] == "reviews"]
    return sorted(subset["name"] for subset in rules[0]["spec"]["subsets"])
