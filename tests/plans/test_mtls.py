"""Mutual TLS as documents: plans that change what servers accept, and what their clients send (ISTIO.md 6.5)."""

from __future__ import annotations

from textwrap import dedent

from safeapply.plans.changes import changes_between
from safeapply.plans.plan import Plan
from safeapply.plans.planner import PlanOptions, plan
from tests.plans.worlds import printed, read, route, rule

SERVICES = """
{apiVersion: v1, kind: Service, metadata: {name: web},
 spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: db},
 spec: {selector: {app: db}, ports: [{name: tcp, port: 3306}]}}
"""
ONE = SERVICES.split("---", maxsplit=1)[0]


def policy(mode: str, *, name: str = "default", namespace: str = "default", selector: str = "") -> str:
    """Return a PeerAuthentication."""
    chosen = f"selector: {{matchLabels: {{{selector}}}}}, " if selector else ""
    return dedent(f"""
        ---
        apiVersion: security.istio.io/v1
        kind: PeerAuthentication
        metadata: {{name: {name}, namespace: {namespace}}}
        spec: {{{chosen}mtls: {{mode: {mode}}}}}
        """)


def client(mode: str, name: str = "web") -> str:
    """Return a DestinationRule that says what clients send."""
    return dedent(f"""
        ---
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {{name: {name}}}
        spec: {{host: {name}, trafficPolicy: {{tls: {{mode: {mode}}}}}}}
        """)


def change(live: str, desired: str, *, deleted: str = "", services: str = ONE, explain: bool = False) -> Plan:
    """Return the plan from one YAML to another."""
    before = {**read(services, "services.yaml"), **read(live, "live.yaml")}
    gone = [one for one in before if f"{one.kind}/{one.name}" == deleted]
    changes, unchanged = changes_between(before, read(desired, "desired.yaml").values(), {}, gone)
    return plan(before, changes, unchanged=unchanged, options=PlanOptions(explain=explain))


def planned(live: str, desired: str, *, deleted: str = "") -> str:
    """Return the printed plan for a mesh of one service."""
    return printed(change(live, desired, deleted=deleted))


def expected(text: str) -> str:
    """Return a plan as it is written in a test."""
    return dedent(text).strip()


def test_strict_is_one_step_where_nobody_says_otherwise() -> None:
    """ISTIO.md 6.5: automatic mTLS sends mTLS to a PERMISSIVE server, so nobody has to wait."""
    assert planned(policy("PERMISSIVE"), policy("STRICT")) == expected("""
        1 widen
            apply PeerAuthentication default/default
    """)


def test_servers_are_let_go_of_before_their_clients_send_plaintext() -> None:
    """ISTIO.md 6.5: PERMISSIVE, seen on servers; then the pin, seen on clients; then DISABLE; then unpin."""
    assert planned(policy("STRICT"), policy("DISABLE")) == expected("""
        1 widen
            apply PeerAuthentication default/default bridge
        2 widen
            when inbound|8080|| accepts PERMISSIVE on sidecars in default
            apply DestinationRule default/safeapply-pin-web bridge: safeapply-pin
        3 narrow
            when outbound|80||web sends plaintext on sidecars in default
            apply PeerAuthentication default/default
        4 narrow
            when inbound|8080|| accepts DISABLE on sidecars in default
            delete DestinationRule default/safeapply-pin-web
    """)


def test_clients_are_pinned_before_their_servers_come_from_disable() -> None:
    """ISTIO.md 6.5: pin DISABLE; PERMISSIVE; wait servers; unpin; wait clients; STRICT. A mark shows the pin."""
    assert planned(policy("DISABLE"), policy("STRICT")) == expected("""
        1 widen
            apply DestinationRule default/safeapply-pin-web bridge: safeapply-pin
        2 widen
            when outbound|80|safeapply-pin|web sends plaintext on sidecars in default
            apply PeerAuthentication default/default bridge
        3 narrow
            when inbound|8080|| accepts PERMISSIVE on sidecars in default
            delete DestinationRule default/safeapply-pin-web
        4 narrow
            when outbound|80|safeapply-pin|web absent sidecars in default
            when outbound|80||web sends mTLS on sidecars in default
            apply PeerAuthentication default/default
    """)


def test_clients_that_say_what_they_send_are_not_pinned() -> None:
    """Explicit modes do not move with the servers: PERMISSIVE in between is enough."""
    live, desired = policy("DISABLE") + client("DISABLE"), policy("STRICT") + client("ISTIO_MUTUAL")
    assert planned(live, desired) == expected("""
        1 widen
            apply PeerAuthentication default/default bridge
        2 switch
            when inbound|8080|| accepts PERMISSIVE on sidecars in default
            apply DestinationRule default/web
        3 narrow
            when outbound|80||web sends mTLS on sidecars in default
            apply PeerAuthentication default/default
    """)


def test_a_rule_of_the_set_is_pinned_itself() -> None:
    """ISTIO.md 6.5: a DestinationRule that changes anyway holds its clients still on its way."""
    live, desired = policy("DISABLE") + rule("web", "v1"), policy("STRICT") + client("ISTIO_MUTUAL")
    made = change(live, desired)
    first = made.steps[0].operations[0].resource
    assert (first.id.name, first.spec["trafficPolicy"]) == ("web", {"tls": {"mode": "DISABLE"}})
    assert [subset["name"] for subset in first.spec["subsets"]] == ["v1", "safeapply-pin"]


