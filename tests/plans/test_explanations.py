"""What would fail without a barrier, as the plan tells it."""

from __future__ import annotations

from safeapply.plans.changes import changes_between
from safeapply.plans.planner import PlanOptions, plan
from tests.plans.worlds import SERVICES, read, route, rule


def without(live: str, desired: str) -> list[str]:
    """Return for each step what would fail if it did not wait."""
    before = {**read(SERVICES, "services.yaml"), **read(live, "live.yaml")}
    changes, _ = changes_between(before, read(desired, "desired.yaml").values(), {})
    return [step.without for step in plan(before, changes, options=PlanOptions(explain=True)).steps]


def test_each_barrier_names_the_request_that_it_saves() -> None:
    """The old subset is named by the route as it is before, the new one by the file."""
    first, second, third = without(
        rule("reviews", "v1") + route("reviews", "v1"), rule("reviews", "v2") + route("reviews", "v2")
    )
    assert first == ""
    assert second == (
        "on sidecars in default a request to reviews.default.svc.cluster.local:9080 can meet a route to subset v2 "
        "of reviews.default.svc.cluster.local without its cluster and answer 503 NC; desired.yaml:10: "
        "virtualservice.networking.istio.io/default/reviews spec.http[0].route[0].destination.subset names it"
    )
    assert third == (
        "on sidecars in default a request to reviews.default.svc.cluster.local:9080 can meet a route to subset v1 "
        "of reviews.default.svc.cluster.local without its cluster and answer 503 NC; "
        "virtualservice.networking.istio.io/default/reviews, as it is before, names it"
    )


def test_nothing_is_explained_unless_asked() -> None:
    """Every explanation costs a proof."""
    before = {**read(SERVICES, "services.yaml"), **read(rule("reviews", "v1"), "live.yaml")}
    changes, _ = changes_between(before, read(rule("reviews", "v2"), "desired.yaml").values(), {})
    assert [step.without for step in plan(before, changes).steps] == [""]
