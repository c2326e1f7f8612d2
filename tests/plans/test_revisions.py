"""Objects that only istiods of one revision read: who gets them, who is waited for, what is refused."""

from __future__ import annotations

import pytest

from safeapply.istio.proxies import Labels, Proxy, Role, Traits
from safeapply.istio.revisions import OTHER, Revision
from safeapply.resources.objects import Namespace
from tests.plans.test_gateways import bound, expected, gateway
from tests.plans.worlds import make_plan, planned, printed, route, rule


def of(revision: str, document: str, name: str = "") -> str:
    """Return a document with the label of a revision, and under another name."""
    head, _, rest = document.partition("metadata: {name: ")
    old, _, rest = rest.partition("}")
    return f'{head}metadata: {{name: {name or old}, labels: {{istio.io/rev: "{revision}"}}}}{rest}'


def proxy(revision: str, pod: str = "") -> Proxy:
    """Return an Envoy of a revision."""
    space = Namespace("default")
    return Proxy(space, pod or f"pod-{revision}", revision, Role.SIDECAR, Labels(), ready=True, revision=revision)


LIVE = of("canary", rule("reviews", "v1") + of("canary", route("reviews", "v1")))
DESIRED = of("canary", rule("reviews", "v2") + of("canary", route("reviews", "v2")))


def test_only_proxies_of_the_revision_that_reads_an_object_are_waited_for() -> None:
    """Others never get the cluster; where it goes, nobody else has it, and all may be asked."""
    assert planned(LIVE, DESIRED) == expected("""
        1 widen
            apply DestinationRule default/reviews bridge: v1 v2
        2 switch
            when outbound|9080|v2|reviews active on sidecars in default of revision canary
            apply VirtualService default/reviews
        3 narrow
            when outbound|9080|v1|reviews unreferenced everywhere
            soak 1 s
            apply DestinationRule default/reviews
    """)


def test_a_subset_that_another_revision_keeps_goes_from_this_one_alone() -> None:
    """Two rules of one host do not merge where no istiod reads both."""
    others = of("stable", rule("reviews", "v1"), "stable") + of("stable", route("reviews", "v1"), "stable")
    assert planned(LIVE + others, DESIRED + others) == expected("""
        1 widen
            apply DestinationRule default/reviews bridge: v1 v2
        2 switch
            when outbound|9080|v2|reviews active on sidecars in default of revision canary
            apply VirtualService default/reviews
        3 narrow
            when outbound|9080|v1|reviews unreferenced sidecars in default of revision canary
            soak 1 s
            apply DestinationRule default/reviews
    """)


def test_a_route_for_all_needs_its_subset_in_every_revision() -> None:
    """A subset that only the canary's istiod knows is none for the others."""
    made = make_plan("", of("canary", rule("reviews", "v1")) + route("reviews", "v1"))
    assert [(one.code, one.proxy_class) for one in made.refusals] == [
        ("dangling-reference", "sidecars in default of other revisions")
    ]


def test_a_route_of_one_revision_finds_no_subset_of_another() -> None:
    """The rule is there, and the route's istiod does not read it."""
    made = make_plan("", of("stable", rule("reviews", "v1")) + of("canary", route("reviews", "v1")))
    assert [(one.code, one.proxy_class) for one in made.refusals] == [
        ("dangling-reference", "sidecars in default of revision canary")
    ]


def test_a_rule_that_becomes_the_canarys_own_takes_its_subset_from_the_others() -> None:
    """A label is a write like any other: what the others route to would be gone."""
    live = rule("reviews", "v1") + route("reviews", "v1")
    made = make_plan(live, of("canary", rule("reviews", "v1")))
    assert [one.code for one in made.refusals] == ["in-use"]
    both = of("canary", rule("reviews", "v1")) + of("canary", route("reviews", "v1"))
    assert planned(live, both) == expected("""
        1 switch
            apply VirtualService default/reviews
        2 narrow
            when outbound|9080|v1|reviews unreferenced sidecars in default of other revisions
            soak 1 s
            apply DestinationRule default/reviews
    """)


def test_a_route_for_all_waits_until_every_revision_has_the_subset() -> None:
    """Each revision gets it from a rule of its own; either may be late."""
    rules = [of(one, rule("reviews", "v1", "v2"), one) for one in ("canary", "stable")]
    live = "".join(of(one, rule("reviews", "v1"), one) for one in ("canary", "stable"))
    live += of("canary", route("reviews", "v1"), "canary") + of("stable", route("reviews", "v1"), "stable")
    desired = "".join(rules) + of("canary", route("reviews", "v2"), "canary")
    desired += of("stable", route("reviews", "v2"), "stable")
    assert planned(live, desired) == expected("""
        1 widen
            apply DestinationRule default/canary
            apply DestinationRule default/stable
        2 switch
            when outbound|9080|v2|reviews active on sidecars in default of revision canary, sidecars in default of revision stable
            apply VirtualService default/canary
            apply VirtualService default/stable
    """)  # noqa: E501  a printed plan


def test_a_gateway_of_another_revision_binds_no_route() -> None:
    """What its istiod does not read is not there: the route moves to one that is read before the old one goes."""
    live = of("canary", gateway("old")) + of("canary", bound("old"))
    desired = of("stable", gateway("new")) + of("canary", gateway("newer")) + of("canary", bound("new", "newer"))
    assert planned(live, desired, deleted=["Gateway/old"]) == expected("""
        1 widen
            apply Gateway default/new
            apply Gateway default/newer
        2 switch
            apply VirtualService default/web
        3 narrow
            delete Gateway default/old
    """)


@pytest.mark.parametrize("bystander", [rule("ratings", "v1"), route("ratings", "v1")], ids=["rule", "route"])
def test_an_object_of_a_revision_elsewhere_changes_no_plan(bystander: str) -> None:
    """Barriers name revisions only where they make a difference."""
    live, desired = rule("reviews", "v1") + route("reviews", "v1"), rule("reviews", "v2") + route("reviews", "v2")
    beside = of("canary", bystander)
    assert planned(live + beside, desired) == planned(live, desired)


@pytest.mark.parametrize(
    ("revisions", "codes"),
    [
        (["canary", "default"], []),
        (["default", "stable"], ["other-revision"]),
        (["canary", ""], ["unknown-revision"]),
        ([], []),
    ],
    ids=["some are of it", "none is of it", "one does not say", "none runs"],
)
def test_a_plan_tells_where_nobody_gets_an_object_or_where_that_is_not_known(
    revisions: list[str], codes: list[str]
) -> None:
    """A tag is understood by nobody; a proxy that nobody injected may stand still for ever."""
    made = make_plan("", of("canary", rule("reviews", "v1")), proxies=map(proxy, revisions))
    assert [one.code for one in made.warnings] == codes


def test_a_proxy_that_does_not_tell_its_revision_may_be_of_any() -> None:
    """So it has to show what any of them would."""
    traits = Traits(revisions=frozenset({Revision("canary")}))
    told = {one: {each.revision for each in traits.classes(proxy(one))} for one in ("canary", "stable", "")}
    assert told == {"canary": {"canary"}, "stable": {OTHER}, "": {"canary", OTHER}}


def test_an_empty_label_is_nobodys() -> None:
    """Istio compares to the letter, and each istiod of its charts has a name."""
    made = make_plan("", of("", rule("reviews", "v1")) + route("reviews", "v1"))
    assert [one.code for one in made.refusals] == ["dangling-reference"]
    assert (
        printed(make_plan("", of("", rule("reviews", "v1"))))
        == "1 widen\n    apply DestinationRule default/reviews"
    )
