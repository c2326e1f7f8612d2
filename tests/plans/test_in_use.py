"""What something that stays needs is not deleted, wherever in the cluster that stands."""

from __future__ import annotations

import pytest

from safeapply.istio.proxies import Labels, Proxy, Role
from safeapply.resources.objects import Namespace
from tests.plans.worlds import make_plan, planned, printed, rule

EDGE = """\
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingress}
  servers:
  - {port: {number: 443, protocol: HTTPS, name: https}, hosts: [a.io], tls: {mode: SIMPLE, credentialName: c}}
"""


def secret(namespace: str) -> str:
    """Return the Secret of that Gateway, in a namespace."""
    return f"---\n{{apiVersion: v1, kind: Secret, metadata: {{name: c, namespace: {namespace}}}}}\n"


INGRESS = Proxy(Namespace("infra"), "ingress-1", "u", Role.GATEWAY, Labels((("istio", "ingress"),)), ready=True)


def test_the_certificate_of_a_live_gateway_is_not_deleted() -> None:
    """It stands where the Gateway's pods run; the next handshake would fail (ISTIO.md 5.6)."""
    made = make_plan(EDGE + secret("infra"), "", deleted=["Secret/c"], proxies=[INGRESS])
    assert printed(made) == (
        "refused in-use: gateway.networking.istio.io/default/edge needs secret/infra/c, which would be removed: "
        "new TLS connections would fail at the handshake"
    )


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
def test_the_authority_that_a_live_gateway_asks_clients_for_is_not_deleted(kind: str) -> None:
    """Where it is named apart, it is a Secret or a ConfigMap of its own (ISTIO.md 5.6)."""
    edge = EDGE.replace("credentialName: c}", "credentialName: c, caCertCredentialName: ca}")
    authority = f"---\n{{apiVersion: v1, kind: {kind}, metadata: {{name: ca, namespace: infra}}}}\n"
    made = make_plan(edge + secret("infra") + authority, "", deleted=[f"{kind}/ca"], proxies=[INGRESS])
    assert printed(made) == (
        f"refused in-use: gateway.networking.istio.io/default/edge needs {kind.lower()}/infra/ca, which would be "
        "removed: new TLS connections would fail at the handshake"
    )


def test_a_secret_of_the_same_name_elsewhere_may_go() -> None:
    """No proxy looks for it there."""
    made = make_plan(EDGE + secret("other"), "", deleted=["Secret/c"], proxies=[INGRESS])
    assert not made.refusals


def http_route(name: str, backend: str, parent: str = "edge") -> str:
    """Return an HTTPRoute in namespace default."""
    return (
        f"---\n{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: {name}}}, spec: "
        f"{{parentRefs: [{{name: {parent}}}], rules: [{{backendRefs: [{backend}]}}]}}}}\n"
    )


WEB = "---\n{apiVersion: v1, kind: Service, metadata: {name: web, namespace: %s}, spec: {ports: [{port: 80}]}}\n"
GRANT = (
    "---\n{apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant, metadata: {name: %s, "
    "namespace: back}, spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}], "
    "to: [{group: '', kind: Service}]}}\n"
)


def test_the_backend_of_a_live_route_is_not_deleted() -> None:
    """Its share of the requests would answer 500 (ISTIO.md 5.26)."""
    world = WEB % "default" + http_route("web", "{name: web, port: 80}")
    assert planned(world, "", deleted=["Service/web"]) == (
        "refused in-use: httproute.gateway.networking.k8s.io/default/web needs service/default/web, which would be "
        "removed: a request that it routes would answer 500"
    )


def test_the_parent_of_a_live_route_is_not_deleted() -> None:
    """A route without its Gateway is attached nowhere (ISTIO.md 5.27)."""
    edge = "---\n{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: edge}, spec: {}}\n"
    made = planned(edge + http_route("web", "{name: web, port: 80}"), "", deleted=["Gateway/edge"])
    assert made.endswith("which would be removed: a request that it routes would answer 404")


def test_the_last_grant_of_a_live_route_is_not_deleted() -> None:
    """Of two grants one may go (ISTIO.md 5.28)."""
    world = WEB % "back" + http_route("web", "{name: web, namespace: back, port: 80}") + GRANT % "a" + GRANT % "b"
    assert "refused" not in planned(world, "", deleted=["ReferenceGrant/a"])
    made = planned(world, "", deleted=["ReferenceGrant/a", "ReferenceGrant/b"])
    assert made.startswith("refused in-use: httproute.gateway.networking.k8s.io/default/web needs referencegrant.")


def test_the_token_check_of_a_live_policy_is_not_deleted() -> None:
    """The policy would answer 403 to everybody (ISTIO.md 5.17)."""
    world = (
        "---\n{apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: jwt}, spec: {}}\n"
        "---\n{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: asks}, "
        "spec: {rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}}\n"
    )
    assert planned(world, "", deleted=["RequestAuthentication/jwt"]) == (
        "refused in-use: authorizationpolicy.security.istio.io/default/asks needs requestauthentication.security."
        "istio.io/default/jwt, which would be removed: a request that it allows by its token would answer 403"
    )


@pytest.mark.parametrize("deleted", [["Service/web", "HTTPRoute/web"], ["HTTPRoute/web"]])
def test_what_goes_with_its_users_may_go(deleted: list[str]) -> None:
    """Nobody is left to need it."""
    world = WEB % "default" + http_route("web", "{name: web, port: 80}")
    assert "refused" not in planned(world, "", deleted=deleted)


def test_a_route_that_lets_go_frees_its_backend() -> None:
    """What counts is what the route will say."""
    world = WEB % "default" + http_route("web", "{name: web, port: 80}")
    made = planned(world, http_route("web", "{name: reviews, port: 9080}"), deleted=["Service/web"])
    assert [line for line in made.splitlines() if "apply" in line or "delete" in line] == [
        "    apply HTTPRoute default/web",
        "    delete Service default/web",
    ]


def test_a_namespace_is_not_deleted_with_routes_that_the_plan_does_not_show() -> None:
    """They would vanish at once, and the verifier could not know."""
    world = "---\n{apiVersion: v1, kind: Namespace, metadata: {name: shop}}\n" + WEB % "shop"
    assert planned(world, "", deleted=["Namespace/shop"]) == (
        "refused in-use: namespace/shop takes along what it holds, at once and in no order: service/shop/web"
    )
    assert "refused" not in planned(world, "", deleted=["Namespace/shop", "Service/web"])


def test_a_definition_is_not_deleted_with_rules_that_the_plan_does_not_show() -> None:
    """All objects of the kind would vanish at once."""
    definition = (
        "---\n{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: "
        "destinationrules.networking.istio.io}, spec: {group: networking.istio.io, names: {kind: "
        "DestinationRule}}}\n"
    )
    made = planned(
        definition + rule("reviews", "v1"),
        "",
        deleted=["CustomResourceDefinition/destinationrules.networking.istio.io"],
    )
    assert made.endswith("in no order: destinationrule.networking.istio.io/default/reviews")
