"""Every ordered pair of the Bookinfo manifests plans, or is refused with a reason; none crashes.

The manifests are other hands' work and are not part of the project; the tests read them where they are.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import product
from pathlib import Path

import pytest

from safeapply.plans.changes import changes_between
from safeapply.plans.plan import Plan
from safeapply.plans.planner import PlanOptions, plan
from safeapply.resources.manifests import SourceText, read_manifests
from safeapply.resources.objects import Namespace, Resource, ResourceId

ROOT = Path(__file__).parents[2]
CORPUS = ROOT.parent / "shared" / "corpus" / "bookinfo"
PLATFORM = "platform-bookinfo.yaml"

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not on this machine")


def names(pattern: str) -> list[str]:
    """Return the names of the manifests that match, sorted."""
    return sorted(path.name for path in CORPUS.glob(pattern))


@cache
def read(name: str) -> tuple[Resource, ...]:
    """Return the objects of one file."""
    source = SourceText(name, (CORPUS / name).read_text())
    return read_manifests((source,), default_namespace=Namespace("default"))


def world(*files: str) -> dict[ResourceId, Resource]:
    """Return the objects of some files; of two versions of one object the last counts, as when applied in turn."""
    return {one.id: one for name in files for one in read(name)}


def planned(live: dict[ResourceId, Resource], desired: dict[ResourceId, Resource], *, offline: bool) -> Plan:
    """Return the plan from one world to the other."""
    changes, unchanged = changes_between(live, desired.values(), {})
    return plan(live, changes, unchanged=unchanged, options=PlanOptions(offline=offline))


def judged(made: Plan) -> str:
    """Return a word for a plan, having checked that a refusal says why and a plan does something."""
    for refusal in made.refusals:
        assert refusal.request
        assert refusal.remedy
        assert refusal.objects
    assert not (made.refusals and made.steps)
    return f"refused: {made.refusals[0].code}" if made.refusals else f"{len(made.steps)} steps"


def test_every_pair_of_files_plans_or_is_refused_with_a_reason() -> None:
    """One file is live beside the platform, another is applied."""
    files = names("*.yaml")
    found = Counter(
        judged(planned(world(PLATFORM, one), world(other), offline=True)) for one, other in product(files, files)
    )
    assert sum(found.values()) == len(files) ** 2
    assert set(found) <= {
        "0 steps",
        "1 steps",
        "2 steps",
        "3 steps",
        "refused: dangling-reference",
        "refused: in-use",
    }


def test_every_move_between_routes_is_planned_where_the_subsets_are_there() -> None:
    """With all subsets live, any of the VirtualServices can replace any other, in one step."""
    rules = "destination-rule-all.yaml"
    complete = [
        name
        for name in names("virtual-service-*.yaml")
        if not planned(world(PLATFORM, rules), world(name), offline=False).refusals
    ]
    assert complete, "no VirtualService of the corpus is complete"
    for one, other in product(complete, complete):
        made = planned(world(PLATFORM, rules, one), world(other), offline=False)
        assert not made.refusals, (one, other)
        assert len(made.steps) <= 1, (one, other)


def test_the_rules_can_be_swapped_only_where_no_route_is_left_behind() -> None:
    """A set of rules that lacks a subset is refused while a live route names it, and only then."""
    for one, other, route in product(names("destination-rule-*"), names("destination-rule-*"), names("virtual-*")):
        live = world(PLATFORM, one, route)
        judged(planned(live, world(other), offline=False))
        judged(planned(live, world(other, route), offline=False))


def test_every_state_leads_to_every_other_as_documented() -> None:
    """Each VirtualService file with each DestinationRule file is a state; what the next one lacks is pruned."""
    states = [world(*files) for files in product(names("virtual-service-*.yaml"), names("destination-rule-*.yaml"))]
    platform = world(PLATFORM)
    found = Counter(judged(moved({**platform, **one}, other)) for one, other in product(states, states))
    assert {outcome: str(count) for outcome, count in found.items()} == documented()


def moved(live: dict[ResourceId, Resource], desired: dict[ResourceId, Resource]) -> Plan:
    """Return the plan from one state to another, pruning included."""
    gone = [one for one in live if one not in desired and one.group == "networking.istio.io"]
    changes, unchanged = changes_between(live, desired.values(), {}, gone)
    return plan(live, changes, unchanged=unchanged)


def documented() -> dict[str, str]:
    """Return the table of docs/bookinfo.md."""
    lines = (ROOT / "docs" / "bookinfo.md").read_text().splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return {row[0]: row[1] for row in rows[1:]}
