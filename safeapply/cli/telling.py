"""What a rollout says: its result on standard output, plans to look at on standard error, and the report's file."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, assert_never

import typer

from safeapply.adapters.clock import SystemClock
from safeapply.adapters.dressing import columns, dresser
from safeapply.adapters.textfiles import replace_text
from safeapply.cli.endings import write_quietly
from safeapply.cli.options import RolloutFormat
from safeapply.commands.choices import DryRun
from safeapply.commands.planning import Planned
from safeapply.report.event_lines import EventLines
from safeapply.report.outcome import Leg, final_words, outcome_json, result_lines, would_be
from safeapply.report.plan_json import plan_json
from safeapply.report.plan_text import WIDTH, plan_text
from safeapply.report.results import DRY_RUN_CLIENT, DRY_RUN_SERVER, name_lines, result_line
from safeapply.resources.objects import ResourceId
from safeapply.rollout.events import Event

__all__ = ["EventStream", "Telling", "refuse", "report", "show", "tell"]

DRY_RUN: Final = {DryRun.CLIENT: DRY_RUN_CLIENT, DryRun.SERVER: DRY_RUN_SERVER}


PAGES: Final = frozenset({".html", ".htm"})


@dataclass(frozen=True, slots=True)
class Telling:
    """How a result is told."""

    output: RolloutFormat
    dry_run: DryRun
    deletion: str
    """The word for what is taken away."""
    report: Path | None
    """Where the report goes, beside what is printed."""

    @property
    def shows_plan(self) -> bool:
        """Whether the plan is shown beside the result: of a dry-run that a person reads."""
        return self.dry_run is not DryRun.NONE and self.output is RolloutFormat.TEXT

    @property
    def of_the_way_back(self) -> Telling:
        """The same for a rollback that follows: its report stands beside the first, ``x.rollback.html``."""
        report = self.report and self.report.with_suffix(f".rollback{self.report.suffix}")
        return replace(self, report=report)


@dataclass(slots=True)
class EventStream:
    """Writes each event as a line to standard output, at once.

    Whoever reads may leave: the rollout goes on, since it is safer ended than cut off, and says nothing more.
    """

    lines: EventLines = field(default_factory=lambda: EventLines(SystemClock().wall()))

    def __call__(self, event: Event) -> None:
        """Write the next event."""
        write_quietly(self.lines.line(event) + "\n")

    def turning_back(self, why: str) -> None:
        """Write that the way back is next, and why."""
        write_quietly(self.lines.turning_back(why) + "\n")


def tell(there: Leg, back: Leg | None, how: Telling, stream: EventStream | None = None) -> None:
    """Print the result to standard output: of a dry-run what would be, else what was written.

    Args:
        there: what was to be done, and what happened.
        back: the way back, if one was begun.
        how: in which form.
        stream: where the events have gone, if lines of them were asked for.
    """
    words = would_be(there.plan, how.deletion) if there.plan and how.dry_run is not DryRun.NONE else None
    text = _result(there, back, how, words, stream or EventStream())
    if text.strip():
        write_quietly(text.rstrip("\n") + "\n")


def report(made: Planned, events: Sequence[Event], how: Telling) -> None:
    """Write the report's file, if one was asked for; of a dry-run there is none.

    Raises:
        OSError: it cannot be written.
    """
    if how.report is not None and how.dry_run is DryRun.NONE:
        replace_text(how.report, _report(events, made, how.report))


def refuse(made: Planned, output: RolloutFormat) -> None:
    """Show the request that would fail; nothing has been written."""
    match output:
        case RolloutFormat.JSON:
            write_quietly(plan_json(made.plan).rstrip("\n") + "\n")
        case RolloutFormat.EVENTS:
            show(made)
            write_quietly(EventStream().lines.result(Leg(made.plan)) + "\n")
        case RolloutFormat.TEXT | RolloutFormat.NAME:
            show(made)


def show(made: Planned) -> None:
    """Print a plan to standard error."""
    style = dresser(sys.stderr, os.environ)
    width = columns(sys.stderr) or WIDTH
    typer.echo(plan_text(made.plan, live=made.live, desired=made.desired, style=style, width=width), err=True)


def _result(
    there: Leg,
    back: Leg | None,
    how: Telling,
    words: Mapping[ResourceId, str] | None,
    stream: EventStream,
) -> str:
    events = (*there.events, *(back.events if back else ()))
    match how.output:
        case RolloutFormat.TEXT if words is not None:
            return "\n".join(result_line(*one, dry_run=DRY_RUN[how.dry_run]) for one in words.items())
        case RolloutFormat.TEXT:
            return "\n".join(result_lines(there.plan, events))
        case RolloutFormat.JSON:
            return (
                plan_json(there.plan)
                if there.plan and words is not None
                else outcome_json(there.events, there.plan, back)
            )
        case RolloutFormat.NAME:
            return "\n".join(name_lines(words if words is not None else final_words(there.plan, events)))
        case RolloutFormat.EVENTS:
            return stream.lines.result(there, back, words)
        case _:
            assert_never(how.output)


def _report(events: Sequence[Event], made: Planned, file: Path) -> str:
    """Return the report in the form that the file's name asks for."""
    if file.suffix.lower() not in PAGES:
        return outcome_json(events, made.plan)
    from safeapply.report.outcome_page import outcome_page

    return outcome_page(events, made.plan)
