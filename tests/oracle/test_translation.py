"""The oracle's reading of Istio, against the measured cases of ISTIO.md 16 and the rules of its section 4."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.oracle.model import (
    ANY_HOST,
    ROOT,
    Cluster,
    Destination,
    DestinationRule,
    MatchKey,
    Namespace,
    Service,
    Subset,
)
from tests.oracle.stories import REVIEWS, A, B, route, rule, world
from tests.oracle.translation import DRAWS, Request, effective_subsets, named, routes, target

C = Namespace("c")


def seen(*rules: DestinationRule, by: Namespace) -> set[str]:
    """Return the subsets of reviews (in namespace a) that a namespace sees."""
    return set(effective_subsets(rules, Service(REVIEWS), by))


@pytest.mark.parametrize(
    ("case", "older", "newer", "expected"),
    [
        ("1 both unset", rule("v1"), rule("v2"), {"v1", "v2"}),
        ("3 unset, then public by name", rule("v1"), rule("v2", to=("*",)), {"v2"}),
        ("3 reversed", rule("v2", to=("*",)), rule("v1"), {"v1"}),
        ("4 the newer widens", rule("v1", to=(".",)), rule("v2", to=(".", "b")), {"v1", "v2"}),
        ("4c one says . and one the namespace", rule("v1", to=(".",)), rule("v2", to=("a",)), {"v2"}),
        ("4b the newer narrows", rule("v2", to=(".", "b")), rule("v1", to=(".",)), {"v1"}),
    ],
)
def test_rules_of_one_namespace_and_host_merge_by_export(
    case: str, older: DestinationRule, newer: DestinationRule, expected: set[str]
) -> None:
    """Equal exportTo sets merge; of unequal ones the newest rule wins alone (3.3)."""
    first, second = replace(older, name="older", created=1), replace(newer, name="newer", created=2)
    assert (case, seen(first, second, by=A)) == (case, expected)
    assert (case, seen(second, first, by=A)) == (case, expected)


def test_a_rule_at_the_client_hides_the_rule_at_the_service() -> None:
    """Case 5: adding a rule takes subsets away, for one namespace only; a wildcard does so too (5b)."""
    own = rule("v1", "v2")
    for shadow in (rule(at="b", name="shadow"), rule(at="b", name="shadow", host=ANY_HOST)):
        assert seen(own, shadow, by=B) == set()
        assert seen(own, shadow, by=A) == {"v1", "v2"}


def test_a_rule_in_a_third_namespace_is_ignored() -> None:
    """Case 5c: whatever its exportTo."""
    assert seen(rule("v1", at="c", to=("*",)), by=B) == set()


def test_the_root_namespace_is_the_last_resort() -> None:
    """Case 6: it answers only where neither client nor service does."""
    fallback = rule("v3", at=ROOT)
    assert seen(fallback, by=B) == {"v3"}
    assert seen(fallback, rule("v1"), by=B) == {"v1"}


def test_a_hidden_rule_hides_its_siblings() -> None:
    """Case 7: the most specific host is chosen first, and visibility is asked after."""
    exact, wide = rule("v1", to=("c",)), rule("v2", host=ANY_HOST, name="wide")
    assert seen(exact, wide, by=B) == set()
    assert seen(exact, wide, by=C) == {"v1"}


def test_a_private_rule_serves_its_own_namespace_only() -> None:
    """A rule that is not exported is no answer for others, and hides nothing from them (3.1)."""
    assert seen(rule("v1", to=(".",)), by=A) == {"v1"}
    assert seen(rule("v1", to=(".",)), rule("v3", at=ROOT, name="root"), by=B) == {"v3"}


def test_sidecars_take_the_oldest_of_the_most_private() -> None:
    """4.2: private before exported before public, and inside each the oldest; nothing merges."""
    old, young = route("v1", name="old", age=1), route("v2", name="young", age=2)
    private = route("v3", name="private", to=(".",), age=3)
    assert aim(Request(A, REVIEWS), old, young) == "v1"
    assert aim(Request(A, REVIEWS), old, young, private) == "v3"
    assert aim(Request(B, REVIEWS), old, young, private) == "v1"
    assert aim(Request(B, REVIEWS), old, route("v2", name="named", to=("b",), age=9)) == "v2"


@pytest.mark.parametrize("own", [".", "a"])
def test_a_route_that_names_its_own_namespace_is_private_there(own: str) -> None:
    """4.2: whoever else sees it, it goes before an older one that is private; elsewhere it is exported by name."""
    private, shared = route("v1", name="one", to=(".",), age=2), route("v2", name="two", to=(own, "b"), age=1)
    assert aim(Request(A, REVIEWS), private, shared) == "v2"
    assert aim(Request(B, REVIEWS), shared, route("v3", name="all", age=0)) == "v2"


def test_without_a_route_the_whole_service_is_called() -> None:
    """4.4: taking the last VirtualService away opens the service, it does not close it."""
    assert aim(Request(A, REVIEWS)) == ""


def test_a_request_that_nothing_matches_is_not_found() -> None:
    """16 E3: 404, where a VirtualService is in force and none of its rules fits."""
    assert aim(Request(A, REVIEWS), route("v1", key="x")) is None
    assert aim(Request(A, REVIEWS, MatchKey("x")), route("v1", key="x")) == "v1"


def test_weight_zero_and_mirrors_are_no_targets() -> None:
    """1.3: a share of 0 among several is dropped, alone it is everything; a lost mirror harms nobody."""
    one = route("v1").rules[0]
    none, rest = Destination(REVIEWS, Subset("v2"), 0), Destination(REVIEWS, Subset("v1"), 100)
    for split, expected in (((rest, none), "v1"), ((none,), "v2")):
        changed = replace(route(), rules=(replace(one, split=split, mirrors=(none,)),))
        assert aim(Request(A, REVIEWS), changed) == expected
        assert Cluster(REVIEWS, Subset("v2")) in named(changed.rules[0])


def test_a_split_is_drawn_from() -> None:
    """16 D: with one of two halves missing, half of the requests fail; each is a request of its own."""
    even = route("v1", "v2")
    assert [aim(Request(A, REVIEWS, draw=draw), even) for draw in DRAWS] == ["v1", "v2"]


def aim(request: Request, *items: object) -> str | None:
    """Return the one subset that a request goes to."""
    there = world(*items)  # type: ignore[arg-type]
    found = target(routes(there.services, there.virtual_services, request.client), request)
    return None if found is None else found.subset
