"""The library on real Envoys: a deploy script under load, events as they happen, an end before the next write."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from safeapply import aio, errors
from safeapply.resources.objects import GroupKind
from safeapply.rollout.events import Event, PlanStarted, Settled, Waiting, Wrote
from safeapply.sandbox.mesh import Mesh
from safeapply.sandbox.run import run_under_load
from tests.mesh.command import EXAMPLE, scene

SCRIPT = Path(__file__).parents[2] / "examples" / "deploy.py"
STABLE = "outbound|9080|stable|reviews.default.svc.cluster.local"
RULE = GroupKind("networking.istio.io", "DestinationRule")


async def test_a_deploy_script_loses_no_request() -> None:
    """The example, run as a program while requests flow."""
    assert len([line for line in SCRIPT.read_text().splitlines() if line and not line.startswith('"""')]) <= 11
    command = (sys.executable, str(SCRIPT), str(EXAMPLE / "desired"))
    report = await run_under_load(command, scene=scene(), rate=200.0)
    assert report.exit_code == 0
    assert report.tally.requests > 50
    assert report.tally.failed == 0, report.to_document()


async def test_events_come_as_they_happen_and_a_second_run_finds_nothing_to_do() -> None:
    """A dry-run writes nothing; the iterator and the result tell the same; what is waited for is there."""
    async with Mesh(scene()) as mesh:
        dry = await aio.apply(EXAMPLE / "desired", dry_run=True, kubeconfig=mesh.kubeconfig)
        assert dry.plan.steps
        assert dry.events == ()
        happening = aio.events(aio.apply, EXAMPLE / "desired", soak=0.0, kubeconfig=mesh.kubeconfig)
        seen = [event async for event in happening]
        assert isinstance(seen[0], PlanStarted)
        assert isinstance(seen[-1], Settled)
        assert len([one for one in seen if isinstance(one, Wrote)]) == 3
        await aio.wait("subset=reviews.default/stable", timeout=30.0, kubeconfig=mesh.kubeconfig)
        again = await aio.apply(EXAMPLE / "desired", kubeconfig=mesh.kubeconfig)
        assert (again.plan.steps, again.written, again.seconds) == ((), (), 0.0)
        back = await aio.rollback(soak=0.0, kubeconfig=mesh.kubeconfig)
        assert len(back.written) == 3
        gone = await aio.delete(EXAMPLE / "live" / "reviews.yaml", soak=0.0, kubeconfig=mesh.kubeconfig)
        assert [one.resource.kind for one in gone.written] == ["VirtualService", "DestinationRule"]
        assert await aio.check(kubeconfig=mesh.kubeconfig) == ()


@pytest.mark.parametrize("how", ["task", "iterator"])
async def test_a_cancelled_rollout_stops_before_its_next_write(how: str) -> None:
    """One write is made, the barrier behind it stays closed; the task, or the reader, ends: the Lease is free."""
    async with Mesh(scene()) as mesh:
        mesh.control_plane.withhold_eds([STABLE])
        seen: list[Event] = []
        closed = asyncio.Event()

        def listen(event: Event) -> None:
            seen.append(event)
            if isinstance(event, Waiting) and any(isinstance(one, Wrote) for one in seen):
                closed.set()

        if how == "task":
            task = asyncio.create_task(aio.apply(EXAMPLE / "desired", on_event=listen, kubeconfig=mesh.kubeconfig))
            await asyncio.wait_for(closed.wait(), 30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            async with aclosing(aio.events(aio.apply, EXAMPLE / "desired", kubeconfig=mesh.kubeconfig)) as events:
                async for event in events:
                    listen(event)
                    if closed.is_set():
                        break
        assert len([one for one in seen if isinstance(one, Wrote)]) == 1
        assert not [one for one in mesh.store.list(GroupKind("coordination.k8s.io", "Lease")) if _held(one)]


async def test_a_barrier_that_stays_closed_is_an_error_with_its_exit_code_and_its_proxies() -> None:
    """Exit 3, as of the command; every proxy is named."""
    async with Mesh(scene()) as mesh:
        mesh.control_plane.withhold_eds([STABLE])
        with pytest.raises(errors.BarrierTimeoutError) as caught:
            await aio.apply(EXAMPLE / "desired", barrier_timeout=1.0, kubeconfig=mesh.kubeconfig)
        assert caught.value.exit_code == 3
        assert caught.value.stragglers


def _held(lease: object) -> bool:
    return bool(isinstance(lease, dict) and lease["spec"].get("holderIdentity"))


async def test_ctrl_c_ends_a_blocking_call_before_its_next_write_with_keyboard_interrupt() -> None:
    """As the first Ctrl-C of the command; what is written stays, and nothing more comes."""
    listen = "on_event=lambda one: print(one, flush=True)"
    program = f"import safeapply; safeapply.apply({str(EXAMPLE / 'desired')!r}, {listen})"
    async with Mesh(scene()) as mesh:
        mesh.control_plane.withhold_eds([STABLE])
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            program,
            env={**os.environ, "KUBECONFIG": str(mesh.kubeconfig)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=1 << 24,
        )
        assert process.stdout is not None
        async with asyncio.timeout(60):
            while not (await process.stdout.readline()).startswith(b"Wrote("):
                pass
            process.send_signal(signal.SIGINT)
            out, err = await process.communicate()
        assert process.returncode == -signal.SIGINT
        assert err.decode().rstrip().endswith("KeyboardInterrupt")
        assert b"Wrote(" not in out
        assert b"Stopped(" in out
