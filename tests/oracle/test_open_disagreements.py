"""The smallest transition of each class of ``disagreements``: what the product shall learn.

Each of the open ones is expected to fail. One that passes has been learned, and its class can be taken out.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.oracle.disagreements import is_known
from tests.oracle.model import (
    ANY_HOST,
    ROOT,
    Destination,
    Host,
    Namespace,
    Rule,
    Service,
    Subset,
    VirtualService,
    World,
    world_of,
)
from tests.oracle.references import Transition
from tests.oracle.search import minimum_plan
from tests.oracle.stories import RATINGS, REVIEWS, moving, route, rule, world
from tests.oracle.verdicts import RIGHT, judge


def called(host: Host, one: VirtualService) -> VirtualService:
    """Return the same route for calls to another host."""
    return replace(one, hosts=(host,))


def mirroring(subset: str, one: VirtualService) -> VirtualService:
    """Return the same route with a mirror to a subset of reviews."""
    mirror = (Destination(REVIEWS, Subset(subset)),)
    return replace(one, rules=tuple(Rule(each.split, each.key, mirror) for each in one.rules))


EVEN = replace(route(), rules=(Rule(tuple(Destination(REVIEWS, Subset(one), 50) for one in ("v1", "v2"))),))
DETAILS = Host("details.a")
AWAY = replace(route(name="one"), rules=(Rule((Destination(RATINGS),)),))
MIRRORED = called(DETAILS, mirroring("v1", route(name="details")))
OLD, NEW = route(name="old", age=1, key="x"), route(name="new", age=2, to=(".",))

PAIR = tuple(Destination(REVIEWS, Subset(one), 50) for one in ("v1", "v2"))
FROM_B = VirtualService("route", Namespace("b"), (RATINGS,), (Rule(PAIR),), 1, (".",))
HALF = (Destination(RATINGS, Subset("v2"), 50), Destination(REVIEWS, Subset("v2"), 50))

OPEN: dict[str, tuple[World, World]] = {
    "waits: a rule for every host gives v2 while another, written with it, is on its way": (
        world_of(
            Service(RATINGS),
            rule("v3", at="b", name="one", host=RATINGS, to=(".",), age=3),
            rule("v1", name="two", to=("b",)),
            rule("v1", "v2", "v3", at=ROOT, name="three", host=ANY_HOST, to=("a",), age=2),
            FROM_B,
        ),
        world(
            rule("v1", "v2", "v3", at="b", name="one", host=ANY_HOST, to=(".",), age=3),
            rule("v1", "v2", "v3", name="two"),
            rule("v2", "v3", at=ROOT, name="three", host=RATINGS, age=2),
            replace(FROM_B, rules=(Rule(HALF),), export_to=()),
        ),
    ),
}
"""One that is found goes here, and into ``disagreements``, until the product has learned it."""

LEARNED = {
    "lost: a bridge takes its next version along, past the deletion of a route that answers 404": (
        world(
            rule("v1"),
            route(name="one", age=2),
            route(name="two", age=3, to=(".",)),
            route(name="three", key="y", age=1),
        ),
        world(rule("v1"), route(name="one", age=2, key="x"), route(name="two", age=3, to=("b",))),
    ),
    "refused: the private route opens up, and only the order of writes shows that the older one takes everything": (
        world(OLD, NEW),
        world(route(name="old", age=1), route(name="new", age=2)),
    ),
    "refused: two routes swap their hosts, and the default route serves in between": (
        world(route(name="one"), called(RATINGS, route(name="other"))),
        world(called(RATINGS, route(name="one")), route(name="other")),
    ),
    "waits: a route takes over a host, though the clusters of whole services were always there": (
        world(
            Service(DETAILS), called(DETAILS, route(name="one")), route(name="two", age=1), route(name="x", age=2)
        ),
        world(Service(DETAILS), AWAY, route(name="two", age=1), called(RATINGS, route(name="x", age=2))),
    ),
    "refused: a wildcard rule becomes exact, with no bridge where it was": (
        world(rule("v1", host=ANY_HOST), route("v1")),
        world(rule("v2"), route("v2")),
    ),
    "waits: nothing but a mirror names v1": (
        world(rule("v1"), mirroring("v1", route())),
        world(rule("v2"), route()),
    ),
    "a subset moves from rule to rule, and its first owner waits": (
        world(rule("v3", name="one"), rule("v1", name="other", age=1), route("v3")),
        world(rule("v1", name="one"), rule("v3", name="other", age=1), route()),
    ),
    "v2 is active by the rule that goes, which waits for the one that comes": (
        world(rule("v1", name="one"), rule("v2", "v3", name="other", age=1), route()),
        world(rule("v2", name="one"), rule("v1", name="other", age=1), route("v2")),
    ),
    "v2 is broken live, and the half that v1 served goes to it when it is there": (
        world(rule("v1"), EVEN),
        world(rule("v2"), route("v2")),
    ),
    "a mirror keeps naming v1, and its removal waits for the other references": (
        world(rule("v1"), mirroring("v1", route()), called(RATINGS, route("v1", name="ratings"))),
        world(rule("v2"), mirroring("v1", route()), called(RATINGS, route("v2", name="ratings"))),
    ),
    "a mirror keeps naming v1, whose removal waits for the route that is deleted": (
        world(Service(DETAILS), rule("v1"), called(RATINGS, route("v1", name="ratings")), MIRRORED),
        world(Service(DETAILS), rule("v2"), MIRRORED),
    ),
    "a mirror to v1 was lost already, and a route to it is refused": (
        world(mirroring("v1", route())),
        world(route("v1")),
    ),
    "refused: a mirror keeps naming v3, and the domain goes over to its own Service, as by default": (
        world(
            Service(DETAILS),
            rule("v3"),
            called(RATINGS, route("v3", to=(".",))),
            called(DETAILS, mirroring("v3", route(name="details"))),
        ),
        world(
            Service(DETAILS),
            rule("v1", to=("*",)),
            replace(called(RATINGS, route()), rules=(Rule((Destination(RATINGS),)),)),
            called(DETAILS, mirroring("v3", route(name="details"))),
        ),
    ),
    "refused: the first of two groups was searched, where the other one had the request that fails": (
        world(
            Service(DETAILS),
            called(DETAILS, route(name="a-first")),
            route(name="two", age=2),
            route(name="three", age=3),
        ),
        world(
            Service(DETAILS),
            called(DETAILS, route(name="a-first", to=(".",))),
            called(RATINGS, route(name="two", to=(".",), age=2)),
            called(RATINGS, route(name="three", key="x", age=3)),
        ),
    ),
    "no Envoy shows that the root's rule has come before the rules that hide it have gone": (
        world(
            rule("v3", at=ROOT),
            rule("v2", "v3", name="one", host=ANY_HOST),
            rule("v2", "v3", name="two", host=ANY_HOST),
        ),
        world(rule("v2", "v3", at=ROOT, host=ANY_HOST), route("v2", key="y", age=100)),
    ),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.xfail(strict=True)) for name in OPEN])
def test_what_the_planner_has_yet_to_learn(name: str) -> None:
    """The oracle's search and the promise say otherwise."""
    assert judge(_transition(name)) in RIGHT


@pytest.mark.parametrize("name", LEARNED)
def test_what_the_planner_has_learned(name: str) -> None:
    """Once these lost requests, or let them be lost."""
    assert judge(_transition(name)) in RIGHT


@pytest.mark.parametrize("name", OPEN)
def test_each_example_is_listed(name: str) -> None:
    """A verdict on an example is right by now, or its class lets it pass."""
    transition = _transition(name)
    assert is_known(transition, judge(transition))


def test_no_example_is_beyond_hope() -> None:
    """For each a safe order exists; where the end dangles, it is to be refused for that."""
    assert all(minimum_plan(_transition(name)) is not None for name in (*OPEN, *LEARNED))


def _transition(name: str) -> Transition:
    worlds: tuple[World, World] = {**OPEN, **LEARNED}[name]
    return moving(*worlds)
