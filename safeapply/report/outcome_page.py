"""A rollout as one page for a browser: when each step waited and wrote, and which proxies were waited for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from safeapply.istio.proxies import ProxyId
from safeapply.plans.plan import Plan
from safeapply.report.outcome import Leg, result_lines
from safeapply.report.pages import filled
from safeapply.report.sentences import sentence
from safeapply.report.spans import Span, spans
from safeapply.report.wording import counted
from safeapply.rollout.durations import duration
from safeapply.rollout.events import Event, Stopped, Waiting
from safeapply.rollout.progress import Progress, State, StepProgress, by_reason, progress_of
from safeapply.rollout.propagation import Propagation, propagation

__all__ = ["outcome_page"]

SHOWN: Final = 20
"""How many proxies have a row of their own."""
NAMED: Final = 10
WIDTH: Final = 1000
"""Units of the picture from its left to its right edge."""
HEIGHT: Final = 100
_LEAST: Final = 3.0
"""So that a write that took a millisecond is seen."""
_HEAT: Final = ((0.9, "h3"), (0.6, "h2"), (0.3, "h1"), (0.0, "h0"))


@dataclass(frozen=True, slots=True)
class _Bar:
    kind: str
    x: str
    width: str


@dataclass(frozen=True, slots=True)
class _Reason:
    count: int
    why: str
    names: str


@dataclass(frozen=True, slots=True)
class _Step:
    number: int
    name: str
    state: str
    css: str
    told: str
    bars: tuple[_Bar, ...]
    writes: tuple[str, ...]
    stragglers: tuple[_Reason, ...]


@dataclass(frozen=True, slots=True)
class _Barrier:
    name: str
    proxies: int
    converged: int
    p50: str
    p99: str
    slowest: str
    who: str
    curve: str


@dataclass(frozen=True, slots=True)
class _Cell:
    text: str
    heat: str


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    cells: tuple[_Cell, ...]


@dataclass(frozen=True, slots=True)
class _Happening:
    at: str
    step: str
    what: str


@dataclass(frozen=True, slots=True)
class _Report:
    title: str
    outcome: str
    headline: str
    tiles: tuple[tuple[str, str], ...]
    why: tuple[str, ...]
    span: str
    steps: tuple[_Step, ...]
    barriers: tuple[_Barrier, ...]
    columns: tuple[str, ...]
    proxies: tuple[_Row, ...]
    others: _Row | None
    shown: str
    results: tuple[str, ...]
    events: tuple[_Happening, ...]


def outcome_page(events: Sequence[Event], plan: Plan) -> str:
    """Return the report of a rollout as HTML that needs no other file; cut off, as far as it went."""
    progress = progress_of(events, plan)
    seconds = progress.now - progress.started
    waited = [step for step in progress.steps if step.arrivals or step.stragglers]
    rows, others = _proxies(waited)
    stopped = progress.ended if isinstance(progress.ended, Stopped) else None
    view = _Report(
        title="Report",
        outcome=Leg(plan, tuple(events)).ending,
        headline=f"{counted(len(progress.plan.steps), 'step')} in {duration(seconds)}"
        if plan.steps
        else "no changes",
        tiles=tuple(_tiles(progress, seconds)) if events else (),
        why=tuple(stopped.why.splitlines()) if stopped else (),
        span=duration(seconds),
        steps=tuple(_steps(progress, spans(events), seconds)) if events else (),
        barriers=tuple(_barrier(step, events) for step in waited),
        columns=tuple(_name(step) for step in waited),
        proxies=rows,
        others=others,
        shown=_shown(waited),
        results=result_lines(plan, events),
        events=tuple(_happenings(events, progress)),
    )
    return filled("report.html", view)


def _tiles(progress: Progress, seconds: float) -> Iterator[tuple[str, str]]:
    yield "Elapsed", duration(seconds)
    yield "Waiting", duration(sum(step.waited for step in progress.steps))
    yield "Soak", duration(sum(step.soaked for step in progress.steps))
    yield "Writes", f"{sum(len(step.wrote) for step in progress.steps)} of {sum(s.writes for s in progress.steps)}"
    yield "Proxies", str(max((step.proxies for step in progress.steps), default=0))


def _name(step: StepProgress) -> str:
    return f"{step.number} {step.phase.value}" if step.phase else "settle"


def _steps(progress: Progress, taken: Sequence[Span], seconds: float) -> Iterator[_Step]:
    for step in progress.steps:
        bars = (_bar(one, progress.started, seconds) for one in taken if one.step == step.number)
        state = step.state.value
        yield _Step(
            number=step.number,
            name=_name(step),
            state=state,
            css={"pending": "pending", "done": "done", "stopped": "stopped"}.get(state, "wait"),
            told=_told(step),
            bars=tuple(bars),
            writes=tuple(f"{one.resource} {one.word}" for one in step.wrote),
            stragglers=tuple(_Reason(len(names), why, _listed(names)) for why, names in by_reason(step.stragglers)),
        )


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _bar(span: Span, started: float, seconds: float) -> _Bar:
    scale = WIDTH / seconds if seconds else 0.0
    x = min((span.start - started) * scale, WIDTH - _LEAST)
    width = min(max((span.end - span.start) * scale, _LEAST), WIDTH - x)
    return _Bar(span.kind, f"{x:.1f}", f"{width:.1f}")


def _told(step: StepProgress) -> str:
    if step.state is State.PENDING:
        return "not begun"
    parts = []
    if step.proxies:
        parts.append(f"{step.converged} of {counted(step.proxies, 'proxy')} after {duration(step.waited)}")
    if step.soaked:
        parts.append(f"{duration(step.soaked)} of soak")
    if step.writes:
        parts.append(f"{len(step.wrote)} of {counted(step.writes, 'write')}")
    return ", ".join(parts) or "nothing to wait for"


def _barrier(step: StepProgress, events: Sequence[Event]) -> _Barrier:
    figures: Propagation | None = propagation(step)
    name, curve = _name(step), _curve(step, events)
    if figures is None:
        slowest = f"over {duration(step.waited)}"
        return _Barrier(name, step.proxies, step.converged, "", "", slowest, "see above", curve)
    who, last = figures.slowest
    return _Barrier(
        name,
        step.proxies,
        step.converged,
        duration(figures.p50),
        duration(figures.p99),
        duration(last),
        who,
        curve,
    )


def _curve(step: StepProgress, events: Sequence[Event]) -> str:
    """Return how many had followed by when, as the points of a line that rises to the right."""
    told = [one for one in events if isinstance(one, Waiting) and one.step == step.number and one.total]
    begun = told[0].at if told else 0.0
    known = [(one.at - begun, one.converged / one.total) for one in told]
    known.append((max(step.waited, known[-1][0] if known else 0.0), step.converged / max(step.proxies, 1)))
    longest = known[-1][0] or 1.0
    return " ".join(f"{at / longest * WIDTH:.0f},{HEIGHT - share * HEIGHT:.0f}" for at, share in known)


def _proxies(waited: Sequence[StepProgress]) -> tuple[tuple[_Row, ...], _Row | None]:
    """Return a row for each of the slowest proxies, and one for the others together."""
    by_step: list[Mapping[ProxyId, float]] = [dict(step.arrivals) for step in waited]
    behind = [{one.proxy for one in step.stragglers} for step in waited]
    sums: dict[ProxyId, float] = {}
    for step, arrived, late in zip(waited, by_step, behind, strict=True):
        for proxy in (*arrived, *late):
            sums[proxy] = sums.get(proxy, 0.0) + (step.waited if proxy in late else arrived[proxy])
    ranked = sorted(sums, key=lambda one: (-sums[one], one))
    rows = tuple(
        _Row(one, tuple(_cell(one, *column) for column in zip(waited, by_step, behind, strict=True)))
        for one in ranked[:SHOWN]
    )
    rest = ranked[SHOWN:]
    if not rest:
        return rows, None
    longest = (max((arrived[one] for one in rest if one in arrived), default=0.0) for arrived in by_step)
    cells = tuple(_Cell(f"≤ {duration(one)}", "") for one in longest)
    return rows, _Row(f"{len(rest)} others", cells)


def _cell(proxy: ProxyId, step: StepProgress, arrived: Mapping[ProxyId, float], behind: set[ProxyId]) -> _Cell:
    if proxy in behind:
        return _Cell("not yet", "h3")
    if proxy not in arrived:
        return _Cell("at once", "h0")
    share = arrived[proxy] / (max(arrived.values()) or 1.0) if not behind else arrived[proxy] / step.waited
    return _Cell(duration(arrived[proxy]), next(heat for least, heat in _HEAT if share >= least))


def _shown(waited: Sequence[StepProgress]) -> str:
    total = max((step.proxies for step in waited), default=0)
    return f"Of {counted(total, 'proxy')}, those that were waited for longest, the slowest first."


def _happenings(events: Sequence[Event], progress: Progress) -> Iterator[_Happening]:
    names = {step.number: _name(step) for step in progress.steps}
    for event in events:
        if what := sentence(event):
            number = getattr(event, "step", 0)
            yield _Happening(duration(max(0.0, event.at - progress.started)), names.get(number, ""), what)
