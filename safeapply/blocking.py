"""The library for scripts without an event loop: the functions of ``safeapply.aio``, each run to its end.

A first Ctrl-C stops a rollout before its next write and raises ``KeyboardInterrupt`` when those that have begun are
done; that is how ``asyncio.run`` does it, and only while a function runs.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from safeapply import aio
from safeapply.errors import UsageError

__all__ = ["apply", "check", "delete", "plan", "rollback", "wait"]

P = ParamSpec("P")
T = TypeVar("T")


def _blocking(command: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Return the twin of a coroutine function that blocks."""

    @functools.wraps(command)
    def run(*arguments: P.args, **options: P.kwargs) -> T:
        if _in_loop():
            raise UsageError(f"an event loop is running: await safeapply.aio.{command.__name__}(...) instead")
        return asyncio.run(command(*arguments, **options))

    return run


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


plan = _blocking(aio.plan)
apply = _blocking(aio.apply)
delete = _blocking(aio.delete)
rollback = _blocking(aio.rollback)
check = _blocking(aio.check)
wait = _blocking(aio.wait)
