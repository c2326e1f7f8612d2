"""Objects that must be live and desired at once, as documents: plans with bridges other than subsets."""

from __future__ import annotations

from textwrap import dedent

from safeapply.istio.mesh_settings import MeshSettings
from safeapply.plans.changes import Change
from safeapply.plans.joins import join_sidecar
from safeapply.plans.versions import Stage, bridges
from safeapply.resources.objects import Document
from tests.plans.worlds import make_plan, planned, read, route, rule

SHOP = """
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: scope, namespace: shop}
spec: {egress: [{hosts: ["./*"]}]}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {ports: [{name: http, port: 80}]}}
"""
WEB = "{destination: {host: web}}"
REVIEWS = "{destination: {host: reviews.default.svc.cluster.local, port: {number: 9080}}}"


def web(destination: str) -> str:
    """Return a VirtualService of the scoped namespace with one destination."""
    return f"""
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web, namespace: shop}}
spec: {{hosts: [web], http: [{{route: [{destination}]}}]}}
"""


def expected(text: str) -> str:
    """Return a plan as it is written in a test."""
    return dedent(text).strip()


def test_nobody_waits_for_a_proxy_whose_scope_leaves_the_host_out() -> None:
    """ISTIO.md 9.4: sidecars in shop never get clusters of reviews, so no barrier may name them."""
    assert planned(
        SHOP + rule("reviews", "v1") + route("reviews", "v1"), rule("reviews", "v2") + route("reviews", "v2")
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


def test_a_scoped_proxy_gets_a_cluster_by_a_route_of_weight_zero_first() -> None:
    """ISTIO.md 9.3: the cluster would come with the route that needs it; so it is named before, at weight 0."""
    made = make_plan(SHOP + web(WEB), web(REVIEWS))
    assert made.steps[0].operations[0].resource.spec["http"] == [
        {
            "route": [
                {"destination": {"host": "web"}, "weight": 100},
                {
                    "destination": {"host": "reviews.default.svc.cluster.local", "port": {"number": 9080}},
                    "weight": 0,
                },
            ]
        }
    ]
    assert planned(SHOP + web(WEB), web(REVIEWS)) == expected("""
        1 widen
            apply VirtualService shop/web bridge
        2 switch
            when outbound|9080||reviews active on sidecars in default, sidecars in shop
            apply VirtualService shop/web
    """)


def test_a_scoped_proxy_keeps_a_cluster_until_no_route_leads_there() -> None:
    """ISTIO.md 9.1: the cluster would go before the new route comes; so it stays named, at weight 0."""
    assert planned(SHOP + web(REVIEWS), web(WEB)) == expected("""
        1 switch
            when outbound|80||web.shop.svc.cluster.local active on sidecars in default, sidecars in shop
            apply VirtualService shop/web bridge
        2 narrow
            when outbound|9080||reviews unreferenced sidecars in shop
            when outbound|80||web.shop.svc.cluster.local routed on sidecars in default
            soak 1 s
            apply VirtualService shop/web
    """)


def test_a_route_that_goes_with_its_import_is_refused() -> None:
    """No version of an absent object can hold the cluster: the failing request is shown, and nothing is written."""
    made = make_plan(SHOP + web(REVIEWS), "", deleted=["VirtualService/web"])
    assert [refusal.code for refusal in made.refusals] == ["no-safe-order"]
    assert not made.steps


def test_a_scope_is_written_once_where_no_route_moves() -> None:
    """ISTIO.md 5 no. 14: what a scope lets go of must not be named any more."""
    to_reviews = SHOP.replace('"./*"', '"./*", "*/reviews.default.svc.cluster.local"')
    live = to_reviews + web(WEB)
    desired = SHOP.replace('"./*"', '"./*", "*/ratings.default.svc.cluster.local"').split("---\n{")[0]
    assert planned(live, desired) == expected("""
        1 widen
            when outbound|9080||reviews unreferenced sidecars in shop
            soak 1 s
            apply Sidecar shop/scope
    """)


def test_a_scope_that_trades_hosts_with_a_route_is_both_in_between() -> None:
    """The join of two Sidecars imports for the old and the new route; it is widened first and narrowed last."""
    scopes = [
        SHOP.replace('"./*"', f'"./*", "*/{name}.default.svc.cluster.local"') for name in ("reviews", "ratings")
    ]
    live, desired = (
        scopes[0] + web(REVIEWS),
        scopes[1].split("---\n{")[0] + web(REVIEWS.replace("reviews", "ratings")),
    )
    assert planned(live, desired) == expected("""
        1 widen
            apply Sidecar shop/scope bridge
        2 switch
            when outbound|9080||ratings active on sidecars in default, sidecars in shop
            apply VirtualService shop/web
        3 narrow
            when outbound|9080||reviews unreferenced sidecars in shop
            when outbound|9080||ratings routed on sidecars in default
            soak 1 s
            apply Sidecar shop/scope
    """)


def test_a_join_of_scopes_leaves_out_what_both_leave_out() -> None:
    """What one of them excludes (``~namespace/host``) the other may need."""
    live = {"egress": [{"hosts": ["*/*", "~data/*", "~logs/*"]}]}
    desired = {"egress": [{"hosts": ["*/*", "~logs/*"]}]}
    assert join_sidecar(live, desired) == {"egress": [{"hosts": ["*/*", "~logs/*"]}]}


def joined(kind: str, live: str, desired: str) -> Document | None:
    """Return the joined spec of two versions of one object, given as YAML in flow style."""
    form = "apiVersion: {}\nkind: {}\nmetadata: {{name: it}}\nspec: {}\n"
    version = "v1" if kind == "Service" else "networking.istio.io/v1"
    (before,), (after,) = (read(form.format(version, kind, spec), "it.yaml").values() for spec in (live, desired))
    bridge = bridges(Change(before.id, before, after, after), MeshSettings()).get(Stage.BRIDGE)
    return None if bridge is None else bridge.spec


def test_two_gateways_join_to_the_servers_of_both() -> None:
    """A server that both have answers for the hosts of both."""
    assert joined(
        "Gateway",
        "{selector: {app: gw}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [a.example]}]}",
        "{selector: {app: gw}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [b.example]},"
        " {port: {number: 81, name: more, protocol: HTTP}, hosts: [c.example]}]}",
    ) == {
        "selector": {"app": "gw"},
        "servers": [
            {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["a.example", "b.example"]},
            {"port": {"number": 81, "name": "more", "protocol": "HTTP"}, "hosts": ["c.example"]},
        ],
    }


def test_two_entries_join_to_the_hosts_and_ports_of_both() -> None:
    """Where they are resolved in one way."""
    live = "{hosts: [a.example], resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]}"
    desired = "{hosts: [b.example], resolution: DNS, ports: [{number: 443, name: tls, protocol: TLS}]}"
    assert joined("ServiceEntry", live, desired) == {
        "hosts": ["a.example", "b.example"],
        "resolution": "DNS",
        "ports": [
            {"number": 80, "name": "http", "protocol": "HTTP"},
            {"number": 443, "name": "tls", "protocol": "TLS"},
        ],
    }
    assert joined("ServiceEntry", live, desired.replace("DNS", "STATIC")) is None


def test_two_services_join_to_the_ports_of_both() -> None:
    """Two ports of one name cannot be in one Service."""
    live, desired = "{ports: [{name: http, port: 80}]}", "{ports: [{name: web, port: 81}]}"
    assert joined("Service", live, desired) == {
        "ports": [{"name": "http", "port": 80}, {"name": "web", "port": 81}]
    }
    assert joined("Service", live, desired.replace("web", "http")) is None


def test_two_rules_join_to_the_subsets_and_the_audience_of_both() -> None:
    """Who may see one of them may see the bridge."""
    assert joined(
        "DestinationRule",
        '{host: reviews, exportTo: ["."], subsets: [{name: v1}]}',
        "{host: reviews, exportTo: [shop], subsets: [{name: v2}]}",
    ) == {"host": "reviews", "exportTo": [".", "shop"], "subsets": [{"name": "v1"}, {"name": "v2"}]}


def test_a_scope_that_lets_a_route_in_waits_for_nothing() -> None:
    """The route and the cluster that it names come in one push: before it there is no cluster to wait for."""
    closed = SHOP.replace('"./*"', '"~/*"')
    assert planned(closed + web(REVIEWS), SHOP.split("---\n{", maxsplit=1)[0]) == expected("""
        1 widen
            apply Sidecar shop/scope
    """)


def test_an_audience_of_everybody_stands_alone() -> None:
    """Istio's webhook refuses a star beside others."""
    live, desired = '{host: reviews, exportTo: ["."]}', '{host: reviews, exportTo: ["*"]}'
    assert joined("DestinationRule", live, desired) == {"host": "reviews", "exportTo": ["*"], "subsets": []}
