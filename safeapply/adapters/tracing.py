"""A rollout as OpenTelemetry spans, where somebody collects them: one for it all, one for each step with its waits.

Of OpenTelemetry nothing is imported unless a script has done so, or the environment names a collector
(``OTEL_EXPORTER_OTLP_ENDPOINT``) and the extra is installed. A collector that does not answer is no error.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from safeapply import __version__
from safeapply.ports import Clock
from safeapply.rollout.events import (
    BarrierPassed,
    Event,
    PlanStarted,
    Settled,
    Soaking,
    StepDone,
    StepStarted,
    Stopped,
    Waiting,
    WorkloadsAwaited,
    Wrote,
)

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

__all__ = ["Tracing", "tracing"]

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PARENT: Final = "TRACEPARENT"
"""Where pipelines hand over the span that a command is part of."""
EXPORT_SECONDS: Final = 3.0
NAMED: Final = 20
"""How many stragglers a span names."""
NANO: Final = 1_000_000_000


@dataclass(slots=True)
class Tracing:
    """Listens to a rollout and tells it as spans, or to nobody."""

    spans: Callable[[Event], None] | None = None
    flush: Callable[[], None] | None = None
    """Sends what has not been sent."""

    def __call__(self, event: Event) -> None:
        """Take note of what happens."""
        if self.spans is not None:
            self.spans(event)

    async def close(self) -> None:
        """Send what is left; how long that takes is bounded by the exporter's own timeout."""
        if self.flush is not None:
            await asyncio.to_thread(self.flush)


def tracing(clock: Clock, environment: Mapping[str, str] = os.environ) -> Tracing:
    """Return who traces a rollout.

    A script's own tracing is used where it has any, within the span that is current there; else a collector that
    the environment names, within the span that ``TRACEPARENT`` names.
    """
    if "opentelemetry.trace" in sys.modules:
        from opentelemetry.trace import get_tracer

        return Tracing(_Spans(get_tracer("safeapply", __version__), clock))
    if not any(environment.get(name) for name in ENDPOINTS) or not _has_exporter():
        return Tracing()
    try:
        return _exporting(clock, environment)
    except ImportError as error:
        # xds-protos, which the sandbox needs, brings an old copy of OpenTelemetry's messages to the same place.
        sys.stderr.write(f"warning: no spans are sent: {error}; install safeapply[otel] where nothing else is\n")
        return Tracing()


def _exporting(clock: Clock, environment: Mapping[str, str]) -> Tracing:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    patience = None if "OTEL_EXPORTER_OTLP_TIMEOUT" in environment else EXPORT_SECONDS
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=patience)))
    parent = TraceContextTextMapPropagator().extract({"traceparent": environment.get(PARENT, "")})
    return Tracing(_Spans(provider.get_tracer("safeapply", __version__), clock, parent), provider.shutdown)


def _has_exporter() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False


@dataclass(slots=True)
class _Spans:
    """The spans that are open."""

    tracer: Tracer
    clock: Clock
    parent: Context | None = None
    rollout: Span | None = None
    step: Span | None = None
    closed: Waiting | WorkloadsAwaited | None = None
    """What is waited for."""
    since: float = 0.0
    offset: float = field(init=False)
    """From the rollout's clock to that of the day."""

    def __post_init__(self) -> None:
        self.offset = self.clock.wall().timestamp() - self.clock.now()

    def __call__(self, event: Event) -> None:
        match event:
            case PlanStarted(at=at, plan=plan):
                self.rollout = self._begun("rollout", at, {"safeapply.steps": len(plan.steps)}, self.parent)
            case StepStarted(at=at, step=number, phase=phase):
                known = {"safeapply.step": number, "safeapply.phase": phase.value}
                self.step = self._begun(f"step {number} {phase.value}", at, known, self._within(self.rollout))
            case Waiting() | WorkloadsAwaited():
                self.since, self.closed = (event.at if self.closed is None else self.since), event
            case BarrierPassed(at=at, seconds=seconds, proxies=proxies, slowest=slowest):
                told = {"safeapply.proxies": proxies} | ({"safeapply.slowest": str(slowest)} if slowest else {})
                self._stretch("wait", at - seconds, at, told)
                self.closed = None
            case Soaking(at=at, seconds=seconds):
                self._stretch("soak", at, at + seconds, {})
            case Wrote():
                self._note_write(event)
            case StepDone(at=at):
                self._end(self.step, at)
                self.step = None
            case Settled(at=at):
                self._end(self.rollout, at)
            case Stopped(at=at, why=why):
                self._stop(at, why)
            case _:
                pass

    def _begun(self, name: str, at: float, known: Mapping[str, str | int], within: Context | None) -> Span:
        return self.tracer.start_span(f"safeapply {name}", within, attributes=known, start_time=self._nano(at))

    def _stretch(self, name: str, start: float, end: float, known: Mapping[str, str | int]) -> None:
        span = self._begun(name, start, known, self._within(self.step or self.rollout))
        span.end(self._nano(end))

    def _note_write(self, wrote: Wrote) -> None:
        if self.step is not None:
            told = {"safeapply.resource": str(wrote.resource), "safeapply.result": wrote.word}
            self.step.add_event(wrote.action.value, told, self._nano(wrote.at))

    def _stop(self, at: float, why: str) -> None:
        """End what is open as a failure, the wait with those that were waited for."""
        from opentelemetry.trace import StatusCode

        if self.closed is not None:
            late = [str(one.proxy) for one in self.closed.stragglers[:NAMED]]
            self._stretch("wait", self.since, at, {"safeapply.stragglers": ", ".join(late)})
        for span in (self.step, self.rollout):
            if span is not None:
                span.set_status(StatusCode.ERROR, why)
                span.end(self._nano(at))
        self.step = self.rollout = None

    def _end(self, span: Span | None, at: float) -> None:
        if span is not None:
            span.end(self._nano(at))

    def _within(self, span: Span | None) -> Context | None:
        from opentelemetry.trace import set_span_in_context

        return self.parent if span is None else set_span_in_context(span)

    def _nano(self, at: float) -> int:
        return int((at + self.offset) * NANO)
