"""Plans for VirtualServices and DestinationRules, as documents."""

from __future__ import annotations

from textwrap import dedent

import pytest

from tests.plans.worlds import planned, route, rule


def expected(text: str) -> str:
    """Return a plan as it is written in a test."""
    return dedent(text).strip()


def test_a_renamed_subset_goes_over_a_bridge() -> None:
    """The superset is written first, routes move when it is active, the old subset goes when nobody names it."""
    assert planned(
        rule("reviews", "v1") + route("reviews", "v1"), rule("reviews", "v2") + route("reviews", "v2")
    ) == expected("""
        1 widen
            apply DestinationRule default/reviews bridge: v1 v2
        2 switch
            when outbound|9080|v2|reviews active on sidecars in default
            apply VirtualService default/reviews
        3 narrow
            when outbound|9080|v1|reviews unreferenced everywhere
            soak 1 s
            apply DestinationRule default/reviews
    """)


def test_an_added_subset_needs_two_steps() -> None:
    """Nothing is removed, so the rule is written once and there is no bridge."""
    assert planned(
        rule("reviews", "v1") + route("reviews", "v1"), rule("reviews", "v1", "v2") + route("reviews", "v1", "v2")
    ) == expected("""
        1 widen
            apply DestinationRule default/reviews
        2 switch
            when outbound|9080|v2|reviews active on sidecars in default
            apply VirtualService default/reviews
    """)


def test_a_removed_subset_needs_two_steps() -> None:
    """Nothing is added, so the routes let go first and the rule is written once."""
    assert planned(
        rule("reviews", "v1", "v2") + route("reviews", "v1", "v2"), rule("reviews", "v1") + route("reviews", "v1")
    ) == expected("""
        1 switch
            apply VirtualService default/reviews
        2 narrow
            when outbound|9080|v2|reviews unreferenced everywhere
            soak 1 s
            apply DestinationRule default/reviews
    """)


def test_a_change_of_a_timeout_is_one_step() -> None:
    """Where no reference changes nothing waits."""
    assert planned(
        rule("reviews", "v1") + route("reviews", "v1"),
        rule("reviews", "v1") + route("reviews", "v1", extra=", timeout: 3s"),
    ) == expected("""
        1 switch
            apply VirtualService default/reviews
    """)


def test_nothing_to_change_is_no_step() -> None:
    """A directory that is live already plans to nothing."""
    world = rule("reviews", "v1") + route("reviews", "v1")
    assert planned(world, world) == ""


def test_a_subset_that_nobody_uses_goes_in_one_step() -> None:
    """The proxies are asked all the same: an earlier run may have been killed before they let go."""
    assert planned(rule("reviews", "v1", "v2") + route("reviews", "v1"), rule("reviews", "v1")) == expected("""
        1 narrow
            when outbound|9080|v2|reviews unreferenced everywhere
            soak 1 s
            apply DestinationRule default/reviews
    """)


def test_two_hosts_share_the_steps() -> None:
    """A second host that only loses a subset adds no barrier to the rename of the first."""
    assert planned(
        rule("reviews", "v1") + route("reviews", "v1") + rule("ratings", "v1", "v2") + route("ratings", "v2"),
        rule("reviews", "v2") + route("reviews", "v2") + rule("ratings", "v1") + route("ratings", "v1"),
    ) == expected("""
        1 widen
            apply DestinationRule default/reviews bridge: v1 v2
        2 switch
            when outbound|9080|v1|ratings active on sidecars in default
            when outbound|9080|v2|reviews active on sidecars in default
            apply VirtualService default/ratings
            apply VirtualService default/reviews
        3 narrow
            when outbound|9080|v1|reviews unreferenced everywhere
            when outbound|9080|v2|ratings unreferenced everywhere
            soak 1 s
            apply DestinationRule default/ratings
            apply DestinationRule default/reviews
    """)


def test_a_host_that_gains_and_one_that_loses_need_one_barrier() -> None:
    """As few barriers as the longest chain has: nothing forces three steps here."""
    made = planned(
        rule("reviews", "v1") + route("reviews", "v1") + rule("ratings", "v1", "v2") + route("ratings", "v2"),
        rule("reviews", "v1", "v2") + route("reviews", "v2") + rule("ratings", "v1") + route("ratings", "v1"),
    )
    assert [line for line in made.splitlines() if not line.startswith(" ")] == ["1 widen", "2 narrow"] or [
        line for line in made.splitlines() if not line.startswith(" ")
    ] == ["1 switch", "2 narrow"]


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
def test_the_api_version_is_no_part_of_identity(version: str) -> None:
    """One object under every version that the API server serves."""
    world = rule("reviews", "v1") + route("reviews", "v1")
    assert planned(world, world.replace("istio.io/v1", f"istio.io/{version}")) == ""


