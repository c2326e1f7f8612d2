"""Rollouts as spans: in a script's own tracing, to a collector that the environment names, and else not at all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from docs.rollout_story import STORY
from safeapply.adapters.clock import SystemClock
from safeapply.adapters.tracing import _Spans, tracing
from safeapply.istio.proxies import ProxyId
from safeapply.rollout.events import Event, Stopped, Straggler, Waiting, Wrote
from tests.cli.clusters import files, ran
from tests.posting import posted_to
from tests.rollout.memory import JumpingClock
from tests.sandbox.apiserver.cluster import Cluster, config

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def told(*events: Event) -> tuple[ReadableSpan, ...]:
    """Return the spans of some events, in the order in which they ended."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans = _Spans(provider.get_tracer("test"), JumpingClock())
    for event in events:
        spans(event)
    return exporter.get_finished_spans()


def test_each_step_is_a_span_with_its_wait_its_soak_and_its_writes() -> None:
    """In one trace; as long as they took."""
    spans = told(*STORY)
    named = {span.name: span for span in spans}
    assert {
        "safeapply rollout",
        "safeapply step 1 widen",
        "safeapply step 2 narrow",
        "safeapply wait",
    } <= named.keys()
    root = named["safeapply rollout"]
    assert len({span.context.trace_id for span in spans if span.context}) == 1
    steps = [span for span in spans if span.name.startswith("safeapply step")]
    assert all(span.parent is not None and span.parent == root.context for span in steps)
    assert [event.name for span in steps for event in span.events] == [
        "apply" for one in STORY if isinstance(one, Wrote)
    ]
    assert round(((root.end_time or 0) - (root.start_time or 0)) / 1e9, 3) == STORY[-1].at - STORY[0].at


def test_a_rollout_that_stops_is_a_failure_with_those_that_were_waited_for() -> None:
    """All that is open ends then."""
    late = (Straggler(ProxyId("reviews.default"), "still warming"),)
    begun = next(number for number, event in enumerate(STORY) if isinstance(event, Waiting))
    spans = told(*STORY[:begun], Waiting(0.2, 2, 0, 1, late), Stopped(300.0, 2, "1 of 1 proxies did not follow"))
    failed = [span.name for span in spans if span.status.status_code is trace.StatusCode.ERROR]
    assert failed == ["safeapply step 2 narrow", "safeapply rollout"]
    (waited,) = (span for span in spans if span.attributes and "safeapply.stragglers" in span.attributes)
    assert (waited.attributes or {})["safeapply.stragglers"] == "reviews.default"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Hand over an API server."""
    with Cluster(tmp_path) as cluster:
        yield cluster


def applied(cluster: Cluster, name: str, environment: Mapping[str, str]) -> str:
    """Apply a ConfigMap, and return what the command said on standard error."""
    directory = files(cluster.directory / name, config(name))
    command = (sys.executable, "-m", "safeapply", "apply", "-f", directory, "--yes")
    said = ran(*command, kubeconfig=cluster.kubeconfig, **environment)
    assert said.code == 0, said.err
    return said.err


def test_the_command_sends_its_spans_to_the_collector_within_the_pipelines_span(cluster: Cluster) -> None:
    """By the environment alone; no value of any object is sent."""
    received: list[ExportTraceServiceRequest] = []
    with posted_to(lambda _, __, body: received.append(ExportTraceServiceRequest.FromString(body))) as url:
        applied(cluster, "one", {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "TRACEPARENT": f"00-{TRACE}-{SPAN}-01"})
    spans = [
        span for one in received for scope in one.resource_spans for two in scope.scope_spans for span in two.spans
    ]
    assert {span.name for span in spans} >= {"safeapply rollout", "safeapply step 1 widen"}
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    (root,) = (span for span in spans if span.name == "safeapply rollout")
    assert root.parent_span_id.hex() == SPAN


def test_a_script_finds_the_rollout_within_its_own_span(cluster: Cluster) -> None:
    """In its own provider, which goes on afterwards; each write with its object."""
    program = f"""
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

provider, exporter = TracerProvider(), InMemorySpanExporter()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)

import safeapply

with trace.get_tracer("deploy").start_as_current_span("deploy") as deploy:
    safeapply.apply({files(cluster.directory / "four", config("four"))!r}, kubeconfig={str(cluster.kubeconfig)!r})
spans = {{span.name: span for span in exporter.get_finished_spans()}}
rollout, step = spans["safeapply rollout"], spans["safeapply step 1 widen"]
assert rollout.parent == deploy.get_span_context()
assert step.parent == rollout.context
(write,) = step.events
assert "configmap" in str(write.attributes).lower()
assert spans["deploy"].end_time >= rollout.end_time
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_collector_that_is_not_there_fails_nothing(cluster: Cluster) -> None:
    """The rollout is done, and its result told."""
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    assert "Traceback" not in applied(cluster, "two", environment)


def test_an_exporter_that_cannot_be_imported_fails_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said, and the rollout goes on without spans."""
    monkeypatch.delitem(sys.modules, "opentelemetry.trace", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    made = tracing(SystemClock(), {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
    assert made.spans is None
    assert capsys.readouterr().err.startswith("warning: no spans are sent: ")


def test_without_a_collector_nothing_of_opentelemetry_is_imported(cluster: Cluster) -> None:
    """Though it is installed."""
    directory = files(cluster.directory / "three", config("three"))
    program = (
        "import safeapply, sys\n"
        f"assert safeapply.apply({directory!r}, kubeconfig={str(cluster.kubeconfig)!r}).written\n"
        "assert not [one for one in sys.modules if one.startswith('opentelemetry')]\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
