"""Starting and stopping sandboxes that run in the background."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safeapply.errors import SandboxError
from safeapply.sandbox.identity import is_ours
from safeapply.sandbox.states import LOG_FILE, State, directory_of, is_running, open_log, read_state

__all__ = ["down", "down_command", "up"]

UP_SECONDS = 90.0
DOWN_SECONDS = 15.0
LOOK_SECONDS = 0.05


def up(name: str, *, live: Sequence[Path], options: Mapping[str, Any]) -> State:
    """Start a sandbox in a session of its own and return when it serves.

    Raises:
        SandboxError: one of this name runs already, or it could not be started; with what it said.
    """
    directory = directory_of(name)
    if is_running(directory):
        raise SandboxError(f"the sandbox {name} is running already; stop it with: {down_command(name)}")
    order = {"name": name, "live": [str(path.resolve()) for path in live], **options}
    with open_log(directory) as log:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "safeapply.sandbox.daemon", json.dumps(order)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    try:
        return _serving(process, directory)
    except BaseException:
        process.terminate()
        process.wait()
        raise


def down(name: str) -> bool:
    """Stop a sandbox, and return when nothing is left of it; False where none of this name runs.

    Raises:
        SandboxError: it does not end.
    """
    directory = directory_of(name)
    state = read_state(directory)
    if state is None:
        if is_running(directory):
            raise SandboxError(f"the sandbox {name} is still starting; try again in a moment")
        return False
    if not _ended(state, directory):
        raise SandboxError(f"the sandbox {name} (process {state.pid}) does not end; see {directory / LOG_FILE}")
    return True


def down_command(name: str) -> str:
    """Return the command line that stops a sandbox."""
    return "safeapply sandbox down" + ("" if name == "default" else f" --name {name}")


def _ended(state: State, directory: Path) -> bool:
    """Ask a process to end, and tell whether it did so in time: a pidfd becomes readable when it has.

    Raises:
        SandboxError: it is not known to be the one that was started.
    """
    try:
        process = os.pidfd_open(state.pid)
    except (OSError, OverflowError, ValueError) as error:
        if not is_running(directory):
            return True
        raise _not_ours(state, directory) from error
    try:
        # Looked at while it is held: the number cannot be given away in between.
        if not is_ours(state.pid, state.process):
            raise _not_ours(state, directory)
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, signal.SIGTERM)
        return bool(select.select([process], [], [], DOWN_SECONDS)[0])
    finally:
        os.close(process)


def _not_ours(state: State, directory: Path) -> SandboxError:
    return SandboxError(
        f"process {state.pid} is not the sandbox {state.name} that was started, so it was not ended; another "
        f"process holds {directory}: see who by `fuser {directory}/lock`, end it, and delete the directory"
    )


def _serving(process: subprocess.Popen[bytes], directory: Path) -> State:
    """Wait for the sandbox to say that it serves, or to end."""
    deadline = time.monotonic() + UP_SECONDS
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        state = read_state(directory)
        if state is not None and state.pid == process.pid:
            return state
        if ended:
            raise SandboxError(_last_words(directory / LOG_FILE))
        time.sleep(LOOK_SECONDS)
    raise SandboxError(f"the sandbox does not serve after {UP_SECONDS:.0f} s; see {directory / LOG_FILE}")


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return lines[-1].removeprefix("error: ") if lines else f"the sandbox ended without a word; see {log}"
