"""The last one to leave: it waits for the parent's end, however that came, and clears up what is left.

A process that is killed by SIGKILL cannot clean up after itself, and PR_SET_PDEATHSIG reaches children but not
theirs. So a process of a few megabytes holds the other end of a pipe: at its end it kills the process groups it
was told of and removes the run directory. It imports nothing of the mesh, so that nothing of the mesh can
break it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Janitor", "main"]

STOP_SECONDS = 5.0


class Janitor:
    """Keeps a run directory from outliving us, and process groups too."""

    def __init__(self, directory: Path) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "safeapply.sandbox.janitor", str(directory)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process that waits."""
        return self._process.pid

    def watch(self, group: int) -> None:
        """Have a process group killed at the end."""
        self._say(f"watch {group}")

    def forget(self, group: int) -> None:
        """Take back ``watch``, because the group is gone and its number may be given away again."""
        self._say(f"forget {group}")

    def close(self) -> None:
        """Let it clear up now, and return when it has."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _say(self, order: str) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(f"{order}\n".encode())
                self._process.stdin.flush()

    def __enter__(self) -> Self:
        """Return the waiting janitor."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clear up."""
        self.close()


def main() -> None:
    """Wait for the end of standard input, then clear up."""
    groups: set[int] = set()
    for line in sys.stdin:
        verb, _, group = line.partition(" ")
        if verb == "watch":
            groups.add(int(group))
        else:
            groups.discard(int(group))
    for number in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(number, signal.SIGKILL)
    shutil.rmtree(sys.argv[1], ignore_errors=True)


if __name__ == "__main__":
    main()
