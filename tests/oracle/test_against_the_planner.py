"""The planner against the oracle: a plan exists exactly when one can, loses nothing, and waits no more than needed.

Three sentences of DESIGN.md are checked at once: the promise (1), "no plan has more barriers than the minimum that
an exhaustive search finds" (4.4), and that expectations are preconditions, checked against the proxies (6), so that
what they do not tell apart may still be under way.
"""

from __future__ import annotations

from hypothesis import assume, given

from tests.oracle.disagreements import is_known
from tests.oracle.documents import planned, written
from tests.oracle.profiles import COUNTS, chosen
from tests.oracle.references import Transition
from tests.oracle.verdicts import RIGHT, Verdict, judge
from tests.oracle.worlds import is_decided, plain_transitions, smallest_transitions, transitions


def test_all_the_smallest_worlds() -> None:
    """One host, two subsets, one VirtualService, one DestinationRule: every state to every other."""
    for transition in smallest_transitions():
        _check(transition, "smallest")


@chosen()
@given(plain_transitions())
def test_worlds_with_one_rule_and_one_route_for_a_host(transition: Transition) -> None:
    """Up to three hosts, in two namespaces and the root, with every exportTo, match, weight and mirror."""
    assume(is_decided(transition))
    _check(transition, "plain")


@chosen()
@given(transitions())
def test_worlds_with_rules_and_routes_that_meet(transition: Transition) -> None:
    """The same with rules that shadow and merge, and routes that take over from one another."""
    assume(is_decided(transition))
    _check(transition, "any")


def _check(transition: Transition, size: str) -> None:
    verdict = judge(transition)
    COUNTS[f"{size} transitions: {'' if verdict in RIGHT else 'OPEN: '}{verdict.value}"] += 1
    assert is_known(transition, verdict), _story(transition, verdict)


def _story(transition: Transition, verdict: Verdict) -> str:
    made = planned(transition)
    steps = [f"{step.phase.value}: {len(step.operations)} writes, {step.why}" for step in made.steps]
    refusals = [f"{one.code}: {one.request}" for one in made.refusals]
    parts = (verdict.value, "live:", written(transition.live), "desired:", written(transition.desired))
    return "\n".join((*parts, *steps, *refusals))
