"""A credential plugin that gives no credential ends in a sentence, and leaves no process behind."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from safeapply.adapters import plugins
from safeapply.adapters.plugins import obtained
from safeapply.errors import ClusterError

VERSION = "client.authentication.k8s.io/v1"


def plugin(directory: Path, script: str) -> dict[str, object]:
    """Return a plugin that is this shell script."""
    path = directory / "login"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"apiVersion": VERSION, "command": str(path), "interactiveMode": "Never"}


async def gone(path: Path) -> None:
    """Return when the process whose number a file holds has ended."""
    async with asyncio.timeout(10):
        while runs(int(path.read_text())):  # noqa: ASYNC110, ASYNC240  processes of others have no events
            await asyncio.sleep(0.01)


def runs(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    "script",
    [
        "echo $$ > {pid}; exec sleep 600",
        # The shell has gone, and what it has started keeps its output open.
        "sleep 600 & echo $! > {pid}",
        "trap '' TERM; echo $$ > {pid}; while true; do sleep 1; done",
    ],
)
async def test_one_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """It and what it has started."""
    monkeypatch.setattr(plugins, "SECONDS", 1.0)
    begun = time.monotonic()
    with pytest.raises(ClusterError, match=r"login, which .* gave none within 1 s; run it by itself, and log in"):
        await obtained(plugin(tmp_path, script.format(pid=tmp_path / "pid")), {})
    assert time.monotonic() - begun < 10
    await gone(tmp_path / "pid")


async def test_one_that_prints_without_end_is_ended(tmp_path: Path) -> None:
    """It cannot take all memory."""
    with pytest.raises(ClusterError, match="printed more than 1024 KiB, which is no credential"):
        await obtained(plugin(tmp_path, f"echo $$ > {tmp_path / 'pid'}; exec yes"), {})
    await gone(tmp_path / "pid")


async def test_one_that_is_not_waited_for_any_more_is_ended(tmp_path: Path) -> None:
    """Ctrl-C ends it too: it is in a session of its own, where the terminal's signal does not go."""
    os.mkfifo(begun := tmp_path / "begun")
    spec = plugin(tmp_path, f"echo $$ > {tmp_path / 'pid'}; echo > {begun}; exec sleep 600")
    task = asyncio.create_task(obtained(spec, {}))
    await asyncio.to_thread(begun.read_text)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(tmp_path / "pid")
