"""Objects that only istiods of one revision read: the plan says so where proxies of others run."""

from __future__ import annotations

import pytest

from safeapply.istio.proxies import Labels, Proxy, Role
from safeapply.resources.objects import Namespace
from tests.plans.worlds import make_plan, rule

LABELLED = rule("reviews", "v1").replace("{name: reviews}", "{name: reviews, labels: {istio.io/rev: canary}}", 1)


def proxy(revision: str) -> Proxy:
    """Return an Envoy of a revision."""
    return Proxy(
        Namespace("default"), f"pod-{revision}", revision, Role.SIDECAR, Labels(), ready=True, revision=revision
    )


@pytest.mark.parametrize(
    ("desired", "revisions", "warned"),
    [
        (LABELLED, ["canary", "default", "stable"], True),
        (LABELLED, ["canary", ""], False),
        (LABELLED, [], False),
        (rule("reviews", "v1"), ["canary", "default"], False),
    ],
    ids=["others run", "all are of it, or say nothing", "none run", "no label"],
)
def test_an_object_of_one_revision_among_proxies_of_others_is_told(
    desired: str, revisions: list[str], *, warned: bool
) -> None:
    """With how many they are, and with what to do; before anything waits for them."""
    warnings = make_plan("", desired, proxies=map(proxy, revisions)).warnings
    assert [one.code for one in warnings] == ["other-revision"] * warned
    assert all("2 of the proxies that run belong to others" in one.message for one in warnings)


def test_taking_the_label_away_is_told_as_well() -> None:
    """Those of other revisions get the object only then."""
    found = make_plan(LABELLED, rule("reviews", "v1", "v2"), proxies=[proxy("default"), proxy("canary")]).warnings
    assert [one.code for one in found] == ["other-revision"]