def test_a_server_is_strict_only_after_its_clients_send_mtls() -> None:
    """ISTIO.md 6.5: PERMISSIVE to STRICT only when no effective DestinationRule is DISABLE any more."""
    live, desired = policy("PERMISSIVE") + client("DISABLE"), policy("STRICT") + client("ISTIO_MUTUAL")
    assert planned(live, desired) == expected("""
        1 switch
            apply DestinationRule default/web
        2 widen
            when outbound|80||web sends mTLS on sidecars in default
            apply PeerAuthentication default/default
    """)


def test_what_would_conflict_for_good_is_refused_with_both_objects() -> None:
    """ISTIO.md 6.4: the requests, what the server wants, what the client sends, and who says so."""
    made = change(policy("PERMISSIVE") + client("DISABLE"), policy("STRICT"))
    (refusal,) = made.refusals
    assert (refusal.code, [one.name for one in refusal.objects]) == ("tls-conflict", ["default", "web"])
    assert refusal.request == (
        "once all is written, requests of sidecars in default to web.default.svc.cluster.local:80 would be reset: "
        "the server wants mTLS (peerauthentication.security.istio.io/default/default, STRICT), the client sends "
        "plaintext (destinationrule.networking.istio.io/default/web)"
    )


def test_what_is_in_conflict_today_is_not_the_plans_to_keep() -> None:
    """A request that fails before the rollout may fail during it, and stops nothing."""
    live = policy("STRICT") + client("DISABLE") + rule("db", "v1")
    made = change(live, rule("db", "v2"), services=SERVICES)
    assert (len(made.steps), made.refusals) == (1, ())


def test_a_pin_that_cannot_hold_is_no_plan() -> None:
    """An older rule of the host whose trafficPolicy says nothing of TLS keeps a pin out (ISTIO.md 3.3)."""
    pool = client("DISABLE").replace("tls: {mode: DISABLE}", "connectionPool: {tcp: {maxConnections: 1}}")
    made = change(policy("DISABLE") + pool, policy("STRICT"))
    (refusal,) = made.refusals
    assert refusal.code == "no-safe-order"
    assert "pin their clients" in refusal.remedy


def test_a_rollout_that_was_killed_takes_its_pins_away() -> None:
    """A pin names the policies it is for, so the same command, run again, finds and deletes it."""
    made = change(policy("STRICT"), policy("DISABLE"))
    (pin,) = made.steps[1].operations
    before = {**read(ONE + policy("DISABLE"), "live.yaml"), pin.resource.id: pin.resource}
    changes, unchanged = changes_between(before, read(policy("DISABLE"), "desired.yaml").values(), {})
    assert printed(plan(before, changes, unchanged=unchanged)) == expected("""
        1 narrow
            delete DestinationRule default/safeapply-pin-web
    """)


def test_somebody_elses_pin_stays() -> None:
    """A pin of another rollout is live like any other rule."""
    made = change(policy("STRICT"), policy("DISABLE"))
    (pin,) = made.steps[1].operations
    before = {**read(SERVICES + policy("DISABLE"), "live.yaml"), pin.resource.id: pin.resource}
    changes, unchanged = changes_between(before, read(rule("db", "v1"), "desired.yaml").values(), {})
    made = plan(before, changes, unchanged=unchanged)
    assert [operation.resource.id.name for step in made.steps for operation in step.operations] == ["db"]


def test_each_wait_says_which_requests_it_saves() -> None:
    """`plan --explain` leaves a barrier out and tells what would be reset."""
    live, desired = policy("DISABLE") + client("DISABLE"), policy("STRICT") + client("ISTIO_MUTUAL")
    made = change(live, desired, explain=True)
    assert made.steps[1].without == (
        "requests of sidecars in default to web.default.svc.cluster.local:80 would answer "
        "503 UF: the server wants no mTLS (peerauthentication.security.istio.io/default/default, DISABLE), the "
        "client sends mTLS (destinationrule.networking.istio.io/default/web)"
    )
    assert made.steps[2].why == (
        "PeerAuthentication default/default has to wait for DestinationRule default/web: until every proxy has it, "
        "some clients may send plaintext where the server wants mTLS, and their requests be reset."
    )


def test_a_route_waits_for_the_tls_of_the_subset_that_it_moves_to() -> None:
    """A subset in conflict harms nobody until a route leads there."""
    subsets = "subsets: [{name: v1}, {name: v2, trafficPolicy: {tls: {mode: DISABLE}}}]"
    before = client("ISTIO_MUTUAL").replace("spec: {host: web,", f"spec: {{host: web, {subsets},")
    live = policy("STRICT") + before + route("web", "v1")
    made = change(live, before.replace("DISABLE", "ISTIO_MUTUAL") + route("web", "v2"))
    assert [[operation.resource.id.kind for operation in step.operations] for step in made.steps] == [
        ["DestinationRule"],
        ["VirtualService"],
    ]
    refused = change(live, route("web", "v2"))
    assert [refusal.code for refusal in refused.refusals] == ["tls-conflict"]


def test_a_mesh_wide_policy_waits_for_its_exception() -> None:
    """A workload that stays open has a policy of its own first; istiod sees one kind in order (ISTIO.md 6.1)."""
    live = policy("PERMISSIVE", namespace="istio-system") + client("DISABLE")
    desired = policy("STRICT", namespace="istio-system") + policy("PERMISSIVE", name="web", selector="app: web")
    assert planned(live, desired) == expected("""
        1 widen
            apply PeerAuthentication default/web
        2 widen
            apply PeerAuthentication istio-system/default
    """)
