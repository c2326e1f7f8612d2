"""The process that starts Envoys and takes them along when it ends, however it ends.

It is small and single-threaded, so that it may safely run code between fork and exec: each Envoy asks the kernel
for SIGKILL at the nursery's death (PR_SET_PDEATHSIG; on other systems only an orderly end takes them along). The
nursery itself ends when its standard input ends, which the kernel brings about for a parent that was killed.
It decides nothing; ``envoys`` tells it what to run.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import signal
import subprocess
import sys
import time
from pathlib import Path

from safeapply.resources.objects import Document
from safeapply.sandbox.children import obey, raise_file_limit

__all__ = ["main"]

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
STOP_SECONDS = 1.0


class _Nursery:
    """The processes that run, by pid."""

    def __init__(self) -> None:
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    async def handle(self, order: Document) -> object:
        """Carry out one order: start gives the pid, or what went wrong; look gives the exit status, or None."""
        match order["do"]:
            case "start":
                return self._start(order["command"], Path(order["directory"]), Path(order["log"]))
            case "look":
                process = self._processes.get(order["pid"])
                return -1 if process is None else process.poll()
            case "stop":
                self._stop([self._processes.pop(pid) for pid in order["pids"] if pid in self._processes])
            case unknown:
                return f"{unknown} is no order"
        return None

    def stop_all(self) -> None:
        """End every process."""
        self._stop(list(self._processes.values()))

    def _start(self, command: list[str], directory: Path, log: Path) -> int | str:
        try:
            with log.open("ab") as output:
                process = subprocess.Popen(  # noqa: S603 - the parent's command
                    command,
                    cwd=directory,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    preexec_fn=_die_with_parent,  # noqa: PLW1509 - one thread here, so this is safe
                )
        except OSError as error:
            return f"{command[0]}: {error.strerror}"
        self._processes[process.pid] = process
        return process.pid

    @staticmethod
    def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
        """Ask all of them to end, and make those end that do not."""
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            process.kill()
            process.wait()


def _die_with_parent() -> None:
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


async def _serve() -> None:
    nursery = _Nursery()
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is not None:
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await obey(nursery.handle)
    finally:
        nursery.stop_all()


def main() -> None:
    """Run what the parent says until the parent is gone."""
    raise_file_limit()
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_serve())


if __name__ == "__main__":
    main()
