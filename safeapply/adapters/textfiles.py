"""Writes a file that others read at any time: they see the old one or the new one, never a part.

What is no regular file, as ``/dev/stdout`` or a pipe, is written to and stays what it is; a link stays a link.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path
from typing import Final

__all__ = ["check_writable", "replace_text"]

PUBLIC: Final = 0o644
"""Whoever may read the directory may read it."""
NO_READER: Final = "it is a pipe that nobody reads"


def replace_text(path: Path, text: str, *, mode: int = PUBLIC) -> None:
    """Write beside the file, then move over it.

    Args:
        path: where; through links.
        text: its new content.
        mode: who may read it, from the first byte on.

    Raises:
        OSError: it cannot be written; then it is what it was.
    """
    target = Path(os.path.realpath(path))
    if _is_special(target):
        _pour(target, text)
        return
    handle, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fchmod(handle, mode)
            os.fsync(handle)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def check_writable(path: Path) -> None:
    """Return if ``replace_text`` is likely to work later; nothing is written.

    Raises:
        OSError: it cannot: there is no such directory, it may not be written, or the path is a directory.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    checked = target if _is_special(target) else target.parent
    if not checked.exists():
        raise FileNotFoundError(errno.ENOENT, f"there is no directory {path.parent}", str(path))
    if not os.access(checked, os.W_OK):
        raise PermissionError(errno.EACCES, f"{checked} may not be written", str(path))


def _is_special(target: Path) -> bool:
    try:
        return not stat.S_ISREG(target.stat().st_mode)
    except FileNotFoundError:
        return False


def _pour(target: Path, text: str) -> None:
    try:
        handle = os.open(target, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(errno.ENXIO, NO_READER) from error
        raise
    # Opened without waiting for a reader, and written with waiting.
    os.set_blocking(handle, True)
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
