"""Shows a rollout on a terminal while it runs: which step, how many proxies have followed, and who has not.

Only for eyes: without a terminal, ``adapters.log`` tells the same as lines. Rich draws; ``NO_COLOR`` and
``TERM=dumb`` are honoured by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TextIO

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from safeapply.adapters.dressing import wants_colour
from safeapply.adapters.log import LogProgress
from safeapply.plans.plan import Plan
from safeapply.ports import Clock
from safeapply.rollout.durations import duration
from safeapply.rollout.events import Event, Settled, Stopped
from safeapply.rollout.expectancy import left
from safeapply.rollout.folding import listed, shortened
from safeapply.rollout.progress import Progress, State, StepProgress, by_reason
from safeapply.rollout.propagation import propagation
from safeapply.visible import visible
from safeapply.xds.words import expectation

__all__ = ["LiveProgress", "listener_on"]

REASONS: Final = 3
"""How many reasons for waiting are shown at once."""
FRAMES_PER_SECOND: Final = 8
BAR: Final = 20

_MARKS: Final = {
    State.PENDING: ("·", "dim"),
    State.WAITING: ("…", "cyan"),
    State.SOAKING: ("…", "cyan"),
    State.WRITING: ("…", "cyan"),
    State.DONE: ("✓", "green"),
    State.STOPPED: ("✗", "red"),
}


def listener_on(
    stream: TextIO, environment: Mapping[str, str], *, clock: Clock, verbose: bool = False
) -> LogProgress | LiveProgress:
    """Return what suits the stream: a live view on a terminal, lines everywhere else and for the curious."""
    if stream.isatty() and environment.get("TERM") != "dumb" and not verbose:
        return LiveProgress(stream, clock=clock)
    return LogProgress(stream, clock=clock, verbose=verbose, colours=wants_colour(stream, environment))


class LiveProgress:
    """A listener of rollout events that keeps one picture up to date; ``async with`` it.

    Args:
        stream: a terminal, usually standard error.
        clock: the clock of the rollout.
        console: where to draw instead, for tests.
    """

    def __init__(self, stream: TextIO, *, clock: Clock, console: Console | None = None) -> None:
        self._clock = clock
        self._progress = Progress()
        # Results on standard output come after the picture, so nothing needs to be redirected through it.
        self._live = Live(
            console=console or Console(file=stream),
            get_renderable=self.picture,
            refresh_per_second=FRAMES_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __call__(self, event: Event) -> None:
        """Take the next event; the picture follows by itself."""
        self._progress = self._progress.after(event)

    async def __aenter__(self) -> Self:
        """Begin to draw."""
        self._live.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last picture standing."""
        self._live.stop()

    def picture(self) -> RenderableType:
        """Draw the rollout as it is now; called from rich's own thread, so it reads one frozen value."""
        progress = self._progress
        now = self._clock.now() if progress.ended is None else progress.now
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, min_width=BAR)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        parts: list[RenderableType] = (
            [_shown(f"{progress.queued}; waiting", "yellow")] if progress.queued else [table]
        )
        for step in progress.steps:
            table.add_row(*_row(step, progress.plan, now))
        parts += [_Stragglers(step) for step in progress.steps if step.stragglers]
        parts += [_shown(_unasked(step), "yellow") for step in progress.steps if step.unasked]
        if progress.ended is not None:
            parts += [_propagation(progress), _ending(progress.ended)]
        elif progress.steps:
            parts.append(Text(_elapsed(progress, now), "dim"))
        return Group(*parts)


def _row(step: StepProgress, plan: Plan, now: float) -> tuple[RenderableType, ...]:
    mark, style = _MARKS[step.state]
    steps = len(plan.steps)
    name = f"{step.number}/{steps} {step.phase.value}" if step.phase else "settle" if steps else "wait"
    quiet = "dim" if step.state is State.PENDING else ""
    return Text(mark, style), Text(name, quiet), _bar(step), _shown(_told(step, plan, now), quiet)


