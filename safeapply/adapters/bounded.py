"""Reads what a user names as a file, and no more of it than can be meant.

A name can lead anywhere: to a device that never ends, to a pipe that nobody writes to. Reading it is bounded in
bytes and, where nothing comes, in time.
"""

from __future__ import annotations

import os
import select
import stat
import time
from typing import BinaryIO, Final

__all__ = ["LIMIT", "PATIENCE", "NotAFileError", "read_file", "read_stream"]

LIMIT: Final = 128 * 1024 * 1024
"""Bytes: a hundred times what an API server takes for one object, and ten times the largest mesh seen."""
PATIENCE: Final = 120.0
"""Seconds without a byte from a pipe: ``-f <(helm template ...)`` may have to fetch a chart first."""
CHUNK: Final = 1024 * 1024


class NotAFileError(OSError):
    """What is named cannot be read to its end; ``strerror`` says why, and what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(0, reason)


def read_file(name: str, *, limit: int = LIMIT, patience: float = PATIENCE) -> bytes:
    """Return what a file or a pipe holds.

    Raises:
        OSError: it cannot be read, is a device, holds more than ``limit`` bytes, or nothing comes for ``patience``
            seconds.
    """
    handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb", buffering=0) as file:  # noqa: PTH123  a descriptor
        mode = os.fstat(handle).st_mode
        if stat.S_ISFIFO(mode):
            return _piped(handle, limit, patience)
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            raise NotAFileError("it is a device; name a file, or give - for standard input")
        return read_stream(file, limit=limit)


def read_stream(stream: BinaryIO, *, limit: int = LIMIT) -> bytes:
    """Return what a stream holds, once it ends.

    Raises:
        OSError: it cannot be read, or holds more than ``limit`` bytes.
    """
    chunks, total = list[bytes](), 0
    while chunk := stream.read(CHUNK):
        total = _within(total + len(chunk), limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _piped(handle: int, limit: int, patience: float) -> bytes:
    chunks, total = list[bytes](), 0
    while chunk := _next(handle, patience):
        total = _within(total + len(chunk), limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _next(handle: int, patience: float) -> bytes:
    """Wait for more; a pipe whose last writer has gone is at its end, one that never had any is not."""
    poller, until = select.poll(), time.monotonic() + patience
    poller.register(handle, select.POLLIN)
    while poller.poll(max(0.0, until - time.monotonic()) * 1000):
        try:
            return os.read(handle, CHUNK)
        except BlockingIOError:
            continue
    raise NotAFileError(f"it is a pipe, and nobody has written to it for {patience:g} s")


def _within(total: int, limit: int) -> int:
    if total > limit:
        raise NotAFileError(f"it holds more than {limit // (1024 * 1024)} MiB, which no manifests do")
    return total
