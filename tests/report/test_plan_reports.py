"""Plans as they are read: manifests in, the printed plan out."""

from __future__ import annotations

import json
from dataclasses import replace
from textwrap import dedent, indent
from typing import Any

from safeapply.istio.proxies import Labels, ProxyClass
from safeapply.istio.proxies import Role as ProxyRole
from safeapply.plans.changes import changes_between
from safeapply.plans.plan import Action, Operation, Phase, Plan, Refusal, Step
from safeapply.plans.planner import PlanOptions, plan
from safeapply.report.plan_json import plan_document, plan_json
from safeapply.report.plan_text import Role, plan_text
from safeapply.resources.manifests import SourceText, read_manifests
from safeapply.resources.objects import Namespace, Resource, ResourceId
from safeapply.xds.expectations import (
    ClusterAbsent,
    ClusterActive,
    ClusterUnreferenced,
    Expectation,
    RouteRefers,
    RouteReleased,
)
from safeapply.xds.names import ClusterName, Host

HEAD = "apiVersion: networking.istio.io/v1\nmetadata: {name: reviews}\n"
SERVICE = "{apiVersion: v1, kind: Service, metadata: {name: reviews}, spec: {ports: [{port: 9080, name: http}]}}"
V1, V2 = ClusterName("outbound|9080|v1|reviews"), ClusterName("outbound|9080|v2|reviews")
SIDECARS = ProxyClass(ProxyRole.SIDECAR, Namespace("default"))
INGRESS = ProxyClass(ProxyRole.GATEWAY, Namespace("istio-system"), Labels((("istio", "ingress"),)))


def rule(*subsets: str) -> str:
    """Return a DestinationRule of reviews."""
    listed = ", ".join(f"{{name: {subset}, labels: {{version: {subset}}}}}" for subset in subsets)
    return f"{HEAD}kind: DestinationRule\nspec: {{host: reviews, subsets: [{listed}]}}"


def route(subset: str) -> str:
    """Return a VirtualService that sends reviews to one subset."""
    http = f"http: [{{route: [{{destination: {{host: reviews, subset: {subset}}}}}]}}]"
    return f"{HEAD}kind: VirtualService\nspec: {{hosts: [reviews], {http}}}"


def read(*documents: str) -> dict[ResourceId, Resource]:
    """Read documents as one file."""
    source = SourceText("mesh.yaml", "\n---\n".join(documents))
    return {one.id: one for one in read_manifests([source], default_namespace=Namespace("default"))}


def planned(live: dict[ResourceId, Resource], desired: dict[ResourceId, Resource]) -> Plan:
    """Plan offline."""
    changes, unchanged = changes_between(live, desired.values(), {})
    return plan(live, changes, unchanged=unchanged, options=PlanOptions(offline=True))


def text(document: str) -> str:
    """Return an expected text without the margin of this file."""
    return dedent(document).lstrip("\n")


RENAME_LIVE = read(SERVICE, rule("v1"), route("v1"))
RENAME_DESIRED = read(SERVICE, rule("v2"), route("v2"))


def of_steps(*operations: Operation, expectations: tuple[Expectation, ...] = ()) -> Plan:
    """Return a plan of one step."""
    return Plan(steps=(Step(Phase.SWITCH, operations, expectations, 0.5, "Because."),))


WHY = "Routes move to subset v2: a proxy that got the route before the cluster would answer 503 NC for as long."


def test_a_rename_reads_as_three_steps() -> None:
    """Each step says what it waits for, on which proxies, what it changes, and why."""
    made = planned(RENAME_LIVE, RENAME_DESIRED)
    made = replace(made, steps=tuple(replace(step, why=WHY) for step in made.steps))
    assert plan_text(made, live=RENAME_LIVE) == text("""
        Plan: 3 steps, 3 writes (1 bridge), 3 barriers, 1 s of soak

        Step 1 of 3: widen
          write      ~ destinationrule default/reviews  subsets +v2 (bridge: keeps v1)
          why        Routes move to subset v2: a proxy that got the route before the cluster would answer
                     503 NC for as long.

        Step 2 of 3: switch
          wait for   outbound|9080|v2|reviews.default.svc.cluster.local active
                     on sidecars in default
          write      ~ virtualservice default/reviews  http[0].route[0].destination.subset v1 -> v2
          why        Routes move to subset v2: a proxy that got the route before the cluster would answer
                     503 NC for as long.

        Step 3 of 3: narrow
          wait for   no route or listener names outbound|9080|v1|reviews.default.svc.cluster.local
                     on every proxy
          then wait  1 s for requests under way
          write      ~ destinationrule default/reviews  subsets -v1
          why        Routes move to subset v2: a proxy that got the route before the cluster would answer
                     503 NC for as long.

        Done when
          the mesh   outbound|9080|v1|reviews.default.svc.cluster.local gone
                     on sidecars in default

        1 object unchanged.
    """)


