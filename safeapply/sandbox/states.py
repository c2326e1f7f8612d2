"""The sandboxes of a user that run in the background: where each keeps its kubeconfig, and whether it lives.

One directory per name, below $XDG_RUNTIME_DIR or the temporary directory, and only if it is this user's alone
(``sandbox.private``). A sandbox lives as long as it holds the lock in it: process ids are given away again, locks
are not.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from safeapply.errors import SandboxError, UsageError
from safeapply.sandbox.private import open_in, opened, replace_in

__all__ = [
    "LOG_FILE",
    "State",
    "directory_of",
    "is_running",
    "lock",
    "open_log",
    "read_state",
    "write_kubeconfig",
    "write_state",
]

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")
LOCK_FILE = "lock"
LOG_FILE = "log"
KUBECONFIG_FILE = "kubeconfig"
STATE_FILE = "state.json"
LOOK_SECONDS = 1.0
"""Who looks whether a sandbox runs holds its lock for a moment; it is not taken for a sandbox."""
RETRY_SECONDS = 0.02
STATE_LIMIT = 65_536
"""Bytes; a state has a few hundred."""


@dataclass(frozen=True, slots=True)
class State:
    """A sandbox in the background, as it describes itself once it serves."""

    name: str
    pid: int
    process: str
    """Which process that is (``sandbox.identity``): a number alone ends nobody."""
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
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    # A relative one is to be ignored (XDG Base Directory Specification): who works elsewhere would not find it.
    own = Path(runtime) / "safeapply" if runtime.startswith("/") else None
    return (own or Path(tempfile.gettempdir()) / f"safeapply-{os.geteuid()}") / name


@contextlib.contextmanager
def lock(directory: Path) -> Iterator[None]:
    """Hold a sandbox's directory for this process; what a sandbox before it left there goes.

    Raises:
        SandboxError: another process has it, or it is not this user's alone.
    """
    with opened(directory, make=True) as inside:
        handle = open_in(inside, LOCK_FILE, os.O_RDWR | os.O_CREAT)
        try:
            _taken(handle, directory.name)
            _forget(inside)
            try:
                yield
            finally:
                _forget(inside)
        finally:
            os.close(handle)


def _taken(handle: int, name: str) -> None:
    deadline = time.monotonic() + LOOK_SECONDS
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"the sandbox {name} is running already; stop it with: safeapply sandbox down"
                ) from error
            time.sleep(RETRY_SECONDS)


def _forget(inside: int) -> None:
    for name in (STATE_FILE, KUBECONFIG_FILE):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=inside)


def is_running(directory: Path) -> bool:
    """Tell whether a process holds the directory.

    Raises:
        SandboxError: the directory is not this user's alone.
    """
    try:
        with opened(directory, make=False) as inside:
            handle = open_in(inside, LOCK_FILE, os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            finally:
                os.close(handle)
    except FileNotFoundError:
        return False
    return False


def open_log(directory: Path) -> BinaryIO:
    """Return the log of a sandbox that is about to start, empty.

    Raises:
        SandboxError: the directory is not this user's alone.
    """
    with opened(directory, make=True) as inside:
        return os.fdopen(open_in(inside, LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb")


def write_kubeconfig(directory: Path, text: str) -> Path:
    """Leave a kubeconfig beside the state, and return where."""
    with opened(directory, make=False) as inside:
        replace_in(inside, KUBECONFIG_FILE, text)
    return directory / KUBECONFIG_FILE


def write_state(directory: Path, state: State) -> None:
    """Say that the sandbox serves; readers see all of it or nothing."""
    with opened(directory, make=False) as inside:
        replace_in(inside, STATE_FILE, msgspec.json.encode(asdict(state)).decode())


def read_state(directory: Path) -> State | None:
    """Return what a running sandbox says of itself; None where none runs, or it does not serve yet.

    Raises:
        SandboxError: the directory is not this user's alone, or what it says cannot be understood.
    """
    if not is_running(directory):
        return None
    try:
        with (
            opened(directory, make=False) as inside,
            os.fdopen(open_in(inside, STATE_FILE, os.O_RDONLY), "rb") as file,
        ):
            return msgspec.json.decode(file.read(STATE_LIMIT), type=State)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SandboxError(
            f"{directory / STATE_FILE} was not written by this version ({error}); end that sandbox by its own "
            "safeapply, or by its process id, and delete the directory"
        ) from error
