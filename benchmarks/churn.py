"""Twenty rollouts under load while pods are killed, started and replaced at random: who survives loses nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure
from safeapply.sandbox.churn import Churn
from safeapply.sandbox.delays import Delays, Span
from safeapply.sandbox.loading import read_documents
from safeapply.sandbox.mesh import Mesh, Scene
from safeapply.sandbox.run import run_under_load

__all__ = ["figures"]

SEEDS = range(1, 21)
EXAMPLE = Path(__file__).parents[1] / "examples" / "01-rename-a-subset"
DELAYS = Delays(lag=Span(0.0, 0.5), push=Span(0.0, 1.0))
PROXIES, RATE = 8, 300.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One rollout."""

    failed: int
    """Of the proxies that were never touched."""
    requests: int
    killed: int
    started: int
    seconds: float
    exit_code: int


def figures() -> Iterator[Figure]:
    """Yield what all of them lost together, and the longest of them: one that hangs would show."""
    outcomes = [asyncio.run(_rolled_out(seed)) for seed in SEEDS]
    killed, started = sum(one.killed for one in outcomes), sum(one.started for one in outcomes)
    requests = sum(one.requests for one in outcomes)
    told = f"churn, {len(outcomes)} rollouts, {killed} pods killed, {started} started"
    yield Figure(
        f"{told}: failed on surviving pods, of {requests}", sum(o.failed for o in outcomes), "requests", "0"
    )
    yield Figure(f"{told}: commands that failed", sum(one.exit_code != 0 for one in outcomes), "", "0")
    yield Figure(f"{told}: the longest command", max(one.seconds for one in outcomes), "s", "no hang")


async def _rolled_out(seed: int) -> Outcome:
    live, desired = (read_documents([EXAMPLE / part]) for part in ("live", "desired"))
    scene = Scene(live=live, desired=desired, proxies=PROXIES, seed=seed, delays=DELAYS)
    churns: list[Churn] = []

    def churn(mesh: Mesh) -> Churn:
        churns.append(Churn(mesh, seed))
        return churns[0]

    command = (sys.executable, "-m", "safeapply", "apply", "-f", str(EXAMPLE / "desired"), "--yes")
    report = await run_under_load(command, scene=scene, rate=RATE, output=sys.stderr, meanwhile=churn)
    failed = sum(count for proxy, count in report.tally.by_proxy.items() if proxy not in churns[0].touched)
    return Outcome(
        failed=failed,
        requests=report.tally.requests,
        killed=churns[0].killed,
        started=churns[0].started,
        seconds=round(report.ended - report.started, 3),
        exit_code=report.exit_code,
    )