def test_a_refusal_says_what_would_fail_and_what_to_do() -> None:
    """With the objects, the request, the proxies and the way out."""
    objects = tuple(one for one in RENAME_LIVE if one.group)
    request = (
        f"mesh.yaml:9: {objects[1]} spec.http[0].route[0].destination.subset names subset v9, which is not there"
    )
    made = Plan(refusals=(Refusal("dangling-reference", objects, str(SIDECARS), request, "add subset v9"),))
    assert plan_text(made, live=RENAME_LIVE) == text("""
        Refused: no order of writes keeps every request served. Nothing will be written.

        1. dangling-reference: destinationrule default/reviews, virtualservice default/reviews
          request    mesh.yaml:9: virtualservice.networking.istio.io/default/reviews
                     spec.http[0].route[0].destination.subset names subset v9, which is not there
          on         sidecars in default
          remedy     add subset v9
    """)


def test_a_refusal_for_the_sake_of_another_controller_says_so() -> None:
    """An order of writes has nothing to do with it."""
    (one, *_) = RENAME_LIVE
    made = Plan(refusals=(Refusal("foreign-owner", (one,), "all", "Flagger writes it", "leave it"),))
    assert plan_text(made, live=RENAME_LIVE).splitlines()[0] == (
        "Refused: another controller writes what would change. Nothing will be written."
    )


def test_a_refusal_of_many_objects_is_wrapped() -> None:
    """At blanks, never inside a name."""
    objects = tuple(ResourceId("", "Service", Namespace("default"), f"service-number-{n}") for n in range(9))
    printed = plan_text(Plan(refusals=(Refusal("cycle", objects, "all", "r", "m"),)), live={})
    assert max(map(len, printed.splitlines())) <= 100
    assert all(f"default/{one.name}" in printed for one in objects)


def test_nothing_to_change_is_one_line() -> None:
    """No steps, no noise."""
    assert plan_text(planned(RENAME_LIVE, RENAME_LIVE), live=RENAME_LIVE) == (
        "No changes: 3 objects live as desired.\n"
    )


def test_new_deleted_and_secret_objects_have_their_own_words() -> None:
    """New ones say their hosts and subsets, and no value of a Secret is ever shown."""
    secret = "{{apiVersion: v1, kind: Secret, metadata: {{name: s}}, data: {{key: {}}}}}"
    live = read(route("v1"), secret.format("b2xk"))
    (old, before), (new, after) = live.values(), read(rule("v1", "v2"), secret.format("bmV3")).values()
    made = of_steps(Operation(Action.APPLY, new), Operation(Action.DELETE, old), Operation(Action.APPLY, after))
    printed = plan_text(made, live=live)
    assert printed.startswith("Plan: 1 step, 2 writes, 1 deletion, 0 barriers, 0.5 s of soak\n")
    assert "+ destinationrule default/reviews  new, host reviews, subsets v1, v2\n" in printed
    assert "- virtualservice default/reviews   deleted\n" in printed
    assert "~ secret default/s                 data.key *** (before) -> *** (after)\n" in printed
    assert before.id == after.id
    assert "b2xk" not in printed


def test_defaults_of_the_server_are_no_removals() -> None:
    """A Service gets a clusterIP that no manifest has; the dry run tells what really changes."""
    manifest = read(SERVICE.replace("9080", "9090"))
    (one,) = manifest.values()
    ports = {"port": 9080, "name": "http", "protocol": "TCP"}
    live = {one.id: with_spec(one, {"clusterIP": "10.0.0.1", "ports": [ports]})}
    desired = {one.id: with_spec(one, {"clusterIP": "10.0.0.1", "ports": [ports | {"port": 9090}]})}
    printed = plan_text(of_steps(Operation(Action.APPLY, one)), live=live, desired=desired)
    assert "~ service default/reviews  ports[http].port 9080 -> 9090\n" in printed


