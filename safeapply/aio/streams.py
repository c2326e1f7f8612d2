"""A command's events, one by one."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from typing import Any, ParamSpec

from safeapply.rollout.events import Event

__all__ = ["events"]

P = ParamSpec("P")


def events(
    command: Callable[P, Coroutine[Any, Any, object]], *arguments: P.args, **options: P.kwargs
) -> AsyncGenerator[Event, None]:
    """Iterate over the events of a command: ``async for event in aio.events(aio.apply, "deploy/", soak=0)``.

    Leaving the loop and closing the iterator (``contextlib.aclosing``) cancels the command. However slowly the
    iterator is read, the rollout does not wait for it.

    Args:
        command: ``apply``, ``delete``, ``rollback`` or ``wait`` of this module.
        arguments: its arguments.
        options: its options, without ``on_event``.

    Raises:
        SafeApplyError: what the command raises, after its last event.
    """
    return _events(functools.partial(command, *arguments, **options))


async def _events(command: Callable[..., Coroutine[Any, Any, object]]) -> AsyncGenerator[Event, None]:
    queue: asyncio.Queue[Event | None] = asyncio.Queue()
    task = asyncio.create_task(command(on_event=queue.put_nowait))
    task.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (event := await queue.get()) is not None:
            yield event
        await task
    finally:
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
