"""Rollouts while pods are killed, started and replaced: nobody who survives loses a request, and nothing hangs."""

from __future__ import annotations

import asyncio

import pytest

from safeapply.sandbox.churn import Churn
from safeapply.sandbox.mesh import Mesh
from safeapply.sandbox.run import run_under_load
from tests.mesh.command import EXAMPLE, SAFEAPPLY, scene

PATIENCE = 60.0


@pytest.mark.parametrize("seed", range(1, 5))
async def test_surviving_pods_lose_no_request_while_others_come_and_go(seed: int) -> None:
    """Twenty such rollouts are measured by ``make bench``."""
    churns: list[Churn] = []

    def churn(mesh: Mesh) -> Churn:
        churns.append(Churn(mesh, seed))
        return churns[0]

    command = (*SAFEAPPLY, "apply", "-f", str(EXAMPLE / "desired"), "--yes", "--soak", "200ms")
    async with asyncio.timeout(PATIENCE):
        report = await run_under_load(command, scene=scene(seed=seed, proxies=6), rate=100.0, meanwhile=churn)
    assert report.exit_code == 0
    assert churns[0].killed > 0
    failed = {proxy: count for proxy, count in report.tally.by_proxy.items() if proxy not in churns[0].touched}
    assert failed == {}, report.to_document()
