"""Rollouts while everything goes wrong, while another one runs, and while others write: no request is lost.

A seeded sample runs with the suite; ``make test-long`` runs all.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from safeapply.resources.objects import Document, Namespace, ResourceId
from safeapply.sandbox.disturbances import Disturbances
from safeapply.sandbox.loading import read_documents
from safeapply.sandbox.mesh import Mesh, Scene
from safeapply.sandbox.run import RunReport, run_under_load
from safeapply.sandbox.watching import WatchEvent
from tests.mesh.command import BRISK, EXAMPLE, SAFEAPPLY, command, ended, scene, started

APPLY = ("apply", "-f", str(EXAMPLE / "desired"), "--yes", "--soak", "200ms")
ISTIO = "networking.istio.io"
RULE = ResourceId(ISTIO, "DestinationRule", Namespace("default"), "reviews")
ROUTE = ResourceId(ISTIO, "VirtualService", Namespace("default"), "reviews")
PATIENCE = 180.0


def sampled(few: int, most: int) -> list[Any]:
    """Return seeds, of which all but a few are for the long run."""
    return [*range(1, few + 1), *(pytest.param(n, marks=pytest.mark.long) for n in range(few + 1, most + 1))]


def failed(report: RunReport, touched: set[str]) -> dict[str, int]:
    """Return how many requests failed, by proxy, on those whose Envoys were left alone."""
    return {proxy: count for proxy, count in report.tally.by_proxy.items() if count and proxy not in touched}


@pytest.mark.parametrize("seed", sampled(2, 200))
async def test_no_fault_loses_a_request(seed: int, tmp_path: Path) -> None:
    """It converges; or it stops with a reason that names what is in the way, and the same command goes on."""
    disturbed: list[Disturbances] = []
    again: list[int] = []

    @asynccontextmanager
    async def meanwhile(mesh: Mesh) -> AsyncIterator[None]:
        async with Disturbances(mesh, seed) as one:
            disturbed.append(one)
            yield
        again.append((await command(mesh, *APPLY)).code)

    log = tmp_path / "log"
    shell = ("sh", "-c", f'exec "$@" 2> {log}', "sh", *SAFEAPPLY, *APPLY)
    async with asyncio.timeout(PATIENCE):
        report = await run_under_load(shell, scene=scene(seed=seed, proxies=6), rate=100.0, meanwhile=meanwhile)
    told = f"seed {seed}, {disturbed[0].drawn}:\n{log.read_text()}"
    assert failed(report, disturbed[0].touched) == {}, told
    assert report.exit_code in {0, 3, 5}, told
    assert (report.exit_code == 0) == ("error:" not in log.read_text()), told
    assert "Traceback" not in log.read_text(), told
    assert again == [0], told


def renamed(directory: Path, subset: str) -> str:
    """Write what the example desires, with another name for its new subset; return the directory."""
    directory.mkdir()
    text = (EXAMPLE / "desired" / "reviews.yaml").read_text().replace("stable", subset)
    (directory / "reviews.yaml").write_text(text.replace(f"version: {subset}", "version: stable"))
    return str(directory)


def subsets_of(rule: Document) -> str:
    """Return the subsets of a DestinationRule in one word."""
    return "+".join(sorted(subset["name"] for subset in rule["spec"]["subsets"]))


def history(mesh: Mesh) -> list[str]:
    """Return what the rule's subsets and the route's destination become from now on, without repetition."""
    seen: list[str] = []

    def listen(event: WatchEvent) -> None:
        if event.document["metadata"].get("generation") == 1:
            return  # a field was handed over, which no proxy sees
        if event.id == RULE:
            word = subsets_of(event.document)
        elif event.id == ROUTE:
            word = "to " + event.document["spec"]["http"][0]["route"][0]["destination"]["subset"]
        else:
            return
        if word not in [one for one in seen[-2:] if one.startswith("to ") == word.startswith("to ")][-1:]:
            seen.append(word)

    mesh.store.listen(listen)
    return seen


def renames(before: str, after: str) -> list[str]:
    """Return what a rename does, write by write."""
    return ["+".join(sorted((before, after))), f"to {after}", after]


@pytest.mark.parametrize("seed", sampled(1, 20))
async def test_two_rollouts_that_fight_follow_each_other(seed: int, tmp_path: Path) -> None:
    """Both rename one subset, each to a name of its own: one waits, or exits 6; their writes never mix."""
    names = ("blue", "green")
    files = [renamed(tmp_path / name, name) for name in names]
    patience = ("0", "60s", "1s")[seed % 3]
    live = read_documents([EXAMPLE / "live"])
    wanted = [one for path in files for one in read_documents([Path(path)])]
    mesh_of_both = Scene(live=live, desired=wanted, proxies=4, seed=seed, delays=BRISK)
    async with asyncio.timeout(PATIENCE), Mesh(mesh_of_both) as mesh:
        seen = history(mesh)
        options = ("--yes", "--soak", "200ms", "--lock-timeout", patience)
        runs = [await started(mesh, "apply", "-f", path, *options) for path in files]
        results = await asyncio.gather(*map(ended, runs))
    told = f"seed {seed}, --lock-timeout {patience}: {seen}\n" + "\n".join(one.err for one in results)
    codes = {name: one.code for name, one in zip(names, results, strict=True)}
    assert set(codes.values()) <= {0, 6}, told
    assert 0 in codes.values(), told
    orders = [names, names[::-1]]
    whole = [renames("v1", one) + renames(one, two) for one, two in orders]
    half = [renames("v1", one) for one, two in orders if codes[two] == 6]
    assert seen in (whole if set(codes.values()) == {0} else half), told


EDITS: dict[str, dict[str, Any] | None] = {
    "sends requests back": {"http": [{"route": [{"destination": {"host": "reviews", "subset": "v1"}}]}]},
    "sends some back": {
        "http": [
            {
                "route": [
                    {"destination": {"host": "reviews", "subset": "v1"}, "weight": 50},
                    {"destination": {"host": "reviews", "subset": "stable"}, "weight": 50},
                ]
            }
        ]
    },
    "sets a timeout": None,
}
"""What somebody else makes of the route; None for what it was, with a timeout."""


def edit(mesh: Mesh, how: str) -> bool:
    """Edit the VirtualService as another client does, unless that alone would lose requests; tell whether."""
    rule = mesh.store.get(RULE)
    if rule is None or "v1" not in subsets_of(rule) or "stable" not in subsets_of(rule):
        return False

    def change(live: Document) -> Document:
        spec = EDITS[how] or {"http": [{**one, "timeout": "7s"} for one in live["spec"]["http"]]}
        return {**live, "spec": {**live["spec"], **spec}}

    mesh.store.patch(ROUTE, change, manager="kubectl-edit")
    return True


@pytest.mark.parametrize("seed", sampled(2, 50))
async def test_a_foreign_write_between_two_steps_is_never_written_over_blindly(seed: int, tmp_path: Path) -> None:
    """Exit 5 with what would differ, or a plan that is proved anew; never a write that loses a request."""
    chance = random.Random(seed)
    how, pause = chance.choice(list(EDITS)), chance.uniform(0.0, 1.5)
    edited: list[bool] = []

    @asynccontextmanager
    async def meanwhile(mesh: Mesh) -> AsyncIterator[None]:
        begun = asyncio.Event()

        def listen(event: WatchEvent) -> None:
            if event.id == RULE and event.document["metadata"]["generation"] > 1:
                begun.set()

        async def interfere() -> None:
            await begun.wait()
            await asyncio.sleep(pause)
            edited.append(edit(mesh, how))

        mesh.store.listen(listen)
        task = asyncio.create_task(interfere())
        yield
        await task

    log, out = tmp_path / "log", tmp_path / "out"
    shell = ("sh", "-c", f'exec "$@" 2> {log} > {out}', "sh", *SAFEAPPLY, *APPLY, "-o", "json")
    async with asyncio.timeout(PATIENCE):
        report = await run_under_load(shell, scene=scene(seed=seed), rate=100.0, meanwhile=meanwhile)
    told = f"seed {seed}: {how} after {pause:.2f} s ({edited}); exit {report.exit_code}\n{log.read_text()}"
    assert report.tally.failed == 0, told
    assert report.exit_code in {0, 5}, told
    assert json.loads(out.read_text())["outcome"] == ("settled" if report.exit_code == 0 else "stopped"), told
    if report.exit_code == 5:
        assert edited == [True], told
        assert "what remains would be another plan" in log.read_text(), told
