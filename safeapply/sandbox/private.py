"""A directory that is this user's alone, and the files in it: nobody else chooses what is opened or believed here.

The place is known to everybody (``/tmp/safeapply-1000``), so another user can be there first, with a directory of
his own or with a link. It is therefore opened and never looked up twice: what is checked is the descriptor, and
every file is opened below that descriptor (openat(2)), through no link.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from safeapply.errors import SandboxError

__all__ = ["open_in", "opened", "replace_in"]

DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
"""Without blocking: a FIFO in place of a file is refused, not waited for."""
OTHERS = 0o077
WRITABLE = stat.S_IWGRP | stat.S_IWOTH
OWN = 0o700


@contextlib.contextmanager
def opened(directory: Path, *, make: bool) -> Iterator[int]:
    """Hand over a descriptor of a directory that is ours, in a directory that is ours.

    Args:
        directory: it and its parent have to be this user's, with no rights for anybody else.
        make: whether to make both where they are missing.

    Raises:
        FileNotFoundError: it is not there, and was not to be made.
        SandboxError: it, or the directory above it, is another's, is open to others, or is no directory.
    """
    base = directory.parent
    with contextlib.ExitStack() as held:
        try:
            _check_above(base.parent)
            above = held.enter_context(_descriptor(base, None, make=make))
            inside = held.enter_context(_descriptor(directory, above, make=make))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise SandboxError(f"{directory}: {error.strerror}") from error
        yield inside


def open_in(directory: int, name: str, flags: int) -> int:
    """Open a regular file of a directory, through no link; one that is made is for its owner alone.

    Raises:
        FileNotFoundError: it is not there, and was not to be made.
        SandboxError: it is a link, no regular file, or another user's, or cannot be opened.
    """
    try:
        handle = os.open(name, flags | FILE, 0o600, dir_fd=directory)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SandboxError(f"{name} in the sandbox's directory cannot be opened: {error.strerror}") from error
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        os.close(handle)
        raise SandboxError(f"{name} in the sandbox's directory is no regular file of yours; delete the directory")
    return handle


def replace_in(directory: int, name: str, text: str) -> None:
    """Write a file so that readers see all of it or nothing.

    Raises:
        OSError: it cannot be written.
    """
    draft = f"{name}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(draft, dir_fd=directory)
    with os.fdopen(open_in(directory, draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(draft, name, src_dir_fd=directory, dst_dir_fd=directory)


def _check_above(place: Path) -> None:
    """Refuse a place in which others could put another directory where ours was."""
    found = place.stat()
    if found.st_uid not in {0, os.geteuid()} or (found.st_mode & WRITABLE and not found.st_mode & stat.S_ISVTX):
        raise SandboxError(
            f"in {place} other users can replace directories; set XDG_RUNTIME_DIR to a directory of your own"
        )


@contextlib.contextmanager
def _descriptor(path: Path, above: int | None, *, make: bool) -> Iterator[int]:
    name = path.name if above is not None else str(path)
    if make:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, OWN, dir_fd=above)
    try:
        handle = os.open(name, DIRECTORY, dir_fd=above)
    except NotADirectoryError as error:
        raise _refused(path, "is a link or a file") from error
    try:
        _check(path, os.fstat(handle))
        yield handle
    finally:
        os.close(handle)


def _check(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        raise _refused(path, "belongs to another user")
    if found.st_mode & OTHERS:
        raise _refused(path, "is open to other users")


def _refused(path: Path, why: str) -> SandboxError:
    return SandboxError(
        f"{path} {why}, so nothing in it is used: delete it, or set XDG_RUNTIME_DIR to a directory of your own"
    )
