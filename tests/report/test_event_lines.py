"""Events as lines of JSON: small, in order, and as the published schema has them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from docs.rollout_story import PLAN, RULE, STORY, waiting
from safeapply.istio.proxies import ProxyId
from safeapply.plans.plan import Phase, Plan, Refusal
from safeapply.report.event_format import SCHEMA, events_schema
from safeapply.report.event_lines import NAMED, EventLines
from safeapply.report.outcome import Leg
from safeapply.rollout.events import Event, PlanStarted, Stopped, Straggler, Waiting

PUBLISHED = Path(__file__).parents[2] / "docs" / "events.schema.json"
BEGUN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def validator() -> Draft202012Validator:
    """Return what judges lines by the published schema, which is no stricter than it says."""
    return Draft202012Validator(json.loads(PUBLISHED.read_text()))


def lines(*events: Event, plan: Plan = PLAN) -> list[dict[str, Any]]:
    """Return the lines of a rollout, its result with them."""
    writer = EventLines(BEGUN)
    told = [writer.line(event) for event in events]
    return [json.loads(one) for one in (*told, writer.result(Leg(plan, events)))]


def test_the_published_schema_is_the_one_of_the_lines() -> None:
    """If this fails: python -m docs.captures."""
    assert json.loads(PUBLISHED.read_text()) == events_schema()


def test_a_rollout_is_told_in_order_from_its_start_to_its_result() -> None:
    """Every line has the schema's name, its type, a time of day and the seconds since the first."""
    told = lines(*STORY)
    assert [one["type"] for one in told] == [
        "rolloutStarted",
        "stepBegan",
        "objectWritten",
        "stepEnded",
        "stepBegan",
        "barrierWaiting",
        "barrierWaiting",
        "barrierOpened",
        "soakBegan",
        "objectWritten",
        "stepEnded",
        "barrierWaiting",
        "barrierOpened",
        "rolloutSettled",
        "result",
    ]
    assert {one["schema"] for one in told} == {SCHEMA}
    assert told[6] | {"stragglers": []} == {
        "type": "barrierWaiting",
        "schema": SCHEMA,
        "time": "2026-01-02T03:04:06.100Z",
        "at": 1.1,
        "step": 2,
        "converged": 19,
        "proxies": 24,
        "stragglers": [],
    }
    assert told[-1]["outcome"] == "settled"
    assert told[-1]["objects"] == [{"resource": str(RULE), "result": "configured"}]


def test_what_is_left_for_another_run_is_told_at_the_start_and_in_the_end() -> None:
    """By the steps, as those that are done; nothing where nothing is left."""
    part = replace(PLAN, steps=PLAN.steps[:1], left=PLAN.steps[1:])
    began, result = lines(PlanStarted(0.0, part), plan=part)
    assert began["left"] == result["left"]
    assert [(one["phase"], [write["resource"] for write in one["writes"]]) for one in result["left"]] == [
        ("narrow", [str(RULE)])
    ]
    validator().validate(result)
    assert lines()[0]["left"] == []


def test_a_line_stays_small_however_many_proxies_are_behind() -> None:
    """All are counted; the first ones are named."""
    line = EventLines(BEGUN).line(waiting(1.0, 1000, total=1000))
    (reason,) = json.loads(line)["stragglers"]
    assert (reason["count"], len(reason["names"])) == (1000, NAMED)
    assert len(line) < 1000


def test_what_is_refused_is_a_result_with_the_reason() -> None:
    """Whoever reads only the events learns it, too."""
    refusal = Refusal("in-use", (RULE,), "sidecars in default", "GET / would answer 503 NC", "keep v1")
    (result,) = lines(plan=Plan(refusals=(refusal,)))
    assert (result["outcome"], result["refusals"]) == ("refused", ["GET / would answer 503 NC"])
    validator().validate(result)


def test_the_way_back_goes_on_in_the_same_stream() -> None:
    """One line between the two, time goes on, and one result tells of both, every object once."""
    writer, stopped = EventLines(BEGUN), Stopped(9.0, 2, "too slow")
    told = [writer.line(one) for one in (*STORY[:3], stopped)] + [writer.turning_back("too slow")]
    told += [writer.line(replace(one, at=one.at + 10.0)) for one in STORY]
    told += [writer.result(Leg(PLAN, (*STORY[:3], stopped)), Leg(PLAN, STORY))]
    lines = [json.loads(one) for one in told]
    assert (lines[4]["type"], lines[4]["at"], lines[4]["why"]) == ("rollbackBegan", 9.0, "too slow")
    assert [one["at"] for one in lines] == sorted(one["at"] for one in lines)
    assert (lines[-1]["outcome"], lines[-1]["rollback"]) == ("stopped", "settled")
    assert [one["resource"] for one in lines[-1]["objects"]] == [str(RULE)]
    for one in lines:
        validator().validate(one)


def test_the_same_events_give_the_same_bytes() -> None:
    """The order of the fields is part of the format."""
    one, two = EventLines(BEGUN), EventLines(BEGUN)
    assert [one.line(event) for event in STORY] == [two.line(event) for event in STORY]
    assert (
        EventLines(BEGUN).line(STORY[2]).startswith('{"type":"objectWritten","schema":"safeapply.dev/events/v1",')
    )


def test_the_schema_refuses_what_is_no_line() -> None:
    """So that the other tests mean something."""
    line = lines(*STORY)[2]
    assert validator().is_valid(line)
    assert not validator().is_valid(line | {"type": "unheardOf"})
    assert not validator().is_valid({key: value for key, value in line.items() if key != "schema"})
    assert not validator().is_valid(line | {"action": "patch"})


NAMES = st.text(max_size=12)
STRAGGLERS = st.lists(st.builds(Straggler, NAMES.map(ProxyId), NAMES), max_size=30).map(tuple)
TIMES = st.floats(0, 1e6)
SPECIAL = {
    "at": TIMES,
    "seconds": TIMES,
    "patience": TIMES,
    "plan": st.just(PLAN),
    "step": st.integers(1, 2),
    "stragglers": STRAGGLERS,
    "proxies": STRAGGLERS,
    "phase": st.sampled_from(Phase),
    "why": NAMES,
}


@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_every_event_there_can_be_is_a_line_of_the_schema(kind: type[Any], data: st.DataObject) -> None:
    """For all fields, names with quotes, line feeds and whatever else among them; and no line has two lines."""
    known = {name: one for name, one in SPECIAL.items() if name in kind.__dataclass_fields__}
    if kind.__dataclass_fields__.get("proxies") and kind.__name__ == "BarrierPassed":
        known["proxies"] = st.integers(0, 10**6)
    event: Event = data.draw(st.builds(kind, **known))
    line = EventLines(BEGUN).line(event)
    assert "\n" not in line
    validator().validate(json.loads(line))


def test_time_counts_from_the_first_event() -> None:
    """The rollout's clock starts wherever it likes."""
    writer = EventLines(BEGUN)
    first, second = Waiting(500.0, 1, 0, 1, ()), Waiting(501.5, 1, 0, 1, ())
    assert [json.loads(writer.line(one))["at"] for one in (first, second)] == [0.0, 1.5]
