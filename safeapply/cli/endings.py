"""Standard streams that may be closed, full or gone, and signals: whatever ends a command, it ends in order.

A rollout is not stopped because nobody can read about it any more; what a person or a program was to get and does
not get is said, and no stream leaves a traceback.
"""

from __future__ import annotations

import io
import os
import select
import signal
import sys
from types import FrameType
from typing import Final, NoReturn, TextIO

__all__ = ["ENDING", "EndedBySignal", "end_in_order", "secure_streams", "write_quietly"]

BY_SIGNAL: Final = 128
ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that end a command, each unless whoever started it has it ignored."""
CLOSED: Final = {0: os.O_WRONLY, 1: os.O_RDONLY, 2: os.O_WRONLY}
"""How /dev/null is opened in place of a stream that is closed, so that no other file gets its number: of the first
two so that reading or writing fails as on a closed one, of standard error so that what is said is lost."""


class EndedBySignal(BaseException):
    """A signal ended the command while no rollout was under way; what it has made for a time is tidied up."""

    def __init__(self, number: int) -> None:
        self.exit_code = BY_SIGNAL + number
        super().__init__(number)


def end_in_order() -> None:
    """Let ending signals unwind the stack, unless whoever started this has them ignored (nohup)."""
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


def _raise(number: int, _: FrameType | None) -> NoReturn:
    raise EndedBySignal(number)


class _Stream(io.FileIO):
    """A descriptor that is written to in full, also where somebody has made it non-blocking."""

    def write(self, data: object, /) -> int:
        """Write, and wait where the other side has to read first."""
        while (written := super().write(data)) is None:  # type: ignore[arg-type]
            select.select([], [self], [])
        return written


class _Output(_Stream):
    """Standard output: fails once, with the error that is to be told, and is silent from then on."""

    broken = False

    def write(self, data: object, /) -> int:
        """Write, or raise the first time that it is not possible."""
        if self.broken:
            return memoryview(data).nbytes  # type: ignore[arg-type]
        try:
            return super().write(data)
        except OSError:
            self.broken = True
            raise


class _Notices(_Stream):
    """Standard error: what cannot be said there cannot be said at all."""

    def write(self, data: object, /) -> int:
        """Write if possible."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes  # type: ignore[arg-type]


def secure_streams() -> None:
    """Give the process three standard streams that can be used without a thought."""
    for number, mode in CLOSED.items():
        _occupy(number, mode)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  a descriptor
    sys.stdout = _text(_Output(1, "w", closefd=False), sys.stdout, buffered=True)
    sys.stderr = _text(_Notices(2, "w", closefd=False), sys.stderr, buffered=False)


def write_quietly(text: str) -> None:
    """Write to standard output and flush, in the middle or at the end of a rollout.

    A reader that has gone is no error; another fault is said, and does not change how the rollout ends.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        pass
    except OSError as error:
        sys.stderr.write(
            f"warning: standard output cannot be written ({error.strerror}): what is missing there is no failure "
            "of the rollout\n"
        )


def _occupy(number: int, mode: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        handle = os.open(os.devnull, mode)
        os.dup2(handle, number)
        if handle != number:
            os.close(handle)


def _text(raw: _Stream, before: TextIO | None, *, buffered: bool) -> TextIO:
    encoding = before.encoding if before is not None else "utf-8"
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        # A locale that lacks a character is no reason to end.
        encoding=encoding,
        errors="backslashreplace",
        line_buffering=not buffered or raw.isatty(),
    )
