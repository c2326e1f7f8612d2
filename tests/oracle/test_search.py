"""The oracle's search, on transitions whose fewest barriers can be told by hand."""

from __future__ import annotations

import pytest
from hypothesis import assume, given

from tests.oracle.delivery import counted_requests, final_world, lost_request
from tests.oracle.model import Destination, MatchKey, Rule, Subset, VirtualService, World
from tests.oracle.profiles import COUNTS, chosen
from tests.oracle.references import Transition, dangling, newly_dangling
from tests.oracle.search import best_path, minimum_plan
from tests.oracle.stories import RATINGS, REVIEWS, A, moving, route, rule, world
from tests.oracle.worlds import is_decided, smallest_transitions, transitions


@pytest.mark.parametrize(
    ("live", "desired", "barriers"),
    [
        (world(), world(), 0),
        (world(rule("v1")), world(rule("v2")), 0),
        (world(rule("v1"), route("v1")), world(rule("v1"), route()), 0),
        (world(), world(rule("v1"), route("v1", age=9)), 1),
        (world(rule("v1"), route("v1")), world(), 1),
        (world(rule("v1"), route("v1")), world(rule("v1", "v2"), route("v2")), 1),
        (world(rule("v1"), route("v1")), world(rule("v2"), route("v2")), 2),
        (world(rule("v1"), route("v1")), world(rule("v1", name="renamed", age=9), route("v1")), 1),
    ],
)
def test_the_fewest_barriers(live: World, desired: World, barriers: int) -> None:
    """One object needs none; a provider before its user one; a rename of a subset two."""
    assert minimum_plan(moving(live, desired)) == barriers


def test_a_shadow_starts_as_a_join() -> None:
    """A new rule at the client holds what it hides until the routes have moved: two barriers (DESIGN.md 4.2)."""
    live = world(rule("v1"), route("v1", at="b", to=(".",)))
    desired = world(rule("v1"), rule("v2", at="b", name="shadow", age=9), route("v2", at="b", to=(".",)))
    assert minimum_plan(moving(live, desired)) == 2
    assert minimum_plan(moving(live, desired), bridges=False) is None


def test_without_bridges_a_rename_has_no_safe_order() -> None:
    """One write of the rule cannot both add and keep."""
    transition = moving(world(rule("v1"), route("v1")), world(rule("v2"), route("v2")))
    assert minimum_plan(transition, bridges=False) is None


def test_a_rule_that_moves_to_another_host_under_one_route_has_no_order() -> None:
    """The route needs it here before and there after, and neither object can be in two places."""
    v1 = Subset("v1")
    live = world(rule("v1"), _keyed(Destination(REVIEWS, v1), Destination(RATINGS)))
    desired = world(rule("v1", host=RATINGS), _keyed(Destination(REVIEWS), Destination(RATINGS, v1)))
    assert minimum_plan(moving(live, desired)) is None


def test_a_route_to_nothing_dangles() -> None:
    """It is told with the client, the host that is called and the cluster that is missing."""
    transition = moving(world(), world(route("v1", age=9)))
    assert len(newly_dangling(transition)) == len(dangling(transition.desired, transition.clients)) == 2
    assert dangling(transition.live, transition.clients) == frozenset()


def test_every_path_of_the_smallest_worlds_loses_nothing() -> None:
    """What the search finds by halves, the delivery of every write in every order confirms."""
    for transition in smallest_transitions():
        _confirm(transition)
        COUNTS["smallest transitions searched and walked"] += 1


@chosen()
@given(transitions())
def test_every_path_that_is_found_loses_nothing(transition: Transition) -> None:
    """The same for any small world."""
    assume(is_decided(transition))
    _confirm(transition)
    COUNTS["random transitions searched and walked"] += 1


def _keyed(matched: Destination, other: Destination) -> VirtualService:
    rules = (Rule((matched,), MatchKey("x")), Rule((other,)))
    return VirtualService("reviews", A, (REVIEWS,), rules, 0)


def _confirm(transition: Transition) -> None:
    path = best_path(transition)
    if path is not None:
        assert final_world(transition.live, path) == transition.desired
        requests = counted_requests(transition.live, transition.desired, transition.clients)
        assert lost_request(transition.live, path, requests) is None
