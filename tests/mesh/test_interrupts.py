"""Ctrl-C stops a rollout before its next write and tells where the mesh stands; a second one leaves at once."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time

from safeapply.resources.objects import GroupKind
from safeapply.sandbox.mesh import Mesh
from safeapply.sandbox.watching import WatchEvent
from tests.mesh.command import EXAMPLE, Result, command, ended, scene, started

RULE = GroupKind("networking.istio.io", "DestinationRule")
APPLY = ("apply", "-f", str(EXAMPLE / "desired"), "--yes", "--soak", "0")
STABLE = "outbound|9080|stable|reviews.default.svc.cluster.local"

NEVER_ENDS = """
import asyncio
import signal
from safeapply.cli.supervision import run_to_end

async def work():
    try:
        print("begun", flush=True)
        await asyncio.sleep(600)
    finally:
        print("stopping", flush=True)
        await asyncio.sleep(600)

signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in its background ignores it
run_to_end(work())
"""


async def interrupted(mesh: Mesh, number: signal.Signals) -> Result:
    """Send a signal to a rollout whose first write is made and whose next barrier stays closed."""
    written = asyncio.Event()

    def listen(event: WatchEvent) -> None:
        if event.id.group_kind == RULE and event.document["metadata"]["generation"] > 1:
            written.set()

    mesh.store.listen(listen)
    mesh.control_plane.withhold_eds([STABLE])
    process = await started(mesh, *APPLY)
    await asyncio.wait_for(written.wait(), 30)
    process.send_signal(number)
    return await ended(process)


async def test_an_interrupted_rollout_says_what_is_written_what_is_left_and_how_to_go_on() -> None:
    """Nobody has to guess at 3 a.m."""
    async with Mesh(scene()) as mesh:
        result = await interrupted(mesh, signal.SIGINT)
        assert result.code == 130
        told = result.err[result.err.index("error: interrupted") :].splitlines()
        assert told == [
            "error: interrupted: written (1 write):",
            "  destinationrule default/reviews configured",
            "still to do (2 writes):",
            "  apply virtualservice default/reviews",
            "  apply destinationrule default/reviews",
            "the mesh is in a safe state: run the same command again to go on, or `safeapply rollback` to go back",
        ]
        assert "destinationrule.networking.istio.io/reviews configured" in result.out
        mesh.control_plane.release_eds()
        assert (await command(mesh, *APPLY)).code == 0


async def test_sigterm_is_told_the_same() -> None:
    """A pipeline that is cancelled stops as carefully."""
    async with Mesh(scene()) as mesh:
        result = await interrupted(mesh, signal.SIGTERM)
        assert (result.code, "still to do (2 writes):" in result.err) == (130, True)


def test_a_second_interrupt_leaves_at_once() -> None:
    """Also where the first one has something to bring to its end that does not end."""
    with subprocess.Popen(
        [sys.executable, "-c", NEVER_ENDS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for said in ("begun", "stopping"):
            assert process.stdout.readline().strip() == said
            process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        _, err = process.communicate(timeout=20)
        assert process.returncode == 130
        assert time.monotonic() - begun < 10.0
        assert err == (
            "error: interrupted twice; writes that were under way may arrive: run the same command again to go on\n"
        )
