"""Tells a rollout as plain lines, for pipelines and for those who read it the day after.

One line for each thing that happens, and while a barrier is closed one heartbeat per interval, so that no CI
system takes the silence for death, and no log drowns. Standard output stays free for the result.
"""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Any, Final, Self, TextIO, assert_never

import structlog

from safeapply.istio.proxies import ProxyId
from safeapply.ports import Clock
from safeapply.rollout.durations import duration
from safeapply.rollout.events import (
    BarrierPassed,
    Event,
    LeftOut,
    NoProxies,
    PlanStarted,
    Queued,
    Replanned,
    ReplicasAsked,
    Settled,
    Soaking,
    StepDone,
    StepStarted,
    Stopped,
    Straggler,
    Waiting,
    WorkloadsAwaited,
    Wrote,
)
from safeapply.rollout.progress import Progress, State, StepProgress, by_reason
from safeapply.rollout.propagation import propagation
from safeapply.visible import visible

__all__ = ["LogProgress"]

HEARTBEAT: Final = 10.0
NAMED: Final = 3
"""How many reasons a line gives, and how many stragglers it names for each."""

_COLOURS: Final = {"warning": "\x1b[33m", "error": "\x1b[31m"}
_PLAIN: Final = "\x1b[0m"


class LogProgress:
    """A listener of rollout events; ``async with`` it, so that its heart can beat.

    Args:
        stream: where the lines go, usually standard error.
        clock: the clock of the rollout.
        heartbeat: seconds between two lines while nothing else happens.
        verbose: tell every change of a count, and resource versions.
        colours: mark warnings and errors by colour.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        clock: Clock,
        heartbeat: float = HEARTBEAT,
        verbose: bool = False,
        colours: bool = False,
    ) -> None:
        self._clock = clock
        self._heartbeat = heartbeat
        self._verbose = verbose
        self._progress = Progress()
        self._beating: asyncio.Task[None] | None = None
        self._log = _logger(stream, colours=colours)

    def __call__(self, event: Event) -> None:
        """Take the next event."""
        before = self._progress
        self._progress = before.after(event)
        line = self._line(before, event)
        if line is not None:
            self._log.log(_level(event), line)

    async def __aenter__(self) -> Self:
        """Begin to beat."""
        self._beating = asyncio.create_task(self._beat())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop beating."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(self._heartbeat)
            step = self._progress.current
            if step is not None and step.state is State.WAITING and (step.proxies or step.workloads):
                self._log.info(self._still(step))

    def _line(self, before: Progress, event: Event) -> str | None:  # noqa: C901, PLR0911, PLR0912  one for each event
        match event:
            case Queued(why=why, patience=patience):
                return f"{why}; waiting up to {duration(patience)}"
            case PlanStarted(plan=plan):
                return f"{len(plan.steps)} step{'' if len(plan.steps) == 1 else 's'} to go"
            case Replanned(why=why, left=left):
                return f"{why}: planned again, {left} step{'' if left == 1 else 's'} to go as before"
            case StepStarted() | StepDone():
                return self._detail(event) if self._verbose else None
            case Waiting():
                return self._waiting(before, event)
            case WorkloadsAwaited():
                return self._workloads(before, event)
            case ReplicasAsked():
                return self._asked(event)
            case LeftOut(proxies=proxies):
                told = any(step.left_out == proxies for step in before.steps)
                return None if told else f"{self._name(event.step)}: not counted: {_named(proxies)}"
            case BarrierPassed():
                return self._passed(event)
            case NoProxies():
                return "no proxy runs in this mesh, so there is nothing to wait for"
            case Soaking(step=number, seconds=seconds):
                return f"{self._name(number)}: waiting {duration(seconds)} for requests under way"
            case Wrote():
                return self._wrote(event)
            case Settled(seconds=seconds):
                return f"settled after {duration(seconds)}"
            case Stopped(step=number, why=why):
                # The error that follows has the details; one line is enough here.
                return f"{self._name(number)}: stopped: {why.splitlines()[0]}"
            case _:
                assert_never(event)

    def _detail(self, event: StepStarted | StepDone) -> str:
        what = event.phase.value if isinstance(event, StepStarted) else "done"
        return f"{self._name(event.step)}: {what}"

    def _name(self, number: int) -> str:
        steps = len(self._progress.plan.steps)
        if not steps:
            return "wait"
        return f"step {number} of {steps}" if number <= steps else "after the last step"

    def _waiting(self, before: Progress, event: Waiting) -> str | None:
        """Tell the begin of a wait; later counts are for the heartbeat, or for the curious."""
        known = next((step for step in before.steps if step.number == event.step), None)
        if event.total and (known is None or known.proxies == 0):
            return f"{self._name(event.step)}: {event.converged} of {event.total} proxies ready, waiting"
        return self._still(_step(self._progress, event.step)) if self._verbose else None

    def _workloads(self, before: Progress, event: WorkloadsAwaited) -> str | None:
        """Tell the begin and the end of a wait; what lies between is for the heartbeat, or for the curious."""
        known = next((step for step in before.steps if step.number == event.step), None)
        begins, ends = known is None or not known.workloads, event.ready == event.total
        if not (begins or ends or self._verbose):
            return None
        told = f"{self._name(event.step)}: {event.ready} of {event.total} workloads rolled out"
        return f"{told}; waiting for {_named(event.stragglers)}" if event.stragglers else told

    def _still(self, step: StepProgress) -> str:
        waited = duration(self._clock.now() - step.since)
        ready = f"{step.converged} of {step.proxies} proxies ready"
        if step.rolled_out < step.workloads:
            ready = f"{step.rolled_out} of {step.workloads} workloads rolled out"
        told = f"{self._name(step.number)}: {ready} after {waited}"
        return f"{told}; waiting for {_named(step.stragglers)}" if step.stragglers else told

    def _asked(self, event: ReplicasAsked) -> str | None:
        """Tell what is not known; that all is well is for the curious."""
        if event.unasked:
            told = ", ".join(f"{one.replica} ({one.why})" for one in event.unasked)
            return f"{self._name(event.step)}: not checked whether istiod has seen every write: {told}"
        return f"{self._name(event.step)}: {', '.join(event.seen)} have seen every write" if self._verbose else None

    def _passed(self, event: BarrierPassed) -> str | None:
        if event.proxies == 0:
            return None
        told = f"{self._name(event.step)}: all {event.proxies} proxies ready after {duration(event.seconds)}"
        if figures := propagation(_step(self._progress, event.step)):
            told += f" (p50 {duration(figures.p50)}, p99 {duration(figures.p99)})"
        return f"{told}, {event.slowest} last" if event.slowest else told

    def _wrote(self, event: Wrote) -> str:
        version = f" (resourceVersion {event.resource_version})" if self._verbose and event.resource_version else ""
        return f"{self._name(event.step)}: {event.resource} {event.word}{version}"


def _step(progress: Progress, number: int) -> StepProgress:
    return next(step for step in progress.steps if step.number == number)


def _named(stragglers: tuple[Straggler, ...]) -> str:
    """Tell the commonest reasons, each with the first of its proxies."""
    reasons = by_reason(stragglers)
    told = [f"{_some(proxies)} ({why})" for why, proxies in reasons[:NAMED]]
    rest = sum(len(proxies) for _, proxies in reasons[NAMED:])
    return "; ".join([*told, *([f"{rest} more for other reasons"] if rest else [])])


def _some(proxies: tuple[ProxyId, ...]) -> str:
    more = len(proxies) - NAMED
    return ", ".join(proxies[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _level(event: Event) -> int:
    match event:
        case Stopped():
            return logging.ERROR
        case NoProxies() | LeftOut():
            return logging.WARNING
        case ReplicasAsked(unasked=unasked) if unasked:
            return logging.WARNING
        case _:
            return logging.INFO


def _logger(stream: TextIO, *, colours: bool) -> Any:  # noqa: ANN401  structlog types its loggers so
    """Return a logger of its own: what others do with structlog's configuration is theirs."""
    chain: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        _Render(colours=colours),
    ]
    bound = structlog.make_filtering_bound_logger(logging.INFO)
    return structlog.wrap_logger(structlog.PrintLogger(stream), processors=chain, wrapper_class=bound)


class _Render:
    """Writes ``12:00:01 sentence``; warnings and errors say so."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours

    def __call__(self, _: object, __: str, event: structlog.typing.EventDict) -> str:
        level = str(event["level"])
        said = visible(str(event["event"]))
        line = said if level == "info" else f"{level}: {said}"
        if self._colours and level in _COLOURS:
            line = f"{_COLOURS[level]}{line}{_PLAIN}"
        return f"{event['timestamp']} {line}"
