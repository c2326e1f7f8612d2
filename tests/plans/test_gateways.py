"""Gateways and the routes that bind to them, as documents: what goes wrong in between is a 404."""

from __future__ import annotations

from textwrap import dedent

from tests.plans.worlds import make_plan, planned


def gateway(name: str, host: str = "shop.example") -> str:
    """Return a Gateway of Istio's own ingress with one server."""
    return dedent(f"""
        ---
        apiVersion: networking.istio.io/v1
        kind: Gateway
        metadata: {{name: {name}}}
        spec:
          selector: {{istio: ingressgateway}}
          servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: ["{host}"]}}]
        """)


def bound(*gateways: str, name: str = "web", host: str = "shop.example", prefix: str = "/") -> str:
    """Return a VirtualService that binds to some gateways."""
    return dedent(f"""
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {{name: {name}}}
        spec:
          hosts: ["{host}"]
          gateways: [{", ".join(gateways)}]
          http:
          - match: [{{uri: {{prefix: {prefix}}}}}]
            route: [{{destination: {{host: reviews, port: {{number: 9080}}}}}}]
        """)


def expected(text: str) -> str:
    """Return a plan as it is written in a test."""
    return dedent(text).strip()


def codes(live: str, desired: str, *deleted: str) -> list[str]:
    """Return why a change is refused."""
    return [refusal.code for refusal in make_plan(live, desired, deleted=deleted).refusals]


def test_a_route_moves_to_a_new_gateway_before_the_old_one_goes() -> None:
    """ISTIO.md 5 no. 4: bound to a Gateway that is not there, a route is inert and its requests are 404."""
    live, desired = gateway("old") + bound("old"), gateway("new") + bound("new")
    assert planned(live, desired, deleted=["Gateway/old"]) == expected("""
        1 widen
            apply Gateway default/new
        2 switch
            apply VirtualService default/web
        3 narrow
            delete Gateway default/old
    """)


def test_a_new_route_of_a_host_comes_before_the_old_one_goes() -> None:
    """ISTIO.md 4.1: gateways merge routes, so both may be there for a while."""
    live, desired = gateway("it") + bound("it"), bound("it", name="renamed")
    assert planned(live, desired, deleted=["VirtualService/web"]) == expected("""
        1 switch
            apply VirtualService default/renamed
        2 narrow
            delete VirtualService default/web
    """)


def test_a_gateway_that_a_live_route_needs_is_not_taken_away() -> None:
    """The route is not among the files, so the operator may not know of it."""
    assert codes(gateway("it") + bound("it"), "", "Gateway/it") == ["in-use"]


def test_a_gateway_that_drops_the_host_of_a_live_route_is_refused() -> None:
    """ISTIO.md 5 no. 4: the route's host has to be among those of a server."""
    assert codes(gateway("it") + bound("it"), gateway("it", "other.example")) == ["in-use"]


def test_a_gateway_and_its_route_may_go_together() -> None:
    """What is not served afterwards need not be served in between."""
    made = make_plan(gateway("it") + bound("it"), "", deleted=["Gateway/it", "VirtualService/web"])
    assert not made.refusals


def test_two_routes_that_trade_their_matches_are_refused() -> None:
    """Either order leaves one of them without a route for a while, and no version holds both."""
    live = gateway("it") + bound("it") + bound("it", name="two", prefix="/cart")
    desired = bound("it", prefix="/cart") + bound("it", name="two")
    assert codes(live, desired) == ["cycle"]


def test_a_wider_route_takes_over_from_a_narrower_one() -> None:
    """A rule for more requests serves these, too."""
    everything = bound("it", name="all", host="*.example").replace(
        "- match: [{uri: {prefix: /}}]\n    route", "- route"
    )
    assert planned(
        gateway("it", "*.example") + bound("it"), everything, deleted=["VirtualService/web"]
    ) == expected("""
        1 switch
            apply VirtualService default/all
        2 narrow
            when outbound|9080||reviews routed on gateways in istio-system (istio=ingressgateway)
            delete VirtualService default/web
    """)
