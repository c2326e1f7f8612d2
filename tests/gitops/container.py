"""Runs a command as a container does: a root of its own that is read-only, a user without a name, no capabilities.

The kernel does it, as under a container runtime: a mount namespace, ``chroot``, ``setpriv``. What is in the image
is the machine's own ``/usr``, ``/etc`` and the Python that runs the tests.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import safeapply

SYSTEM = ("bin", "etc", "lib", "lib32", "lib64", "libx32", "sbin", "usr")
REPOSITORY = Path(safeapply.__file__).parents[1]
PATIENCE = 120.0
NOBODY = 65532


@dataclass(frozen=True, slots=True)
class Mount:
    """A directory of the machine that the container sees."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """What a container said, and how it ended."""

    code: int
    out: str
    err: str


async def contain(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    mounts: Iterable[Mount] = (),
    user: int = NOBODY,
    image: Iterable[Mount] | None = None,
) -> Ended:
    """Run a command in a container of its own to its end.

    Args:
        command: the program and its arguments.
        environment: all of it.
        mounts: what it sees besides the image.
        user: who it is.
        image: what it finds at the root; by default Python and the project, as the tests run it.
    """
    parts = (*(system(Path(sys.prefix), REPOSITORY) if image is None else image), *mounts)
    with tempfile.TemporaryDirectory(prefix="sa-root-") as root:
        script = "\n".join(_script(root, command, environment, parts, user))
        process = await asyncio.create_subprocess_exec(
            *_unshared(),
            "sh",
            "-c",
            script,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    return Ended(process.returncode or 0, out.decode(), err.decode())


@cache
def missing() -> str:
    """Return why this machine cannot run containers; empty if it can."""
    if lacks := [tool for tool in ("unshare", "setpriv", "chroot", "mount") if shutil.which(tool) is None]:
        return f"no {', '.join(lacks)} here"
    with tempfile.TemporaryDirectory(prefix="sa-root-") as root:
        script = "\n".join(_script(root, ("/usr/bin/true",), {}, system(), NOBODY))
        tried = subprocess.run((*_unshared(), "sh", "-c", script), capture_output=True, text=True, check=False)
    return f"no containers here: {tried.stderr.strip()}" if tried.returncode else ""


def system(*more: Path) -> tuple[Mount, ...]:
    """Return what an image is made of: Python, and some directories."""
    wanted = sorted({Path(sys.base_prefix), *more})
    return tuple(Mount(one, str(one)) for one in wanted if one.parts[1] not in SYSTEM)


def _unshared() -> tuple[str, ...]:
    return ("unshare", "--mount") if os.geteuid() == 0 else ("unshare", "--map-root-user", "--mount")


def _script(
    root: str, command: Sequence[str], environment: Mapping[str, str], mounts: Iterable[Mount], user: int
) -> Iterator[str]:
    """Yield the lines that build the root, and the one that becomes the command."""
    yield "set -eu; mount --make-rprivate /"
    yield f"mount -t tmpfs -o mode=755 image {root}"
    for name in SYSTEM:
        path = Path("/", name)
        if path.is_symlink():
            yield f"ln -s {path.readlink()} {root}/{name}"
        elif path.is_dir():
            yield from _mounted(root, Mount(path, str(path)))
    for name in ("/proc", "/dev"):
        yield f"mkdir -p {root}{name}; mount --rbind {name} {root}{name}"
    for mount in mounts:
        yield from _mounted(root, mount)
    yield f"mount -o remount,ro {root}"
    named = [f"{key}={value}" for key, value in environment.items()]
    # Without the privilege to become another user there is only one in the namespace, and it has no rights outside.
    less = (
        (f"--reuid={user}", f"--regid={user}", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all")
        if os.geteuid() == 0
        else ()
    )
    words = ("chroot", root, "/usr/bin/env", "-i", *named, "/usr/bin/setpriv", *less, "--no-new-privs", *command)
    yield f"exec {shlex.join(words)}"


def _mounted(root: str, mount: Mount) -> Iterator[str]:
    source, target = shlex.quote(str(mount.source)), shlex.quote(root + mount.target)
    yield f"mkdir -p {target}; mount --rbind {source} {target}"
    if not mount.writable:
        yield f"mount -o remount,bind,ro {target}"
