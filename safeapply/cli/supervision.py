"""Run a command's coroutine to its end, whichever way it ends."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import TypeVar

__all__ = ["run_to_end"]

T = TypeVar("T")


def run_to_end(work: Coroutine[object, object, T]) -> T:
    """Run to the end; a first Ctrl-C or SIGTERM cancels, so that the lock is given back and the state is told."""

    async def supervised() -> T:
        task = asyncio.create_task(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None

    return asyncio.run(supervised())
