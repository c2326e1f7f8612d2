"""How far a rollout is: the fold of its events, for all who show it or tell of it afterwards.

Pure. The terminal draws it while it grows, the report is made of its last value; neither keeps books of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import assert_never

from safeapply.istio.proxies import ProxyId
from safeapply.plans.plan import Phase, Plan
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
    Unasked,
    Waiting,
    WorkloadsAwaited,
    Wrote,
)

__all__ = ["Progress", "State", "StepProgress", "by_reason", "progress_of"]


class State(Enum):
    """Where one step stands; a step goes through them in this order, and may skip some."""

    PENDING = "pending"
    WAITING = "waiting"
    SOAKING = "soaking"
    WRITING = "writing"
    DONE = "done"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class StepProgress:
    """One step, or the wait after the last one."""

    number: int
    phase: Phase | None
    """None for the wait after the last step."""
    writes: int
    """How many the plan has."""
    state: State = State.PENDING
    since: float = 0.0
    """When the barrier was met first, on the rollout's clock."""
    converged: int = 0
    proxies: int = 0
    stragglers: tuple[Straggler, ...] = ()
    workloads: int = 0
    """How many have to be rolled out before the step."""
    rolled_out: int = 0
    waited: float = 0.0
    soak_since: float = 0.0
    soaked: float = 0.0
    """How long the soak is to last, once it has begun."""
    wrote: tuple[Wrote, ...] = ()
    overseers: tuple[str, ...] = ()
    """The replicas of istiod that have seen every write, asked before a removal."""
    unasked: tuple[Unasked, ...] = ()
    left_out: tuple[Straggler, ...] = ()
    """Who was not asked, and why."""
    """Those of which that is not known."""
    arrivals: tuple[tuple[ProxyId, float], ...] = ()
    """The proxies that were waited for, and after how many seconds each was no straggler any more."""

    @property
    def slowest(self) -> tuple[tuple[ProxyId, float], ...]:
        """The proxies that were waited for, the last to arrive first."""
        return tuple(sorted(self.arrivals, key=lambda arrival: (-arrival[1], arrival[0])))


@dataclass(frozen=True, slots=True)
class Progress:
    """A rollout up to some event."""

    plan: Plan = Plan()  # noqa: RUF009  frozen
    started: float = 0.0
    now: float = 0.0
    """The time of the last event."""
    steps: tuple[StepProgress, ...] = ()
    proxyless: bool = False
    queued: str = ""
    """Who holds the Lease, while nothing has begun."""
    ended: Settled | Stopped | None = None

    def after(self, event: Event) -> Progress:
        """Return the progress that one more event makes."""
        match event:
            case Queued(at=at, why=why):
                return replace(self, now=at, queued=why)
            case PlanStarted(at=at, plan=plan):
                return Progress(plan, at, at, _pending(plan))
            case Replanned(at=at, plan=plan, step=step):
                return replace(self, now=at, plan=plan, steps=self._going_on(plan, step))
            case Settled():
                done = tuple(replace(step, state=State.DONE) for step in self.steps)
                return replace(self, now=event.at, ended=event, steps=done)
            case NoProxies():
                return replace(self, now=event.at, proxyless=True)
            case _:
                known = self._with_step(event.step)
                steps = tuple(_step_after(s, event) if s.number == event.step else s for s in known)
                ended = event if isinstance(event, Stopped) else self.ended
                return replace(self, now=event.at, steps=steps, ended=ended)

    @property
    def current(self) -> StepProgress | None:
        """The step that something is going on in."""
        busy = (State.WAITING, State.SOAKING, State.WRITING)
        return next((step for step in self.steps if step.state in busy), None)

    def _going_on(self, plan: Plan, first: int) -> tuple[StepProgress, ...]:
        """Return the steps as they were done, and from some number on as they are planned now."""
        done = tuple(replace(s, state=State.DONE, writes=len(s.wrote)) for s in self.steps if s.number < first)
        return (*done, *(one for one in _pending(plan) if one.number >= first))

    def _with_step(self, number: int) -> tuple[StepProgress, ...]:
        """Return the steps, with a wait after the last one where an event speaks of it unannounced."""
        if any(step.number == number for step in self.steps):
            return self.steps
        return (*self.steps, StepProgress(number, None, 0))


