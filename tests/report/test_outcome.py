"""The JSON report of a rollout, and kubectl's lines."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from jsonschema import Draft202012Validator

from safeapply.istio.proxies import ProxyId
from safeapply.plans.plan import Action, Operation, Phase, Plan, Refusal, Step
from safeapply.report.outcome import Leg, outcome_document, outcome_json, result_lines
from safeapply.report.outcome_format import outcome_schema
from safeapply.resources.objects import Namespace, Resource, ResourceId
from safeapply.rollout.events import (
    BarrierPassed,
    Event,
    LeftOut,
    PlanStarted,
    ReplicasAsked,
    Settled,
    Soaking,
    StepDone,
    StepStarted,
    Stopped,
    Straggler,
    Unasked,
    Waiting,
    Wrote,
)
from safeapply.xds.expectations import ClusterAbsent
from safeapply.xds.names import ClusterName

PUBLISHED = Path(__file__).parents[2] / "docs" / "outcome.schema.json"


def known(kind: str) -> ResourceId:
    """Return an Istio object called reviews."""
    return ResourceId("networking.istio.io", kind, Namespace("default"), "reviews")


RULE, ROUTE = known("DestinationRule"), known("VirtualService")


def step(phase: Phase, resource: ResourceId, *, bridge: bool = False) -> Step:
    """Return a step of one write."""
    return Step(phase, (Operation(Action.APPLY, Resource(resource, {}), bridge),), (), 0.0, "Because.")


PLAN = Plan(
    steps=(step(Phase.WIDEN, RULE, bridge=True), step(Phase.SWITCH, ROUTE), step(Phase.NARROW, RULE)),
    settled=(ClusterAbsent(ClusterName("outbound|9080|v1|reviews")),),
    unchanged=(known("Gateway"),),
)


def wrote(at: float, number: int, resource: ResourceId, word: str = "configured") -> Wrote:
    """Write an object."""
    return Wrote(at, number, Action.APPLY, resource, word, str(number * 10))


STORY: tuple[Event, ...] = (
    PlanStarted(50.0, PLAN),
    StepStarted(50.0, 1, 3, Phase.WIDEN),
    wrote(50.25, 1, RULE),
    StepDone(50.25, 1),
    StepStarted(50.25, 2, 3, Phase.SWITCH),
    Waiting(50.25, 2, 0, 2, (Straggler(ProxyId("a.x"), "warming"), Straggler(ProxyId("b.x"), "warming"))),
    Waiting(51.0, 2, 1, 2, (Straggler(ProxyId("b.x"), "warming"),)),
    BarrierPassed(51.75, 2, 2, 1.5, ProxyId("b.x")),
    wrote(52.0, 2, ROUTE),
    StepDone(52.0, 2),
    StepStarted(52.0, 3, 3, Phase.NARROW),
    BarrierPassed(53.0, 3, 2, 1.0, None),
    Soaking(53.0, 3, 2.0),
    wrote(55.0, 3, RULE),
    StepDone(55.0, 3),
    BarrierPassed(56.25, 4, 2, 1.25, None),
    Settled(56.25, 6.25),
)


def test_the_report_tells_waits_soaks_and_writes_of_every_step() -> None:
    """Times are seconds since the plan started, so that two runs can be compared."""
    write = {"action": "apply", "resource": str(RULE), "result": "configured"}
    assert outcome_document(STORY) == {
        "formatVersion": "1",
        "outcome": "settled",
        "seconds": 6.25,
        "secondsSinceFirstWrite": 6.0,
        "soakSeconds": 2.0,
        "steps": [
            {
                "phase": "widen",
                "state": "done",
                "waitedSeconds": 0.0,
                "proxies": 0,
                "slowest": [],
                "soakSeconds": 0.0,
                "writes": [write | {"resourceVersion": "10", "at": 0.25, "bridge": True}],
            },
            {
                "phase": "switch",
                "state": "done",
                "waitedSeconds": 1.5,
                "proxies": 2,
                "propagationSeconds": {"p50": 0.75, "p99": 1.5},
                "slowest": [{"proxy": "b.x", "seconds": 1.5}, {"proxy": "a.x", "seconds": 0.75}],
                "soakSeconds": 0.0,
                "writes": [write | {"resource": str(ROUTE), "resourceVersion": "20", "at": 2.0}],
            },
            {
                "phase": "narrow",
                "state": "done",
                "waitedSeconds": 1.0,
                "proxies": 2,
                "slowest": [],
                "soakSeconds": 2.0,
                "writes": [write | {"resourceVersion": "30", "at": 5.0}],
            },
        ],
        "settled": {"waitedSeconds": 1.25, "proxies": 2, "slowest": []},
        "unchanged": ["gateway.networking.istio.io/default/reviews"],
    }


def test_what_istiod_was_asked_before_a_removal_is_told() -> None:
    """Who has seen every write, and of whom that was not checked, with the reason."""
    unasked = Unasked("istiod-1.istio-system", "no answer within 10 s")
    asked = ReplicasAsked(7.0, 3, ("istiod-0.istio-system",), (unasked,))
    told = outcome_document([*STORY[:-1], asked, STORY[-1]])["steps"][2]
    assert told["istiod"] == {
        "seenBy": ["istiod-0.istio-system"],
        "notChecked": [{"replica": "istiod-1.istio-system", "why": "no answer within 10 s"}],
    }


def test_a_stopped_rollout_says_where_and_why() -> None:
    """With the stragglers, and the steps that were not reached as pending."""
    told = json.loads(outcome_json((*STORY[:7], Stopped(60.0, 2, "too slow"))))
    assert told["outcome"] == "stopped"
    assert told["stopped"] == {"step": 2, "why": "too slow"}
    assert [one["state"] for one in told["steps"]] == ["done", "stopped", "pending"]
    assert told["steps"][1]["stragglers"] == [{"proxy": "b.x", "why": "warming"}]


def test_a_rollout_that_was_cut_off_is_told_as_far_as_it_went() -> None:
    """Nothing is made up about the rest, not even where nothing at all happened."""
    assert outcome_document(STORY[:4])["outcome"] == "unfinished"
    assert outcome_document(())["steps"] == []


def test_a_plan_without_steps_leaves_all_unchanged() -> None:
    """Nothing happened because nothing had to; a run that never began is another thing."""
    told = outcome_document((), Plan(unchanged=(RULE,)))
    assert (told["outcome"], told["unchanged"]) == ("unchanged", [str(RULE)])
    told = outcome_document((), PLAN)
    assert (told["outcome"], [one["state"] for one in told["steps"]]) == ("unfinished", ["pending"] * 3)


def test_the_way_back_stands_inside_the_report_of_the_way_there() -> None:
    """One document; a way back that is refused, or comes to no plan, is told too."""
    stopped = (*STORY[:7], Stopped(60.0, 2, "too slow"))
    told = outcome_document(stopped, PLAN, Leg(PLAN, STORY))
    assert (told["outcome"], told["rollback"]) == ("stopped", outcome_document(STORY, PLAN))
    refusal = Refusal("in-use", (RULE,), "sidecars in default", "GET / would answer 503 NC", "keep v1")
    refused = outcome_document(stopped, PLAN, Leg(Plan(refusals=(refusal,))))["rollback"]
    assert (refused["outcome"], refused["refusals"]) == ("refused", ["GET / would answer 503 NC"])
    assert outcome_document(stopped, PLAN, Leg(None))["rollback"]["outcome"] == "unfinished"


def test_reports_are_as_the_published_schema_has_them() -> None:
    """Cut off anywhere, and with a way back. If the schema is old: docs.captures."""
    schema = json.loads(PUBLISHED.read_text())
    assert schema == outcome_schema()
    judge = Draft202012Validator(schema)
    asked = ReplicasAsked(7.0, 3, ("istiod-0.istio-system",), (Unasked("istiod-1.istio-system", "silent"),))
    out = LeftOut(7.0, 2, (Straggler(ProxyId("c.x"), "excluded"),))
    for length in range(len(STORY) + 1):
        judge.validate(outcome_document(STORY[:length], PLAN, Leg(PLAN, (*STORY[:length], out, asked))))
    judge.validate(outcome_document((*STORY[:7], Stopped(60.0, 2, "too slow")), replace(PLAN, left=PLAN.steps)))
    assert not judge.is_valid(outcome_document(STORY) | {"outcome": "well"})
    assert not judge.is_valid({"formatVersion": "1", "outcome": "settled"})


def test_every_object_has_one_line_for_its_user() -> None:
    """The bridge is no second object, and what needed no write is there too."""
    assert result_lines(PLAN, STORY) == (
        "destinationrule.networking.istio.io/reviews configured",
        "virtualservice.networking.istio.io/reviews configured",
        "gateway.networking.istio.io/reviews unchanged",
    )


def test_what_a_bridge_created_was_created() -> None:
    """A later write of the same run does not make it less new; a write without effect changes no word."""
    created = (wrote(1.0, 1, RULE, "created"), wrote(2.0, 3, RULE, "configured"))
    assert result_lines(Plan(), created) == ("destinationrule.networking.istio.io/reviews created",)
    repeated = (wrote(1.0, 1, RULE, "configured"), wrote(2.0, 3, RULE, "unchanged"))
    assert result_lines(Plan(), repeated) == ("destinationrule.networking.istio.io/reviews configured",)
