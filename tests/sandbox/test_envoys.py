"""Envoys as processes: quick to come up, and gone with whoever started them."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from safeapply.errors import SandboxError
from safeapply.sandbox.controlplane import ControlPlane
from safeapply.sandbox.delays import NO_DELAYS
from safeapply.sandbox.envoys import Envoys, envoy_binary
from tests.sandbox.controlplane.lab import laboratory, pod, until

PARENT = """
import asyncio, pathlib, sys
from tests.sandbox.controlplane.lab import laboratory

async def main():
    async with laboratory(pathlib.Path(sys.argv[1])) as lab:
        envoys = await lab.start("one", "two")
        print(*(each.pid for each in envoys), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def run() -> Iterator[Path]:
    """Hand over an empty directory with a short name."""
    directory = Path(tempfile.mkdtemp(prefix="sa-"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def lives(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def parent_of(pid: int) -> int:
    """Return who started a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def processes_in(directory: Path) -> set[int]:
    """Return the Envoys whose configuration is below a directory."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(directory).encode() in entry.read_bytes():
                found.add(int(entry.parent.name))
        except OSError:
            continue
    return found - {os.getpid()}


async def test_twenty_envoys_come_up_together(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of them are live and configured; how long it took is printed, as it is the machine's business."""
    async with laboratory(run) as lab:
        started = time.monotonic()
        envoys = await lab.start(*(f"pod-{number}" for number in range(20)))
        await lab.settle()
        seconds = time.monotonic() - started
        assert len({each.pid for each in envoys}) == 20
        assert len(lab.plane.proxies) == 20
        assert all(lives(each.pid) for each in envoys)
    with capsys.disabled():
        print(f"\n20 Envoys up in {seconds:.2f} s")  # noqa: T201 - a measurement
    assert not any(lives(each.pid) for each in envoys)


async def test_a_stopped_envoy_leaves_nothing(run: Path) -> None:
    """Its process and its directory are gone, and the others stay."""
    async with laboratory(run) as lab:
        one, two = await lab.start("one", "two")
        await lab.envoys.stop(one)
        assert not lives(one.pid)
        assert not one.directory.exists()
        assert lives(two.pid)
        await until(lambda: lab.plane.proxies == ("two.default",), "the control plane still knows it")


async def test_an_envoy_that_cannot_live_says_why(run: Path) -> None:
    """A configuration that Envoy refuses ends in one error with the end of its log."""
    broken = pod("broken", "10.2.0.1", {}, role="sidecar")
    async with Envoys(run=run) as envoys:
        with pytest.raises(SandboxError, match=r"the Envoy of broken\.default ended"):
            await envoys.start(broken, Path("x" * 200))


async def test_an_envoy_without_a_control_plane_is_not_live(run: Path) -> None:
    """It waits for its first configuration, as in Istio, and the wait has a deadline."""
    lonely = pod("lonely", "10.2.0.1", {}, role="sidecar")
    async with Envoys(run=run) as envoys:
        with pytest.raises(SandboxError, match="is not live"):
            await envoys.start(lonely, run / "nobody.sock", deadline=0.5)


async def test_a_control_plane_needs_its_socket(run: Path) -> None:
    """A directory in which no socket can be opened is one clear error."""
    (run / "istiod-0.sock").mkdir()
    plane = ControlPlane(run=run, seed=1, delays=NO_DELAYS)
    with pytest.raises(SandboxError, match="cannot listen"):
        await plane.start()
    await plane.stop()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_nothing_is_left_when_the_parent_dies(run: Path, how: signal.Signals) -> None:
    """However the parent ends, its Envoys and the process that held them end too."""
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(run)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in (await parent.stdout.readline()).split()]
    assert len(pids) == 2
    assert set(pids) <= processes_in(run)
    parent.send_signal(how)
    await parent.wait()
    await until(lambda: not processes_in(run), "an Envoy outlived its parent")
    await until(lambda: not any(lives(pid) for pid in pids), "an Envoy outlived its parent")


async def test_the_nursery_takes_its_envoys_along(run: Path) -> None:
    """Even if the process that holds them is killed, the kernel ends the Envoys."""
    async with laboratory(run) as lab:
        envoys = await lab.start("one", "two")
        (nursery,) = {parent_of(each.pid) for each in envoys}
        os.kill(nursery, signal.SIGKILL)
        await until(lambda: not any(lives(each.pid) for each in envoys), "an Envoy outlived its nursery")


def test_envoy_is_found_whatever_else_owns_its_package() -> None:
    """The binary is looked up in the distribution's own list of files (ENVOY.md 1)."""
    assert os.access(envoy_binary(), os.X_OK)
