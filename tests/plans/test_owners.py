"""Objects that other controllers write are left to them."""

from __future__ import annotations

import pytest

from tests.plans.worlds import make_plan, planned, read, route, rule


def owned(text: str, metadata: str) -> str:
    """Return an object with more metadata."""
    return text.replace("metadata: {", f"metadata: {{{metadata}, ")


CANARY = "ownerReferences: [{apiVersion: flagger.app/v1beta1, kind: Canary, name: shop, uid: u, controller: true}]"
INGRESS = (
    "ownerReferences: [{apiVersion: networking.internal.knative.dev/v1alpha1, kind: Ingress, name: shop, uid: u}]"
)


@pytest.mark.parametrize(
    ("metadata", "controller", "owner"),
    [
        (
            "annotations: {argo-rollouts.argoproj.io/managed-by-rollouts: shop}",
            "Argo Rollouts",
            "rollout.argoproj.io/default/shop",
        ),
        (CANARY, "Flagger", "canary.flagger.app/default/shop"),
        (
            "annotations: {flagger.kubernetes.io/original-configuration: '{}'}",
            "Flagger",
            "canary.flagger.app/default/reviews",
        ),
        (INGRESS, "Knative", "ingress.networking.internal.knative.dev/default/shop"),
        (
            "labels: {networking.internal.knative.dev/ingress: shop}",
            "Knative",
            "ingress.networking.internal.knative.dev/default/shop",
        ),
        ("labels: {serving.knative.dev/route: shop}", "Knative", "route.serving.knative.dev/default/shop"),
    ],
)
def test_a_rule_that_another_controller_writes_is_not_changed(metadata: str, controller: str, owner: str) -> None:
    """By annotation, label or ownerReference; the refusal names the controller, the object and its owner."""
    assert planned(owned(rule("reviews", "v1"), metadata), rule("reviews", "v1", "v2")) == (
        f"refused foreign-owner: desired.yaml:2: {controller} writes destinationrule.networking.istio.io/default/"
        f"reviews for {owner}, and the plan changes it: the two would undo each other's routes in the middle of "
        "the rollout"
    )


ROLLOUT = """\
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: shop}
spec:
  strategy:
    canary:
      trafficRouting:
        istio: {%s}
"""


@pytest.mark.parametrize(
    "routing",
    [
        "virtualService: {name: reviews}",
        "virtualServices: [{name: other}, {name: reviews.default}]",
    ],
)
def test_a_route_that_a_rollout_names_is_not_changed(routing: str) -> None:
    """Argo Rollouts leaves no mark on a VirtualService: only the live Rollout says that it rewrites the weights."""
    world = rule("reviews", "v1", "v2") + route("reviews", "v1")
    made = planned(ROLLOUT % routing + world, route("reviews", "v2"))
    assert made.startswith("refused foreign-owner: desired.yaml:2: Argo Rollouts writes virtualservice.")
    assert "rollout.argoproj.io/default/shop" in made


def test_a_rule_that_a_rollout_names_is_not_deleted() -> None:
    """The DestinationRule whose subsets it relabels."""
    made = planned(
        ROLLOUT % "destinationRule: {name: reviews}" + rule("reviews", "v1"),
        "",
        deleted=["DestinationRule/reviews"],
    )
    assert made.startswith("refused foreign-owner: Argo Rollouts writes destinationrule.")
    assert "the plan deletes it" in made


def test_a_route_of_the_gateway_api_that_a_rollout_names_is_not_changed() -> None:
    """Through the plugin for the Gateway API."""
    rollout = (ROLLOUT % "").replace("istio: {}", "plugins: {argoproj-labs/gatewayAPI: {httpRoute: web}}")
    web = "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: web}, spec: {%s}}\n"
    assert planned(rollout + web % "", web % "hostnames: [a.io]").startswith("refused foreign-owner")


SHOP = """\
---
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: shop}
spec: {%sservice: {name: reviews}, targetRef: {kind: Deployment, name: shop}}
"""


def test_a_route_that_a_canary_took_over_is_not_changed() -> None:
    """Flagger leaves no ownerReference on a route that was there before; the Canary's service has its name."""
    made = planned(SHOP % "" + rule("reviews", "v1", "v2") + route("reviews", "v1"), route("reviews", "v2"))
    assert made.startswith("refused foreign-owner: desired.yaml:2: Flagger writes virtualservice.")
    assert "canary.flagger.app/default/shop" in made


def test_a_canary_of_another_provider_owns_no_route_of_the_mesh() -> None:
    """What Flagger does by nginx is of no concern here."""
    world = SHOP % "provider: nginx, " + rule("reviews", "v1", "v2") + route("reviews", "v1")
    assert "refused" not in planned(world, route("reviews", "v2"))


def test_what_leaves_with_its_owner_is_nobodys() -> None:
    """Deleting the Rollout and its routes together is the operator's right."""
    world = ROLLOUT % "destinationRule: {name: reviews}" + rule("reviews", "v1")
    assert "refused" not in planned(world, "", deleted=["DestinationRule/reviews", "Rollout/shop"])


SERVICE = """\
---
apiVersion: v1
kind: Service
metadata: {name: shop, annotations: {argo-rollouts.argoproj.io/managed-by-rollouts: shop}}
spec: {selector: {app: shop%s}, ports: [{name: http, port: 80}%s]}
"""
HASH = ", rollouts-pod-template-hash: 687d76d795"


def test_a_service_of_a_rollout_may_change_but_for_its_selector() -> None:
    """The selector is all that Argo Rollouts writes of a Service."""
    assert "refused" not in planned(SERVICE % (HASH, ""), SERVICE % ("", ", {name: admin, port: 81}"))
    assert planned(SERVICE % (HASH, ""), SERVICE % (", version: v2", "")).startswith("refused foreign-owner")


def test_a_knative_service_is_the_users_own() -> None:
    """Labels and annotations of Knative on Knative's own kinds say nothing of who writes them."""
    service = (
        "---\n{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: a, labels: "
        "{serving.knative.dev/route: a}}, spec: {a: %s}}\n"
    )
    assert "refused" not in planned(service % 1, service % 2)


def test_what_its_controller_has_not_made_yet_is_no_ones() -> None:
    """An object that is not live is created, and its controller finds it."""
    assert "refused" not in planned("", ROLLOUT % "destinationRule: {name: reviews}" + rule("reviews", "v1"))


def test_the_refusal_says_what_to_do() -> None:
    """It points at the owner, and at what is to be left out of the files."""
    (refusal,) = make_plan(owned(rule("reviews", "v1"), CANARY), rule("reviews", "v1", "v2")).refusals
    assert refusal.remedy == (
        "say what you want in canary.flagger.app/default/shop, or end its rule over destinationrule.networking."
        "istio.io/default/reviews first; and take destinationrule.networking.istio.io/default/reviews out of what "
        "is applied or deleted"
    )
    assert [one.name for one in refusal.objects] == ["reviews", "shop"]


def test_odd_documents_own_nothing() -> None:
    """What other kinds hold was checked by nobody."""
    odd = (ROLLOUT % "").replace("istio: {}", "istio: [1, {virtualService: x}]") + SHOP.replace(
        "service: {name: reviews}", "service: [a]"
    ) % ""
    assert len(read(odd, "odd.yaml")) == 2
    assert "refused" not in planned(odd + rule("reviews", "v1"), rule("reviews", "v1", "v2"))
