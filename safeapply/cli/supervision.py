"""Run a command's coroutine to its end, whichever way it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from typing import TypeVar

from safeapply.cli.endings import ENDING

__all__ = ["run_to_end"]

T = TypeVar("T")
INTERRUPTED = 130
SHOW_CURSOR = "\x1b[?25h"
"""A picture that is being drawn hides it."""


def run_to_end(work: Coroutine[object, object, T]) -> T:
    """Run to the end; a first ending signal cancels, so that the state is told, and a second leaves at once.

    SIGHUP is one, unless whoever started this has it ignored (nohup).
    """
    before = {number: signal.getsignal(number) for number in ENDING}

    async def supervised() -> T:
        task = asyncio.create_task(work)
        loop = asyncio.get_running_loop()

        def interrupt() -> None:
            if not task.cancelling():
                task.cancel()
            else:
                _leave()

        for number in ENDING:
            if before[number] is not signal.SIG_IGN:
                loop.add_signal_handler(number, interrupt)
        try:
            return await task
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None

    try:
        return asyncio.run(supervised())
    finally:
        # The loop leaves the system's own ways behind, by which nothing would be tidied up.
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def _leave() -> None:
    """Leave as by SIGKILL, which is safe at any time: what was to be tidied up, the next run can do without."""
    told = "error: interrupted twice; writes that were under way may arrive: run the same command again to go on\n"
    sys.stderr.write((SHOW_CURSOR if sys.stderr.isatty() else "") + told)
    sys.stderr.flush()
    os._exit(INTERRUPTED)
