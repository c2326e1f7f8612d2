"""The figures of a rollout as OpenMetrics text, read by Prometheus' own parser."""

from __future__ import annotations

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from safeapply.istio.proxies import ProxyId
from safeapply.plans.plan import Action, Operation, Phase, Plan, Step
from safeapply.report.metrics import metrics_text
from safeapply.resources.objects import Namespace, Resource, ResourceId
from safeapply.rollout.events import (
    BarrierPassed,
    Event,
    PlanStarted,
    Settled,
    StepDone,
    StepStarted,
    Stopped,
    Straggler,
    Waiting,
    Wrote,
)
from safeapply.rollout.progress import progress_of

RULE = ResourceId("networking.istio.io", "DestinationRule", Namespace("default"), "reviews")
PLAN = Plan(steps=(Step(Phase.WIDEN, (Operation(Action.APPLY, Resource(RULE, {})),), (), 0.0, "Because."),))
LATE = Straggler(ProxyId("late.default"), "has no such cluster")


def values(text: str) -> dict[str, float]:
    """Return what a collector makes of the text: a value for each name with its labels."""
    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    found = (sample for family in families for sample in family.samples)
    return {f"{one.name}{sorted(one.labels.items()) or ''}": one.value for one in found}


def beginning() -> list[Event]:
    """Return a rollout whose first barrier is kept closed by one proxy of four."""
    return [PlanStarted(10.0, PLAN), StepStarted(10.0, 1, 1, Phase.WIDEN), Waiting(10.0, 1, 3, 4, (LATE,))]


def test_a_rollout_that_is_done_has_its_steps_writes_and_the_times_of_its_proxies() -> None:
    """Three proxies showed it at once and one after two seconds: the median is 0, the slowest 2."""
    events: list[Event] = [
        *beginning(),
        BarrierPassed(12.0, 1, 4, 2.0, LATE.proxy),
        Wrote(12.5, 1, Action.APPLY, RULE, "configured", "7"),
        StepDone(12.5, 1),
        Settled(13.0, 3.0),
    ]
    told = values(metrics_text(progress_of(events), 0))
    assert told["safeapply_rollout_exit_code"] == 0
    assert told["safeapply_rollout_steps"] == told["safeapply_rollout_steps_done"] == 1
    assert told["safeapply_rollout_writes"] == told["safeapply_rollout_waits"] == 1
    assert told["safeapply_rollout_proxies"] == 4
    assert told["safeapply_rollout_duration_seconds"] == 3
    step = "('phase', 'widen')"
    shown = {
        key: told[f"safeapply_barrier_propagation_seconds[{step}, ('quantile', '{key}'), ('step', '1')]"]
        for key in ("0.5", "0.99", "1.0")
    }
    assert shown == {"0.5": 0, "0.99": 2, "1.0": 2}
    assert told[f"safeapply_barrier_propagation_seconds_count[{step}, ('step', '1')]"] == 4


def test_a_rollout_that_stopped_tells_how_and_who_was_behind() -> None:
    """Exit 3, nothing written, one straggler."""
    told = values(metrics_text(progress_of([*beginning(), Stopped(15.0, 1, "a barrier")]), 3))
    assert told["safeapply_rollout_exit_code"] == 3
    assert told["safeapply_rollout_writes"] == told["safeapply_rollout_steps_done"] == 0
    assert told["safeapply_barrier_stragglers[('phase', 'widen'), ('step', '1')]"] == 1


def test_what_was_never_begun_has_figures_too() -> None:
    """A refused plan: exit 4, and no steps."""
    told = values(metrics_text(progress_of([]), 4))
    assert (told["safeapply_rollout_exit_code"], told["safeapply_rollout_steps"]) == (4, 0)
