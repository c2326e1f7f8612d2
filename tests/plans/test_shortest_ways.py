"""Small groups of objects for which the reference graph finds no order, or too long a one, as documents."""

from __future__ import annotations

from textwrap import dedent

from tests.plans.worlds import make_plan, planned, route, rule


def expected(text: str) -> str:
    """Return a plan as it is written in a test."""
    return dedent(text).strip()


def swapping(name: str, host: str) -> str:
    """Return a VirtualService that sends the requests to a host to that host."""
    return dedent(f"""\
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {{name: {name}}}
        spec: {{hosts: [{host}], http: [{{route: [{{destination: {{host: {host}}}}}]}}]}}
        """)


def only(name: str, prefix: str, *, scope: str = "") -> str:
    """Return a VirtualService for reviews that takes one path, or all, and may be private."""
    match = f"match: [{{uri: {{prefix: {prefix}}}}}], " if prefix else ""
    return dedent(f"""\
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {{name: {name}, creationTimestamp: "2026-01-01T00:00:0{len(name)}Z"}}
        spec: {{hosts: [reviews], {scope}http: [{{{match}route: [{{destination: {{host: reviews}}}}]}}]}}
        """)


def test_two_routes_swap_their_hosts_at_once() -> None:
    """Each host has its default route while none of the two serves it (ISTIO.md 4.4)."""
    live = swapping("one", "reviews") + swapping("other", "ratings")
    assert planned(live, swapping("one", "ratings") + swapping("other", "reviews")) == expected("""
        1 switch
            apply VirtualService default/one
            apply VirtualService default/other
    """)


def test_a_wildcard_rule_becomes_exact_over_a_bridge_at_its_old_host() -> None:
    """A rule can hold both subsets at either host, and the route moves in between (DESIGN 4.2)."""
    wild = "'*.default.svc.cluster.local'"
    live = rule("reviews", "v1", host=wild) + route("reviews", "v1")
    made = make_plan(live, rule("reviews", "v2") + route("reviews", "v2"))
    assert [[o.resource.id.kind for o in step.operations] for step in made.steps] == [
        ["DestinationRule"],
        ["VirtualService"],
        ["DestinationRule"],
    ]
    first = made.steps[0].operations[0]
    assert first.bridge
    assert [subset["name"] for subset in first.resource.spec["subsets"]] == ["v1", "v2"]


def test_a_mirror_is_not_waited_for() -> None:
    """No request fails when the cluster of a mirror is gone (ISTIO.md 1.3)."""
    plain = swapping("reviews", "reviews")
    mirrored = plain.replace("}}]}]", "}}], mirror: {host: reviews, subset: v1}}]")
    assert planned(rule("reviews", "v1") + mirrored, rule("reviews", "v2") + plain) == expected("""
        1 narrow
            apply DestinationRule default/reviews
            apply VirtualService default/reviews
    """)


def test_a_narrow_route_takes_everything_before_the_one_beside_it_goes() -> None:
    """Else a sidecar that lets go of the one and has the other as it was answers 404 NR (ISTIO.md 17 no. 12)."""
    live = only("narrow", "/x") + only("a", "")
    made = make_plan(live, only("narrow", ""), deleted=["VirtualService/a"])
    assert [[o.resource.id.name for o in step.operations] for step in made.steps] == [["narrow"], ["a"]]


def test_a_group_that_is_too_large_is_left_as_the_graph_has_it() -> None:
    """Routes that pass on their hosts wait for each other; fourteen have too many ways to look at all."""
    names = [f"r{number}" for number in range(14)]
    service = "---\n{{apiVersion: v1, kind: Service, metadata: {{name: {}}}, spec: {{ports: [{{port: 80}}]}}}}\n"
    services = "".join(map(service.format, names))
    live = services + "".join(swapping(one, one) for one in names)
    desired = "".join(swapping(one, other) for one, other in zip(names, [*names[1:], names[0]], strict=True))
    assert [refusal.code for refusal in make_plan(live, desired).refusals] == ["cycle"]