def with_spec(resource: Resource, spec: dict[str, Any]) -> Resource:
    """Return an object with another spec."""
    return Resource(resource.id, {**resource.document, "spec": spec})


def test_a_style_may_dress_every_line() -> None:
    """The hook gets the role of each line and decides; the text itself has no colour."""
    seen: set[Role] = set()

    def shout(role: Role, line: str) -> str:
        seen.add(role)
        return line.upper()

    printed = plan_text(planned(RENAME_LIVE, RENAME_DESIRED), live=RENAME_LIVE, style=shout)
    assert printed.upper() == printed
    assert seen >= {Role.HEADING, Role.WAIT, Role.CHANGE, Role.WHY, Role.PLAIN}


def test_many_classes_are_counted_not_listed() -> None:
    """A mesh of a hundred namespaces still fits the line."""
    classes = frozenset(ProxyClass(ProxyRole.SIDECAR, Namespace(f"team-{n:02}")) for n in range(50))
    one = next(iter(read(route("v2")).values()))
    printed = plan_text(of_steps(Operation(Action.APPLY, one), expectations=(ClusterActive(V2, classes),)), live={})
    assert indent("sidecars in team-03 and 46 more classes", " ").strip() in " ".join(printed.split())
    assert max(map(len, printed.splitlines())) <= 100


def test_the_json_is_the_documented_format() -> None:
    """Key by key, for the programs that read it."""
    one = next(iter(read(rule("v1", "v2")).values()))
    made = of_steps(
        Operation(Action.APPLY, one, bridge=True),
        expectations=(
            ClusterActive(V2, frozenset({INGRESS, SIDECARS}), ready_endpoint=True),
            ClusterUnreferenced(V1),
            RouteRefers(Host("reviews"), V2, frozenset({SIDECARS})),
            RouteReleased(Host("reviews"), V1, frozenset({SIDECARS})),
            ClusterAbsent(V1, frozenset()),
        ),
    )
    sidecars = {"role": "sidecar", "namespace": "default", "labels": {}}
    ingress = {"role": "gateway", "namespace": "istio-system", "labels": {"istio": "ingress"}}
    assert plan_document(made) == {
        "formatVersion": "1",
        "steps": [
            {
                "phase": "switch",
                "operations": [
                    {
                        "action": "apply",
                        "resource": "destinationrule.networking.istio.io/default/reviews",
                        "manifest": one.document,
                        "bridge": True,
                    }
                ],
                "expectations": [
                    {"type": "clusterActive", "cluster": V2, "readyEndpoint": True, "proxies": [ingress, sidecars]},
                    {"type": "clusterUnreferenced", "cluster": V1, "proxies": "all"},
                    {"type": "routeRefers", "host": "reviews", "cluster": V2, "proxies": [sidecars]},
                    {"type": "routeReleased", "host": "reviews", "cluster": V1, "proxies": [sidecars]},
                    {"type": "clusterAbsent", "cluster": V1, "proxies": []},
                ],
                "soakSeconds": 0.5,
                "why": "Because.",
            }
        ],
        "settled": {"expectations": []},
        "warnings": [],
        "refusals": [],
    }


def test_refusals_and_warnings_are_in_the_json() -> None:
    """A pipeline can show the same reasons as the terminal."""
    subject = next(iter(RENAME_LIVE))
    made = Plan(refusals=(Refusal("in-use", (subject,), "sidecars in default", "the request", "the remedy"),))
    assert json.loads(plan_json(made))["refusals"] == [
        {
            "code": "in-use",
            "objects": ["service/default/reviews"],
            "proxyClass": "sidecars in default",
            "request": "the request",
            "remedy": "the remedy",
        }
    ]
    warned = planned(read(route("v1")), read(route("v1"), rule("v1")))
    assert [warning["code"] for warning in plan_document(warned)["warnings"]] == [w.code for w in warned.warnings]


def test_the_same_manifests_print_the_same_plan() -> None:
    """Text and JSON can be kept in a repository and compared."""
    first, second = (planned(RENAME_LIVE, RENAME_DESIRED) for _ in range(2))
    assert plan_json(first) == plan_json(second)
    assert plan_text(first, live=RENAME_LIVE) == plan_text(second, live=RENAME_LIVE)
