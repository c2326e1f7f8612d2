"""What the mesh's defaults for exportTo do to a plan (ISTIO.md 3.5, 4.7): read, never written without need."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given

from safeapply.istio.kinds import VIRTUAL_SERVICE
from safeapply.istio.mesh_settings import ISTIO_SYSTEM, MeshSettings
from safeapply.plans.changes import changes_between
from safeapply.plans.plan import Plan
from safeapply.plans.planner import PlanOptions, plan
from safeapply.resources.objects import Resource, ResourceId
from tests.oracle.documents import resources
from tests.oracle.profiles import chosen
from tests.oracle.references import Transition
from tests.oracle.worlds import transitions
from tests.plans.worlds import make_plan, planned, route, rule


def mesh(**defaults: str) -> str:
    """Return a MeshConfig: Service, VirtualService or DestinationRule, and to whom it is exported."""
    said = "".join(f"\n    default{kind}ExportTo: ['{scope}']" for kind, scope in defaults.items())
    return f"""
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: istio, namespace: istio-system}}
data:
  mesh: |-{said}
"""


CALLER = """
---
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {ports: [{name: http, port: 80}]}}
"""
ELSEWHERE = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews.default.svc.cluster.local]
  http: [{route: [{destination: {host: reviews.default.svc.cluster.local, subset: v1}}]}]
"""


def test_a_rule_that_others_cannot_see_is_no_reason_to_keep_its_subset() -> None:
    """By default a route of another namespace needs the subset; where rules are private it never had it."""
    narrower = rule("reviews", "v2")
    live = rule("reviews", "v1", "v2") + CALLER + ELSEWHERE
    (refusal,) = make_plan(live, narrower).refusals
    assert refusal.code == "in-use"
    assert not make_plan(live + mesh(DestinationRule=".", VirtualService="."), narrower).refusals


def test_a_route_that_only_its_namespace_sees_is_waited_for_there_alone() -> None:
    """Clients elsewhere go by istiod's default route before and after."""
    live, desired = rule("reviews", "v1") + route("reviews", "v1"), rule("reviews", "v2") + route("reviews", "v2")
    assert "everywhere" in planned(live + CALLER, desired)
    private = make_plan(live + CALLER + mesh(DestinationRule=".", VirtualService="."), desired)
    classes = {str(one) for step in private.steps for e in step.expectations for one in e.classes or ()}
    assert classes == {"sidecars in default"}


def test_what_is_in_between_says_for_whom_it_is() -> None:
    """From everybody's, said, to its own namespace's, by default: a version for both has to say so."""
    live = rule("reviews", "v1").replace("spec: {", "spec: {exportTo: ['*'], ") + route("reviews", "v1") + CALLER
    private = mesh(DestinationRule=".", VirtualService=".")
    made = make_plan(live + private, rule("reviews", "v2") + route("reviews", "v2"))
    scopes = [
        operation.resource.spec.get("exportTo")
        for step in made.steps
        for operation in step.operations
        if operation.bridge and operation.resource.id.kind == "DestinationRule"
    ]
    assert scopes == [["*"]]


def test_where_nobody_says_it_nothing_in_between_does() -> None:
    """The default stays a default: rules are merged by what they say (ISTIO.md 3.3)."""
    live, desired = rule("reviews", "v1") + route("reviews", "v1"), rule("reviews", "v2") + route("reviews", "v2")
    made = make_plan(live + mesh(DestinationRule="."), desired)
    written = [operation.resource for step in made.steps for operation in step.operations]
    assert any(one.id.kind == "DestinationRule" for one in written)
    assert not any("exportTo" in one.spec for one in written)


UNREAD = """
---
{apiVersion: v1, kind: Namespace, metadata: {name: default}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}, data: {mesh: "SELECTORS"}}
""".replace("SELECTORS", "discoverySelectors: [{matchLabels: {mesh: inside}}]")


def test_what_istiod_does_not_read_is_written_all_the_same() -> None:
    """Nothing hangs on it, so nothing is waited for."""
    live, desired = rule("reviews", "v1") + route("reviews", "v1"), rule("reviews", "v2") + route("reviews", "v2")
    assert planned(live + UNREAD, desired) == (
        "1 narrow\n    apply DestinationRule default/reviews\n    apply VirtualService default/reviews"
    )


@chosen()
@given(transitions())
def test_a_default_is_planned_for_as_if_every_route_said_it(transition: Transition) -> None:
    """For all transitions: steps, barriers and refusals are the same as where each VirtualService says ``.``."""
    live, desired = resources(transition.live), resources(transition.desired)
    by_default = _plan(_unsaid(live), _unsaid(desired), MeshSettings(ISTIO_SYSTEM, virtual_services=(".",)))
    by_word = _plan(_said(live), _said(desired), MeshSettings())
    assert _shape(by_default) == _shape(by_word)


def _plan(live: dict[ResourceId, Resource], desired: dict[ResourceId, Resource], settings: MeshSettings) -> Plan:
    changes, unchanged = changes_between(live, desired.values(), {}, live.keys() - desired.keys())
    return plan(live, changes, unchanged=unchanged, options=PlanOptions(settings))


def _said(objects: dict[ResourceId, Resource]) -> dict[ResourceId, Resource]:
    return {one: _exported(resource, resource.spec.get("exportTo") or ["."]) for one, resource in objects.items()}


def _unsaid(objects: dict[ResourceId, Resource]) -> dict[ResourceId, Resource]:
    """Return the objects without the word where it says what the default says."""
    said = {one: resource.spec.get("exportTo") for one, resource in objects.items()}
    kept = {one: None if scope == ["."] else scope for one, scope in said.items()}
    return {one: _exported(resource, kept[one]) for one, resource in objects.items()}


def _exported(resource: Resource, scope: list[str] | None) -> Resource:
    if resource.id.group_kind != VIRTUAL_SERVICE:
        return resource
    spec = {key: value for key, value in resource.spec.items() if key != "exportTo"}
    if scope:
        spec["exportTo"] = scope
    return replace(resource, document={**resource.document, "spec": spec})


def _shape(made: Plan) -> object:
    steps = [
        (step.phase, step.expectations, [(one.action, one.resource.id, one.bridge) for one in step.operations])
        for step in made.steps
    ]
    return steps, [(one.code, one.objects, one.request) for one in made.refusals]