def test_nobody_waits_for_a_mirror() -> None:
    """ISTIO.md 1.3: a mirror whose cluster is not there yet costs its caller nothing, so one step is enough."""
    mirror = ", mirror: {host: reviews, subset: shadow}"
    assert planned(
        rule("reviews", "v1") + route("reviews", "v1"),
        rule("reviews", "v1", "shadow") + route("reviews", "v1", extra=mirror),
    ) == expected("""
        1 switch
            apply DestinationRule default/reviews
            apply VirtualService default/reviews
    """)


def test_weight_zero_is_no_reference() -> None:
    """Envoy never gets a destination of weight 0 among several (ISTIO.md 1.3)."""
    weightless = dedent("""\
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {name: reviews}
        spec:
          hosts: [reviews]
          http:
          - route:
            - {destination: {host: reviews, subset: v1}, weight: 100}
            - {destination: {host: reviews, subset: v2}, weight: 0}
        """)
    assert planned(rule("reviews", "v1") + route("reviews", "v1"), weightless) == expected("""
        1 switch
            apply VirtualService default/reviews
    """)


def tcp_route(subset: str, kind: str = "tcp", match: str = "") -> str:
    """Return a VirtualService for mysql with one TCP or TLS rule."""
    return dedent(f"""\
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {{name: mysql}}
        spec:
          hosts: [mysql]
          {kind}:
          - route: [{{destination: {{host: mysql, subset: {subset}}}}}]
            {match}
        """)


@pytest.mark.parametrize(
    ("kind", "match"), [("tcp", ""), ("tls", "match: [{sniHosts: [mysql.default.svc.cluster.local]}]")]
)
def test_tcp_and_tls_routes_are_references_too(kind: str, match: str) -> None:
    """Their cluster names stand in listeners; the order is the same."""
    assert planned(
        rule("mysql", "v1") + tcp_route("v1", kind, match), rule("mysql", "v2") + tcp_route("v2", kind, match)
    ) == expected("""
        1 widen
            apply DestinationRule default/mysql bridge: v1 v2
        2 switch
            when outbound|3306|v2|mysql active on sidecars in default
            apply VirtualService default/mysql
        3 narrow
            when outbound|3306|v1|mysql unreferenced everywhere
            soak 1 s
            apply DestinationRule default/mysql
    """)


ROOT = """\
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec: {hosts: [reviews], http: [{delegate: {name: %s}}]}
"""


def delegate(name: str, subset: str) -> str:
    """Return a delegate: a VirtualService without hosts."""
    return dedent(f"""\
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {{name: {name}}}
        spec: {{http: [{{route: [{{destination: {{host: reviews, subset: {subset}}}}}]}}]}}
        """)


def test_a_new_delegate_comes_before_its_root() -> None:
    """The delegate is inert until the root names it; the root would drop its rule without it (ISTIO.md 4.6)."""
    assert planned(
        rule("reviews", "v1") + route("reviews", "v1"),
        rule("reviews", "v1", "v2") + ROOT % "leaf" + delegate("leaf", "v2"),
    ) == expected("""
        1 widen
            apply DestinationRule default/reviews
            apply VirtualService default/leaf
        2 switch
            when outbound|9080|v2|reviews active on sidecars in default
            apply VirtualService default/reviews
    """)


def test_an_old_delegate_goes_after_its_root_let_go() -> None:
    """Order is enough here: istiod sees VirtualServices in the order in which they were written."""
    assert planned(
        rule("reviews", "v1") + ROOT % "leaf" + delegate("leaf", "v1"),
        route("reviews", "v1"),
        deleted=["VirtualService/leaf"],
    ) == expected("""
        1 switch
            apply VirtualService default/reviews
        2 narrow
            delete VirtualService default/leaf
    """)


def test_a_change_inside_a_delegate_waits_for_its_subset() -> None:
    """References inside a delegate count for its root."""
    assert planned(
        rule("reviews", "v1") + ROOT % "leaf" + delegate("leaf", "v1"),
        rule("reviews", "v2") + delegate("leaf", "v2"),
    ) == expected("""
        1 widen
            apply DestinationRule default/reviews bridge: v1 v2
        2 switch
            when outbound|9080|v2|reviews active on sidecars in default
            apply VirtualService default/leaf
        3 narrow
            when outbound|9080|v1|reviews unreferenced everywhere
            soak 1 s
            apply DestinationRule default/reviews
    """)


