"""The way back: from every step of every example, without a failed request, to exactly what was there."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from safeapply.resources.objects import GroupKind
from safeapply.sandbox.delays import Delays, Span
from safeapply.sandbox.loading import read_documents
from safeapply.sandbox.mesh import Mesh, Scene
from safeapply.sandbox.run import run_under_load
from tests.mesh.command import EXAMPLE, SAFEAPPLY, command, scene

ROOT = Path(__file__).parents[2]
BRISK = Delays(lag=Span(0.0, 0.3), push=Span(0.0, 0.4))
RETURNING = (sys.executable, str(Path(__file__).with_name("returning.py")))
NETWORKING = "networking.istio.io"
KINDS = (
    *(GroupKind(NETWORKING, kind) for kind in ("VirtualService", "DestinationRule", "Gateway", "ServiceEntry")),
    GroupKind("", "Service"),
)
RECORD = GroupKind("", "Secret")
STABLE = "outbound|9080|stable|reviews.default.svc.cluster.local"
APPLY = ("apply", "-f", str(EXAMPLE / "desired"), "--yes", "--soak", "0")


def steps() -> Iterator[Any]:
    """Yield every step of every example; the first step of the first three is the sample of ``make test``."""
    for number, plan in enumerate(sorted(ROOT.glob("examples/*/plan.txt"))):
        count = len(re.findall(r"^Step \d+ of", plan.read_text(), re.MULTILINE))
        for step in range(1, count + 1):
            sampled = number < 3 and step == 1
            name = f"{plan.parent.name}-{step}"
            yield pytest.param(plan.parent, step, id=name, marks=[] if sampled else [pytest.mark.long])


@pytest.mark.parametrize(("example", "step"), list(steps()))
async def test_from_every_step_there_is_a_safe_way_back(example: Path, step: int) -> None:
    """Killed when a step is done, then rolled back under load: none fails, and all is as it was, spec by spec."""
    live, desired = (read_documents([example / part]) for part in ("live", "desired"))
    seen: list[Mapping[str, Any]] = []

    @asynccontextmanager
    async def looking(mesh: Mesh) -> AsyncIterator[None]:
        seen.append(specs(mesh))
        yield
        seen.append(specs(mesh))

    report = await run_under_load(
        (
            *(*RETURNING, str(step), *SAFEAPPLY, "--"),
            *("-f", str(example / "desired"), "--yes", "--soak", "200ms"),
        ),
        scene=Scene(live=live, desired=desired, proxies=4, seed=step, delays=BRISK),
        rate=200.0,
        meanwhile=looking,
    )
    assert (report.exit_code, report.tally.failed, report.tally.lost) == (0, 0, {}), report.to_document()
    assert seen[0] == seen[1]
    assert {write.id.kind for write in report.writes} & {"VirtualService", "DestinationRule"}


async def test_a_settled_rollout_can_be_rolled_back_and_the_one_before_it_too() -> None:
    """Each rollback leads one further; when all are gone back, it says so."""
    async with Mesh(scene()) as mesh:
        start = specs(mesh)
        assert (await command(mesh, *APPLY)).code == 0
        assert specs(mesh) != start
        shown = await command(mesh, "rollback", "--dry-run=server")
        assert (shown.code, specs(mesh) != start) == (0, True)
        assert "Plan: 3 steps" in shown.err
        back = await command(mesh, "rollback", "--yes", "--soak", "0")
        assert back.code == 0, back.err
        assert "back to what rollout 1 of" in back.err
        assert specs(mesh) == start
        nothing = await command(mesh, "rollback", "--yes")
        assert (nothing.code, "no rollout to go back from" in nothing.err) == (2, True)


async def test_a_rollout_that_takes_too_long_goes_back_by_itself_where_that_is_asked_for(tmp_path: Path) -> None:
    """Exit 3 with the straggler, everything as it was found, and a page of either way."""
    report = ("--report", str(tmp_path / "rollout.html"))
    async with Mesh(scene()) as mesh:
        start = specs(mesh)
        mesh.control_plane.withhold_eds([STABLE])
        result = await command(mesh, *APPLY, "--timeout", "3s", "--on-timeout", "rollback", *report)
        assert result.code == 3, result.err
        there, back = (tmp_path / name for name in ("rollout.html", "rollout.rollback.html"))
        assert "stable" in there.read_text()
        assert there.read_text() != back.read_text()
        assert "is still warming" in result.err
        assert result.err.rstrip().endswith("rolled back: everything is as the rollout found it")
        assert specs(mesh) == start
        states = [one["metadata"]["labels"].get("safeapply/state") for one in mesh.store.list(RECORD)]
        assert states == [None, "rolled-back"]


async def test_the_way_there_and_back_is_one_document_and_one_stream() -> None:
    """Whoever parses standard output reads one report with the rollback inside, or lines with one result."""
    async with Mesh(scene()) as mesh:
        mesh.control_plane.withhold_eds([STABLE])
        late = (*APPLY, "--timeout", "2s", "--on-timeout", "rollback", "-o")
        told = json.loads((await command(mesh, *late, "json")).out)
        assert (told["outcome"], told["rollback"]["outcome"]) == ("stopped", "settled")
        assert [write["result"] for step in told["rollback"]["steps"] for write in step["writes"]]
        lines = [json.loads(one) for one in (await command(mesh, *late, "events")).out.splitlines()]
        kinds = [one["type"] for one in lines]
        assert (kinds.count("result"), kinds[-1], lines[-1]["rollback"]) == (1, "result", "settled")
        assert kinds.index("rolloutStopped") < kinds.index("rollbackBegan") < kinds.index("rolloutSettled")
        assert [one["at"] for one in lines] == sorted(one["at"] for one in lines)


async def test_a_proxy_that_does_not_count_does_not_bar_the_way_back() -> None:
    """It refuses every update: the way back stops and names it, and goes on without it."""
    async with Mesh(scene()) as mesh:
        start = specs(mesh)
        assert (await command(mesh, *APPLY)).code == 0
        mesh.control_plane.corrupt("client-1.default", "CDS")
        barred = await command(mesh, "rollback", "--yes", "--soak", "0", "--timeout", "3s")
        assert (barred.code, "client-1.default" in barred.err) == (3, True), barred.err
        back = await command(mesh, "rollback", "--yes", "--soak", "0", "--exclude", "default/client-1")
        assert back.code == 0, back.err
        assert specs(mesh) == start


async def test_without_a_record_nothing_is_kept() -> None:
    """Whoever may not write Secrets, or does not want to, does without."""
    async with Mesh(scene()) as mesh:
        assert (await command(mesh, *APPLY, "--no-record")).code == 0
        assert mesh.store.list(RECORD) == ()


def specs(mesh: Mesh) -> Mapping[str, Any]:
    """Return what every object that routes says."""
    return {
        f"{kind}/{one['metadata']['namespace']}/{one['metadata']['name']}": one.get("spec")
        for kind in KINDS
        for one in mesh.store.list(kind)
    }
