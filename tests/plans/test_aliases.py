"""Plans for Services of type ExternalName: other names of a host, as documents (ISTIO.md 1.2)."""

from __future__ import annotations

from textwrap import dedent

from tests.plans.worlds import planned, route, rule


def alias(target: str, name: str = "stable") -> str:
    """Return a Service that is another name of a host."""
    return dedent(f"""\
        ---
        apiVersion: v1
        kind: Service
        metadata: {{name: {name}}}
        spec:
          type: ExternalName
          externalName: {target}.default.svc.cluster.local
          ports: [{{name: http, port: 9080}}]
        """)


def service(name: str) -> str:
    """Return a Service with the port that all have here."""
    return dedent(f"""\
        ---
        apiVersion: v1
        kind: Service
        metadata: {{name: {name}}}
        spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 9080}}]}}
        """)


TO_ALIAS = dedent("""\
    ---
    apiVersion: networking.istio.io/v1
    kind: VirtualService
    metadata: {name: ratings}
    spec: {hosts: [ratings], http: [{route: [{destination: {host: stable}}]}]}
    """)


def expected(text: str) -> str:
    """Return a plan as it is written in a test."""
    return dedent(text).strip()


def test_an_alias_is_pointed_elsewhere_between_the_new_target_and_the_old() -> None:
    """No route changes: the alias is what moves the requests, so it is the alias that waits and is waited for."""
    live = service("blue") + alias("blue") + TO_ALIAS
    assert planned(live, service("green") + alias("green"), deleted=["Service/blue"]) == expected("""
        1 widen
            apply Service default/green
        2 widen
            when outbound|9080||green active on sidecars in default
            apply Service default/stable
        3 narrow
            when outbound|9080||blue unreferenced everywhere
            when outbound|9080||green routed on sidecars in default
            soak 1 s
            delete Service default/blue
    """)


def test_the_target_of_an_alias_is_not_removed_while_a_route_names_the_alias() -> None:
    """The cluster that the route leads to is that of the target, which no field of the route says."""
    assert planned(service("blue") + alias("blue") + TO_ALIAS, "", deleted=["Service/blue"]) == (
        "refused in-use: virtualservice.networking.istio.io/default/ratings "
        "spec.http[0].route[0].destination.host names host blue.default.svc.cluster.local "
        "(cluster outbound|9080||blue.default.svc.cluster.local) by its alias stable.default.svc.cluster.local, "
        "which would be removed: a request to ratings.default.svc.cluster.local:9080 would answer 503 NC"
    )


def test_an_alias_is_removed_when_no_route_names_it() -> None:
    """Without the alias the route would name a cluster that nobody has ever had."""
    moved = TO_ALIAS.replace("stable", "reviews")
    assert planned(service("blue") + alias("blue") + TO_ALIAS, moved, deleted=["Service/stable"]) == expected("""
        1 switch
            when outbound|9080||reviews active on sidecars in default
            apply VirtualService default/ratings
        2 narrow
            when outbound|9080||reviews routed on sidecars in default
            delete Service default/stable
    """)


def test_an_alias_whose_route_names_its_target_in_place_of_it_stays() -> None:
    """Both name one cluster, so no Envoy shows that the route has let go of the alias."""
    moved = TO_ALIAS.replace("stable", "blue")
    assert planned(service("blue") + alias("blue") + TO_ALIAS, moved, deleted=["Service/stable"]).startswith(
        "refused no-safe-order: while step 2 (service/default/stable) is under way, a request to ratings"
    )


def test_a_new_alias_and_the_route_that_is_to_name_it_are_two_rollouts() -> None:
    """No Envoy shows that istiod knows an alias, so nothing tells when a route that serves requests may name it."""
    live = service("blue") + TO_ALIAS.replace("stable", "reviews")
    assert planned(live, alias("blue") + TO_ALIAS).startswith(
        "refused no-safe-order: while step 2 (virtualservice.networking.istio.io/default/ratings) is under way"
    )
    assert planned(live, alias("blue")) == expected("""
        1 widen
            apply Service default/stable
    """)
    assert planned(live + alias("blue"), TO_ALIAS) == expected("""
        1 switch
            when outbound|9080||blue active on sidecars in default
            apply VirtualService default/ratings
    """)


def test_the_subsets_of_an_alias_are_those_of_its_target() -> None:
    """The DestinationRule is looked up by the target's host, so that one gets the bridge."""
    live = rule("reviews", "v1") + alias("reviews") + route("ratings", "v1", host="stable")
    assert planned(live, rule("reviews", "v2") + route("ratings", "v2", host="stable")) == expected("""
        1 widen
            apply DestinationRule default/reviews bridge: v1 v2
        2 switch
            when outbound|9080|v2|reviews active on sidecars in default
            apply VirtualService default/ratings
        3 narrow
            when outbound|9080|v1|reviews unreferenced everywhere
            when outbound|9080|v2|reviews routed on sidecars in default
            soak 1 s
            apply DestinationRule default/reviews
    """)


def test_a_rule_for_an_alias_makes_no_subset() -> None:
    """An alias has no clusters, whatever a DestinationRule says of it: the route would lead nowhere."""
    live = alias("reviews") + TO_ALIAS
    wrong = rule("stable", "v1") + TO_ALIAS.replace("{host: stable}", "{host: stable, subset: v1}")
    assert planned(live, wrong).startswith("refused dangling-reference: ")
