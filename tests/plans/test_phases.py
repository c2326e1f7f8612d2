"""A rollout taken in parts: whose turn it is, what a part ends with, what is left."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from safeapply.plans.phases import in_phases
from safeapply.plans.plan import Phase, Plan, Step
from safeapply.report.outcome import outcome_document
from safeapply.report.plan_mermaid import plan_mermaid
from safeapply.report.plan_page import plan_page
from safeapply.report.plan_text import plan_text
from safeapply.report.standing import left_over
from safeapply.xds.expectations import ClusterUnreferenced
from safeapply.xds.names import ClusterName
from tests.plans.worlds import make_plan, printed, route, rule

WIDEN, SWITCH, NARROW = Phase
RENAMED = make_plan(rule("reviews", "v1") + route("reviews", "v1"), rule("reviews", "v2") + route("reviews", "v2"))


def part(*phases: Phase) -> Plan:
    """Return some phases of the rename."""
    return in_phases(RENAMED, phases)


def test_a_part_ends_when_the_first_step_that_is_left_could_be_taken() -> None:
    """What has to hold before the removal holds when the part is done; the removal waits for it again."""
    first = part(WIDEN, SWITCH)
    assert [step.phase for step in first.steps] == [WIDEN, SWITCH]
    assert [step.phase for step in first.left] == [NARROW]
    assert first.settled == first.left[0].expectations
    assert first.settled == (
        ClusterUnreferenced(ClusterName("outbound|9080|v1|reviews.default.svc.cluster.local")),
    )


def test_what_is_left_is_told_with_what_does_it() -> None:
    """On standard error in the end, in the report and on the page; nothing is said where nothing is left."""
    first = part(WIDEN, SWITCH)
    assert left_over(first) == "left for another run, with --phase=narrow: destinationrule default/reviews"
    assert left_over(RENAMED) == ""
    assert left_over(first) in plan_page(first, live={})
    assert outcome_document((), first)["left"] == ["narrow"]
    assert 'subgraph step3["3 narrow: 1 write"]' in plan_mermaid(first)
    assert "step2 --> waitdone --> left\n" in plan_mermaid(first)
    assert "left -.-> step3\n" in plan_mermaid(first)
    assert "Left for another run\n  narrow     destinationrule default/reviews" in plan_text(first, live={})


def test_it_is_refused_to_take_a_step_before_its_turn() -> None:
    """Nothing is written, and the refusal says what to run first."""
    (refusal,) = part(NARROW).refusals
    assert (part(NARROW).steps, refusal.code) == ((), "phase")
    assert "--phase=widen,switch first" in refusal.remedy
    assert part(WIDEN, NARROW).refusals[0].remedy == "run it without --phase"


def test_where_only_later_phases_are_left_a_part_has_nothing_to_write_and_still_waits() -> None:
    """A run that was killed between its last write and its end is run again."""
    rest = Plan(steps=RENAMED.steps[2:], settled=RENAMED.settled)
    again = in_phases(rest, (WIDEN, SWITCH))
    assert (again.steps, again.left, again.refusals) == ((), rest.steps, ())
    assert again.settled == rest.steps[0].expectations


def test_all_phases_are_the_plan_itself() -> None:
    """So is none named, and a plan without steps."""
    assert part() == part(*Phase) == RENAMED
    assert in_phases(Plan(), (NARROW,)) == Plan()
    assert printed(part(*Phase)) == printed(RENAMED)


@given(st.lists(st.sampled_from(Phase), max_size=6), st.sets(st.sampled_from(Phase), min_size=1))
def test_a_part_and_what_it_leaves_are_the_plan_in_its_order(order: list[Phase], phases: set[Phase]) -> None:
    """Nothing is left out but what comes later, in order and in phase; or nothing is done."""
    plan = Plan(steps=tuple(Step(phase, (), (), 0.0, str(number)) for number, phase in enumerate(order)))
    made = in_phases(plan, phases)
    if made.refusals:
        assert not made.steps
    else:
        assert (*made.steps, *made.left) == plan.steps
        assert all(step.phase in phases for step in made.steps)
        assert not made.left or list(Phase).index(made.left[0].phase) > max(map(list(Phase).index, phases))
