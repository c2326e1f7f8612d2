"""The sandboxes of a user that run in the background: where each keeps its kubeconfig, and whether it lives.

One directory per name, below $XDG_RUNTIME_DIR or the temporary directory. A sandbox lives as long as it holds
the lock in it: process ids are given away again, locks are not.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from safeapply.errors import SandboxError, UsageError

__all__ = ["STATE_FILE", "State", "directory_of", "is_running", "lock", "read_state", "write_state"]

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")
LOCK_FILE = "lock"
STATE_FILE = "state.json"
LOOK_SECONDS = 1.0
"""Who looks whether a sandbox runs holds its lock for a moment; it is not taken for a sandbox."""
RETRY_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class State:
    """A sandbox in the background, as it describes itself once it serves."""

    name: str
    pid: int
    server: str
    kubeconfig: str
    run: str
    proxies: int
    replicas: int
    seed: int
    lag: str
    push: str
    since: str


def directory_of(name: str) -> Path:
    """Return where the sandbox of this name keeps itself.

    Raises:
        UsageError: the name is no Kubernetes name of at most 32 characters.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a sandbox; use lower-case letters, digits and '-'")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(runtime) / "safeapply" if runtime else Path(tempfile.gettempdir()) / f"safeapply-{os.getuid()}"
    return base / name


def lock(directory: Path) -> IO[str]:
    """Take a sandbox's directory for this process, until the returned file is closed.

    Raises:
        SandboxError: another process has it, or it belongs to somebody else.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if directory.parent.stat().st_uid != os.getuid():
            raise SandboxError(f"{directory.parent} belongs to another user; set XDG_RUNTIME_DIR")
        file = (directory / LOCK_FILE).open("w")
    except OSError as error:
        raise SandboxError(f"{directory}: {error.strerror}") from error
    deadline = time.monotonic() + LOOK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                file.close()
                raise SandboxError(
                    f"the sandbox {directory.name} is running already; stop it with: safeapply sandbox down"
                ) from error
            time.sleep(RETRY_SECONDS)
        else:
            (directory / STATE_FILE).unlink(missing_ok=True)
            return file


def is_running(directory: Path) -> bool:
    """Tell whether a process holds the directory."""
    try:
        with (directory / LOCK_FILE).open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def write_state(directory: Path, state: State) -> None:
    """Say that the sandbox serves; readers see all of it or nothing."""
    draft = directory / f"{STATE_FILE}.new"
    draft.write_text(json.dumps(asdict(state), indent=1))
    draft.rename(directory / STATE_FILE)


def read_state(directory: Path) -> State | None:
    """Return what a running sandbox says of itself; None where none runs, or it does not serve yet."""
    if not is_running(directory):
        return None
    try:
        return State(**json.loads((directory / STATE_FILE).read_text()))
    except FileNotFoundError:
        return None
