"""Ctrl-C, SIGTERM and SIGHUP end a mesh the way its last line does: every ``async with`` is left in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["ENDING", "InterruptedBySignal", "run_until_signalled"]

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
BY_SIGNAL = 128

Result = TypeVar("Result")


class InterruptedBySignal(BaseException):
    """A signal ended the run; everything has been cleaned up."""

    def __init__(self, number: signal.Signals) -> None:
        self.exit_code = BY_SIGNAL + number
        super().__init__(number.name)


def run_until_signalled(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in a loop of its own; the first ending signal cancels it, and only that.

    Raises:
        InterruptedBySignal: after the coroutine has cleaned up.
    """
    received: list[signal.Signals] = []

    async def guarded() -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def end(number: signal.Signals) -> None:
            if not received and task is not None:
                task.cancel()
            received.append(number)

        for number in ENDING:
            loop.add_signal_handler(number, end, number)
        return await coroutine

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        if not received:
            raise
        raise InterruptedBySignal(received[0]) from None