def _bar(step: StepProgress) -> RenderableType:
    if not step.proxies:
        return Text("")
    return ProgressBar(total=step.proxies, completed=step.converged, width=BAR)


def _told(step: StepProgress, plan: Plan, now: float) -> str:
    writes = f"{len(step.wrote)} of {step.writes} written" if step.writes else ""
    waited = f"{step.converged} of {step.proxies} proxies"
    match step.state:
        case State.PENDING:
            return _pending(step, plan)
        case State.WAITING if step.rolled_out < step.workloads:
            return f"{step.rolled_out} of {step.workloads} workloads, {duration(now - step.since)}"
        case State.WAITING:
            return f"{waited}, {duration(now - step.since)}" if step.proxies else "looking at the proxies"
        case State.SOAKING:
            left = max(0.0, step.soaked - (now - step.soak_since))
            return f"{waited} in {duration(step.waited)}; {duration(left)} left for requests under way"
        case State.WRITING | State.DONE | State.STOPPED:
            barrier = f"{waited} in {duration(step.waited)}" if step.proxies else ""
            return ", ".join(part for part in (barrier, writes) if part)


def _pending(step: StepProgress, plan: Plan) -> str:
    """Return what a step will write, and the first of what it waits for."""
    expected = plan.steps[step.number - 1].expectations if step.phase else plan.settled
    more = f" and {len(expected) - 1} more" if len(expected) > 1 else ""
    once = f"once {expectation(expected[0])}{more}" if expected else ""
    return ", ".join(part for part in (f"{step.writes} to write" if step.writes else "", once) if part)


def _elapsed(progress: Progress, now: float) -> str:
    told = f"{duration(now - progress.started)} elapsed"
    to_go = left(progress, now)
    return told if to_go is None else f"{told}, about {duration(to_go)} to go if the proxies are as fast as before"


def _propagation(progress: Progress) -> RenderableType:
    """Draw how long the proxies of each barrier took, the last of them by name."""
    table = Table.grid(padding=(0, 2))
    for _ in range(3):
        table.add_column(no_wrap=True)
    table.add_column()
    for step in progress.steps:
        if figures := propagation(step):
            who, seconds = figures.slowest
            name = f"  {step.number} {step.phase.value}" if step.phase else "  settle"
            shares = (f"p50 {duration(figures.p50)}", f"p99 {duration(figures.p99)}")
            table.add_row(name, *shares, _shown(f"slowest {duration(seconds)}: {who}"), style="dim")
    return table if table.rows else Group()


@dataclass(frozen=True, slots=True)
class _Stragglers:
    """Two lines for each of the commonest reasons: what is the matter, and with whom; as wide as there is room."""

    step: StepProgress

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        reasons = by_reason(self.step.stragglers)
        for why, proxies in reasons[:REASONS]:
            yield _shown(f"    {shortened(why, width - 4)}", "yellow")
            head = f"      {len(proxies)}: "
            yield _shown(head + listed(proxies, width - len(head)), "dim")
        rest = sum(len(proxies) for _, proxies in reasons[REASONS:])
        if rest:
            yield Text(f"    other reasons: {rest}", "yellow")


def _unasked(step: StepProgress) -> str:
    told = ", ".join(f"{one.replica} ({one.why})" for one in step.unasked)
    return f"    not checked whether istiod has seen every write: {told}"


def _ending(ended: Settled | Stopped) -> RenderableType:
    match ended:
        case Settled(seconds=seconds):
            return Text(f"settled after {duration(seconds)}", "bold green")
        case Stopped(why=why):
            return _shown(f"stopped: {why.splitlines()[0]}", "bold red")


def _shown(words: str, style: str = "") -> Text:
    """Return words as they are: no markup, and nothing that the terminal would act on."""
    return Text(visible(words), style)