def test_a_subset_moves_from_one_rule_to_another() -> None:
    """The rule that gains it is written before the rule that loses it, so it exists throughout."""
    assert planned(
        rule("a", "v1", "v2", host="reviews") + rule("b", "v3", host="reviews") + route("reviews", "v2"),
        rule("a", "v1", host="reviews") + rule("b", "v2", "v3", host="reviews"),
    ) == expected("""
        1 widen
            apply DestinationRule default/b
        2 narrow
            apply DestinationRule default/a
    """)


def test_a_renamed_rule_is_created_before_the_old_one_goes() -> None:
    """Two rules for one host merge, so the subsets exist throughout (ISTIO.md 3.3)."""
    assert planned(
        rule("old", "v1", host="reviews") + route("reviews", "v1"),
        rule("new", "v1", host="reviews"),
        deleted=["DestinationRule/old"],
    ) == expected("""
        1 widen
            apply DestinationRule default/new
        2 narrow
            delete DestinationRule default/old
    """)


def test_a_renamed_route_is_created_before_the_old_one_goes() -> None:
    """There is no moment without a route for the host (ISTIO.md 4.10)."""
    old = route("reviews", "v1")
    assert planned(
        rule("reviews", "v1") + old,
        old.replace("{name: reviews}", "{name: renamed}"),
        deleted=["VirtualService/reviews"],
    ) == expected("""
        1 switch
            apply VirtualService default/renamed
        2 narrow
            delete VirtualService default/reviews
    """)


def test_a_deleted_route_frees_the_subset_of_a_deleted_rule() -> None:
    """Deleting both: the route first, and the rule when no proxy names its subset."""
    assert planned(
        rule("reviews", "v1") + route("reviews", "v1"),
        "",
        deleted=["VirtualService/reviews", "DestinationRule/reviews"],
    ) == expected("""
        1 narrow
            delete VirtualService default/reviews
        2 narrow
            when outbound|9080|v1|reviews unreferenced everywhere
            soak 1 s
            delete DestinationRule default/reviews
    """)


def test_a_new_namespace_comes_first() -> None:
    """As kubectl's users expect; nothing has to be waited for."""
    desired = dedent("""\
        ---
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: settings, namespace: shop}
        ---
        apiVersion: v1
        kind: Namespace
        metadata: {name: shop}
        """)
    assert planned("", desired) == expected("""
        1 widen
            apply Namespace /shop
        2 widen
            apply ConfigMap shop/settings
    """)


def test_a_dangling_subset_is_refused_with_file_line_and_field() -> None:
    """A route to a subset that no rule gives is refused before the first write."""
    assert planned(rule("reviews", "v1") + route("reviews", "v1"), route("reviews", "v9")) == (
        "refused dangling-reference: desired.yaml:5: virtualservice.networking.istio.io/default/reviews "
        "spec.http[0].route[0].destination.subset names subset v9 of reviews.default.svc.cluster.local, which will "
        "not exist: a request to reviews.default.svc.cluster.local:9080 would answer 503 NC"
    )


def test_a_subset_in_use_outside_the_files_is_not_removed() -> None:
    """A live route that is not among the files keeps its subset."""
    assert planned(rule("reviews", "v1", "v2") + route("reviews", "v2"), rule("reviews", "v1")) == (
        "refused in-use: virtualservice.networking.istio.io/default/reviews "
        "spec.http[0].route[0].destination.subset names subset v2 of reviews.default.svc.cluster.local, "
        "which would be removed: a request to reviews.default.svc.cluster.local:9080 would answer 503 NC"
    )


def test_a_reference_that_dangles_today_may_go_on_dangling() -> None:
    """What is broken already is not this rollout's to refuse."""
    assert planned(
        rule("reviews", "v1") + route("reviews", "v9"), route("reviews", "v9", extra=", timeout: 3s")
    ) == expected("""
        1 switch
            apply VirtualService default/reviews
    """)


def test_a_delegate_that_a_live_root_needs_is_not_deleted() -> None:
    """Istiod would silently drop the rule and send its requests elsewhere."""
    made = planned(
        rule("reviews", "v1") + ROOT % "leaf" + delegate("leaf", "v1"), "", deleted=["VirtualService/leaf"]
    )
    assert made.startswith(
        "refused missing-delegate: virtualservice.networking.istio.io/default/reviews spec.http[0].delegate hands "
        "over to virtualservice.networking.istio.io/default/leaf, which will not exist"
    )
