"""A rollout before a terminal: who started it is asked there, and told what happens."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import typer

from safeapply.adapters.clock import SystemClock
from safeapply.adapters.terminal import listener_on
from safeapply.adapters.textfiles import check_writable, replace_text
from safeapply.cli.options import RolloutFormat
from safeapply.cli.supervision import run_to_end
from safeapply.cli.telling import EventStream, Telling, refuse, report, show, tell
from safeapply.commands.carrying_out import roll_back, roll_out
from safeapply.commands.manner import Manner
from safeapply.commands.online import Wants
from safeapply.commands.planning import Planned
from safeapply.errors import InterruptedRolloutError, SafeApplyError, UsageError
from safeapply.report.metrics import metrics_text
from safeapply.report.outcome import Leg
from safeapply.report.standing import left_over, standing
from safeapply.rollout.events import Event, Settled
from safeapply.rollout.progress import Progress, progress_of
from safeapply.visible import visible_lines

__all__ = ["Terminal", "rolled_back", "rolled_out"]

REFUSED = 4


def rolled_out(wants: Wants, manner: Manner, terminal: Terminal) -> int:
    """Plan, ask, carry out, and return the exit code.

    Raises:
        SafeApplyError: with the exit code that belongs to it.
    """
    return _to_end(roll_out(wants, manner, terminal), terminal)


def rolled_back(manner: Manner, terminal: Terminal, by: str = "") -> int:
    """Go back to what the last rollout found, of a user, if one is named, and return the exit code.

    Raises:
        SafeApplyError: with the exit code that belongs to it.
    """
    return _to_end(roll_back(manner, terminal, by), terminal)


def _to_end(work: Coroutine[object, object, Planned], terminal: Terminal) -> int:
    try:
        terminal.check_files()
    except UsageError:
        work.close()
        raise
    code = SafeApplyError.exit_code
    try:
        made = run_to_end(work)
        code = REFUSED if made.plan.refusals else 0
    except KeyboardInterrupt:
        code = InterruptedRolloutError.exit_code
        raise InterruptedRolloutError(terminal.standing) from None
    except SafeApplyError as error:
        code = error.exit_code
        raise
    finally:
        terminal.conclude()
        terminal.measure(code)
    return code


@dataclass(slots=True)
class Terminal:
    """Whoever sits before the terminal."""

    telling: Telling
    yes: bool
    """Whether nobody is asked."""
    verbose: bool
    metrics: Path | None = None
    """Where the figures go."""
    shows: bool = False
    """Whether the plan is shown though nobody is asked: it comes from a file, or from somebody else's record."""
    progress: Progress = field(default_factory=Progress, init=False)
    """Of what was carried out last."""
    standing: str = field(default="interrupted; nothing was written", init=False)
    """Where the mesh stands when what is carried out is interrupted."""
    stream: EventStream | None = field(default=None, init=False)
    """Where the events of what is carried out go, if lines of them were asked for."""

    legs: list[Leg] = field(default_factory=list, init=False)
    """The way there, and the way back."""
    turned: bool = field(default=False, init=False)
    """Whether the way back was begun."""

    def check_files(self) -> None:
        """Return if the files that were asked for can be written, before anything else is.

        Raises:
            UsageError: one cannot.
        """
        for option, path in (("--metrics-file", self.metrics), ("--report", self.telling.report)):
            if path is None:
                continue
            try:
                check_writable(path)
            except OSError as error:
                raise UsageError(f"{option} {path}: {error.strerror}; name a file that can be written") from error

    async def agree(self, made: Planned) -> None:
        """Show the plan and ask, unless ``--yes`` was given.

        Raises:
            UsageError: nobody can be asked, or the answer was no.
        """
        if self.shows or not self.yes:
            show(made)
        if self.yes:
            return
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError("nothing was written: standard input is no terminal to ask on; give --yes to go ahead")
        typer.echo("Apply this plan? [y/N]: ", err=True, nl=False)
        if (await _line()).strip().lower() not in {"y", "yes"}:
            raise UsageError("nothing was written")

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Callable[[Event], None]]:
        """Draw or log what happens; the way back goes on with the lines of the way there."""
        if self.telling.output is RolloutFormat.EVENTS:
            self.stream = self.stream or EventStream()
        stream = self.stream
        # A picture on standard error and lines on standard output would write over each other on one terminal.
        lines = self.verbose or (stream is not None and sys.stdout.isatty())
        async with listener_on(sys.stderr, os.environ, clock=SystemClock(), verbose=lines) as listener:

            def listen(event: Event) -> None:
                if stream is not None:
                    stream(event)
                listener(event)

            yield listen

    def say(self, sentence: str) -> None:
        """Print a sentence to standard error."""
        typer.echo(visible_lines(sentence), err=True)

    def turning_back(self, why: str) -> None:
        """Say so, in the lines of events too."""
        self.turned = True
        self.say(f"error: {why}\nrolling back to what the rollout found")
        if self.stream is not None:
            self.stream.turning_back(why)

    def refused(self, made: Planned) -> None:
        """Show the request that would fail; nothing has been written, or nothing more."""
        if self.turned:
            show(made)
            self.legs.append(Leg(made.plan))
        else:
            refuse(made, self.telling.output)

    def ended(self, made: Planned, events: Sequence[Event]) -> None:
        """Keep what is to be told of it, and write the report's file."""
        if self.telling.shows_plan:
            show(made)
        self.legs.append(Leg(made.plan, tuple(events)))
        self.progress = progress_of(events, made.plan)
        self.standing = f"interrupted: {standing(self.progress)}"
        telling = self.telling.of_the_way_back if self.turned else self.telling
        try:
            report(made, events, telling)
        except OSError as error:
            self.say(f"warning: --report {telling.report}: {error.strerror}; the rollout went on without it")

    def conclude(self) -> None:
        """Print the result to standard output, once: of a dry-run what would be, else what was written."""
        if not self.legs:
            return
        there, *further = self.legs
        back = further[-1] if further else Leg(None) if self.turned else None
        tell(there, back, self.telling, self.stream)
        if isinstance(self.progress.ended, Settled) and (left := left_over(self.progress.plan)):
            self.say(left)

    def measure(self, exit_code: int) -> None:
        """Write the figures; a disk that is full fails no rollout."""
        if self.metrics is None:
            return
        try:
            replace_text(self.metrics, metrics_text(self.progress, exit_code))
        except OSError as error:
            self.say(f"warning: --metrics-file {self.metrics}: {error.strerror}")


async def _line() -> str:
    """Read a line from the terminal, and no longer than until Ctrl-C: a thread could not be stopped."""
    loop, typed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin, typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(sys.stdin)
    try:
        return sys.stdin.readline()
    except (OSError, UnicodeDecodeError):
        # The terminal has gone, or sent what is no text: that is no yes.
        return ""
