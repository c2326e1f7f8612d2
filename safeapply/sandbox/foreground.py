"""The command under test: a child in a process group of its own, with the terminal if there is one.

Its group is what ends with us, so that nothing it started in the background stays. A shell does the same with
its jobs, and so a question that the command asks on the terminal can be answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import IO

from safeapply.errors import UsageError
from safeapply.sandbox.janitor import Janitor

__all__ = ["require_command", "run_command"]

GRACE_SECONDS = 5.0
BY_SIGNAL = 128


def require_command(command: Sequence[str]) -> None:
    """Look for the program before a mesh is started for it.

    Raises:
        UsageError: there is no such program.
    """
    if not command:
        raise UsageError(
            "no command given; write it after --, as in: safeapply sandbox run -- kubectl apply -f dir/"
        )
    if shutil.which(command[0]) is None:
        raise UsageError(f"{command[0]}: no such program")


async def run_command(
    command: Sequence[str], *, env: Mapping[str, str], janitor: Janitor, output: IO[str] | None = None
) -> int:
    """Run a command to its end and return its exit code as a shell would put it.

    Args:
        command: the program and its arguments.
        env: its whole environment.
        janitor: who kills its process group if we are killed.
        output: where its standard output goes; ours if not given.
    """
    terminal = _terminal()
    process = await asyncio.create_subprocess_exec(
        *command,
        env=env,
        stdout=output,
        process_group=0,
    )
    try:
        if terminal is not None:
            # From here and not between fork and exec, where gRPC's threads make every line a hazard. Who read from
            # the terminal before it was theirs has been stopped by the kernel, and goes on.
            _take(terminal, process.pid)
            _signal_group(process.pid, signal.SIGCONT)
        async with _watched(process, janitor):
            code = await process.wait()
    finally:
        if terminal is not None:
            _take(terminal, os.getpgrp())
    return code if code >= 0 else BY_SIGNAL - code


@contextlib.asynccontextmanager
async def _watched(process: asyncio.subprocess.Process, janitor: Janitor) -> AsyncIterator[None]:
    """End the process group with the block, kindly at first if the command still runs."""
    janitor.watch(process.pid)
    try:
        yield
    finally:
        if process.returncode is None:
            _signal_group(process.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GRACE_SECONDS):
                    await process.wait()
        _signal_group(process.pid, signal.SIGKILL)
        await process.wait()
        janitor.forget(process.pid)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _terminal() -> int | None:
    """Return the terminal that we are in the foreground of, if any."""
    try:
        descriptor = sys.stdin.fileno()
        return descriptor if os.tcgetpgrp(descriptor) == os.getpgrp() else None
    except (OSError, ValueError):
        return None


def _take(terminal: int, group: int) -> None:
    """Give the terminal to a process group; who is not in the foreground must not be stopped for asking."""
    previous = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(terminal, group)
    signal.signal(signal.SIGTTOU, previous)
