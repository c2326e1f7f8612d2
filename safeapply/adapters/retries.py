"""Which answers of an API server are worth another try, and when.

A write is tried again only because it says what it expects: a resourceVersion, or that nothing is there. One
whose answer was lost finds, the second time, that this does not hold any more, and whoever sent it reads again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from tenacity import AsyncRetrying, RetryCallState
from tenacity.retry import retry_if_exception, retry_if_result
from tenacity.stop import stop_before_delay
from tenacity.wait import wait_exponential, wait_random

__all__ = ["PASSING", "patiently"]

PASSING = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that say nothing about the request: too many of them, overload, a restart, somebody in between."""
PATIENCE = 30.0
"""Seconds after which there is no further try: an API server that was started anew is back by then."""
BACKING_OFF = wait_exponential(multiplier=0.1, max=3.0) + wait_random(0, 0.1)


class Answered(Protocol):
    """What comes back of a request."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def retry_after(self) -> float:
        """How many seconds the server asks to be left alone; 0 where it does not say."""
        ...


AnsweredT = TypeVar("AnsweredT", bound=Answered)


async def patiently(
    attempt: Callable[[], Awaitable[AnsweredT]],
    *,
    is_passing: Callable[[BaseException], bool] = lambda _: False,
    says_nothing: Callable[[AnsweredT], bool] = lambda reply: reply.status in PASSING,
) -> AnsweredT:
    """Try until the answer says something about the request, or patience ends; return or raise the last outcome.

    Args:
        attempt: sends the request once.
        is_passing: tells which errors are worth another try.
        says_nothing: tells which answers are.
    """
    first: AnsweredT | BaseException
    try:
        first = await attempt()
    except BaseException as error:
        if not is_passing(error):
            raise
        first = error
    else:
        if not says_nothing(first):
            return first
    return await _again(_beginning_with(first, attempt), is_passing, says_nothing)


async def _again(
    attempt: Callable[[], Awaitable[AnsweredT]],
    is_passing: Callable[[BaseException], bool],
    says_nothing: Callable[[AnsweredT], bool],
) -> AnsweredT:
    """Try by tenacity, whose machinery takes longer than a request to a server that is near."""

    def outcome(state: RetryCallState) -> AnsweredT:
        if state.outcome is None:
            raise AssertionError("stopped before the first try")
        last: AnsweredT = state.outcome.result()
        return last

    retrying = AsyncRetrying(
        stop=stop_before_delay(PATIENCE),
        wait=_pause,
        retry=retry_if_exception(is_passing) | retry_if_result(says_nothing),
        retry_error_callback=outcome,
    )
    return await retrying(attempt)


def _beginning_with(
    first: AnsweredT | BaseException, attempt: Callable[[], Awaitable[AnsweredT]]
) -> Callable[[], Awaitable[AnsweredT]]:
    """Return attempts of which the first has been made already."""
    made = [first]

    async def next_attempt() -> AnsweredT:
        if not made:
            return await attempt()
        outcome = made.pop()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return next_attempt


def _pause(state: RetryCallState) -> float:
    """Wait as long as the server asks, and longer each time."""
    outcome = state.outcome
    asked = outcome.result().retry_after if outcome is not None and not outcome.failed else 0.0
    return max(float(asked), BACKING_OFF(state))