def progress_of(events: Iterable[Event], plan: Plan | None = None) -> Progress:
    """Return what a whole run of events comes to; of the plan alone, where none has happened."""
    progress = Progress() if plan is None else Progress(plan, steps=_pending(plan))
    for event in events:
        progress = progress.after(event)
    return progress


def by_reason(stragglers: Iterable[Straggler]) -> tuple[tuple[str, tuple[ProxyId, ...]], ...]:
    """Return the reasons why proxies are waited for, the most common one first, with the proxies of each."""
    proxies: dict[str, list[ProxyId]] = {}
    for one in stragglers:
        proxies.setdefault(one.why, []).append(one.proxy)
    grouped = ((why, tuple(names)) for why, names in proxies.items())
    return tuple(sorted(grouped, key=lambda reason: (-len(reason[1]), reason[0])))


def _pending(plan: Plan) -> tuple[StepProgress, ...]:
    steps = tuple(StepProgress(n, step.phase, len(step.operations)) for n, step in enumerate(plan.steps, 1))
    last = (StepProgress(len(steps) + 1, None, 0),) if plan.settled else ()
    return (*steps, *last)


def _step_after(  # noqa: PLR0911  one for each event
    step: StepProgress,
    event: StepStarted
    | Waiting
    | WorkloadsAwaited
    | ReplicasAsked
    | LeftOut
    | BarrierPassed
    | Soaking
    | Wrote
    | StepDone
    | Stopped,
) -> StepProgress:
    match event:
        case StepStarted(at=at):
            return replace(step, state=State.WAITING, since=at)
        case Waiting():
            return _waiting(step, event)
        case WorkloadsAwaited(ready=ready, total=total, stragglers=stragglers):
            told = replace(step, workloads=total, rolled_out=ready, stragglers=stragglers)
            return replace(told, state=State.WAITING, since=step.since or event.at)
        case ReplicasAsked(seen=seen, unasked=unasked):
            return replace(step, overseers=seen, unasked=unasked)
        case LeftOut(proxies=proxies):
            return replace(step, left_out=proxies)
        case BarrierPassed(proxies=passing, seconds=seconds):
            gone = _arrived(step, (), seconds)
            passed = replace(step, converged=passing, proxies=passing, waited=seconds, stragglers=(), arrivals=gone)
            return replace(passed, state=State.WRITING if step.writes else State.DONE)
        case Soaking(at=at, seconds=seconds):
            return replace(step, state=State.SOAKING, soak_since=at, soaked=seconds)
        case Wrote():
            return replace(step, state=State.WRITING, wrote=(*step.wrote, event))
        case StepDone() | Stopped():
            return replace(step, state=State.DONE if isinstance(event, StepDone) else State.STOPPED)
        case _:
            assert_never(event)


def _waiting(step: StepProgress, event: Waiting) -> StepProgress:
    since = step.since if step.state is State.WAITING else event.at
    return replace(
        step,
        state=State.WAITING,
        since=since,
        converged=event.converged,
        proxies=event.total,
        waited=event.at - since,
        arrivals=_arrived(step, event.stragglers, event.at - since),
        stragglers=event.stragglers,
    )


def _arrived(
    step: StepProgress, stragglers: Iterable[Straggler], seconds: float
) -> tuple[tuple[ProxyId, float], ...]:
    """Note the proxies that were stragglers and are not any more; one that falls back arrives again."""
    still = {one.proxy for one in stragglers}
    arrivals: Mapping[ProxyId, float] = {proxy: at for proxy, at in step.arrivals if proxy not in still}
    return (*arrivals.items(), *((one.proxy, seconds) for one in step.stragglers if one.proxy not in still))
