"""Wait for conditions before a terminal, and print what has been met."""

from __future__ import annotations

import os
import sys

import typer

from safeapply.adapters.clock import SystemClock
from safeapply.adapters.terminal import listener_on
from safeapply.cli.options import OutputFormat
from safeapply.cli.supervision import run_to_end
from safeapply.commands.waiting import Terms, wait_for
from safeapply.errors import BarrierTimeoutError
from safeapply.report.waits import met_lines, wait_json
from safeapply.rollout.events import Event
from safeapply.visible import visible_lines

__all__ = ["wait_and_tell"]


def wait_and_tell(terms: Terms, output: OutputFormat, *, verbose: bool) -> None:
    """Wait, and print what has been met.

    Raises:
        SafeApplyError: with the exit code that belongs to it; 3 where the time was too short.
    """
    events: list[Event] = []
    clock = SystemClock()
    started = clock.now()
    failure: BarrierTimeoutError | None = None

    async def work() -> None:
        async with listener_on(sys.stderr, os.environ, clock=clock, verbose=verbose) as listener:

            def emit(event: Event) -> None:
                events.append(event)
                listener(event)

            await wait_for(terms, emit=emit, say=lambda sentence: typer.echo(visible_lines(sentence), err=True))

    try:
        run_to_end(work())
    except BarrierTimeoutError as error:
        failure = error
    if output is OutputFormat.JSON:
        typer.echo(wait_json(terms.texts, events, clock.now() - started, failure).rstrip("\n"))
    elif failure is None:
        typer.echo("\n".join(met_lines(terms.texts)))
    if failure is not None:
        raise failure
