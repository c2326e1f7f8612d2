"""The order of kinds that no route decides: YAML in, the printed plan out."""

from __future__ import annotations

from textwrap import dedent

import pytest

from tests.plans.worlds import make_plan, planned, route, rule


def expected(text: str) -> str:
    """Return a plan as it is written in a test."""
    return dedent(text).strip()


def manifests(text: str) -> str:
    """Return objects, one a line, as a YAML stream."""
    return "".join(f"---\n{line}\n" for line in dedent(text).strip().splitlines())


def rows(text: str) -> str:
    """Return the steps of applying these objects to an empty cluster, one a row."""
    return told(planned("", manifests(text)))


def undone(text: str) -> str:
    """Return the steps of deleting all these objects, one a row."""
    listed = manifests(text)
    names = [line.split("{name: ")[1].split("}")[0].split(",")[0] for line in listed.splitlines()[1::2]]
    kinds = [line.split("kind: ")[1].split(",")[0] for line in listed.splitlines()[1::2]]
    return told(planned(listed, "", deleted=[f"{k}/{n}" for k, n in zip(kinds, names, strict=True)]))


def told(plan: str) -> str:
    """Return a plan with a row for each step: the kinds and names that it writes."""
    found: list[list[str]] = []
    for line in plan.splitlines():
        match line.split():
            case ["apply" | "delete", kind, name, *_]:
                found[-1].append(f"{kind} {name.rpartition('/')[2]}")
            case [number, _] if number.isdigit():
                found.append([])
            case _:
                pass
    return "\n".join(", ".join(step) for step in found)


CUSTOM = """
{apiVersion: widgets.io/v1, kind: Widget, metadata: {name: w, namespace: shop}}
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: widgets.widgets.io}, spec: {group: widgets.io, names: {kind: Widget}}}
"""  # noqa: E501  one object a line


def test_a_namespace_and_a_definition_come_before_what_they_hold() -> None:
    """The server would refuse the object without them."""
    assert rows(CUSTOM) == expected("""
        Namespace shop, CustomResourceDefinition widgets.widgets.io
        Widget w
    """)


def test_a_namespace_and_a_definition_go_last() -> None:
    """Their end is the end of all that they hold, in no order at all."""
    assert undone(CUSTOM) == expected("""
        Widget w
        Namespace shop, CustomResourceDefinition widgets.widgets.io
    """)


PODS = """
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {template: {metadata: {labels: {app: web}}, spec: {serviceAccountName: web, imagePullSecrets: [{name: pull}], containers: [{name: web, env: [{name: A, valueFrom: {secretKeyRef: {name: key, key: a}}}], envFrom: [{configMapRef: {name: env}}]}], volumes: [{name: v, configMap: {name: files}}, {name: p, persistentVolumeClaim: {claimName: disk}}]}}}}
{apiVersion: v1, kind: ConfigMap, metadata: {name: env}}
{apiVersion: v1, kind: ConfigMap, metadata: {name: files}}
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: disk}}
{apiVersion: v1, kind: Secret, metadata: {name: key}}
{apiVersion: v1, kind: Secret, metadata: {name: pull}}
{apiVersion: v1, kind: ServiceAccount, metadata: {name: web}}
"""  # noqa: E501  one object a line


def test_pods_come_after_all_that_their_template_names() -> None:
    """They would not start without it; one step for all of it is enough."""
    assert rows(PODS) == expected("""
        ConfigMap env, ConfigMap files, PersistentVolumeClaim disk, Secret key, Secret pull, ServiceAccount web
        Deployment web
    """)


def test_what_pods_use_is_deleted_after_them() -> None:
    """The reverse order, as Helm uninstalls."""
    assert undone(PODS).splitlines()[0] == "Deployment web"


def test_rights_come_before_the_pods_that_need_them() -> None:
    """The binding after the role and the account that it names, the pods after the binding."""
    assert rows("""
        {apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {template: {metadata: {labels: {app: web}}, spec: {serviceAccountName: web}}}}
        {apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: web}, roleRef: {kind: Role, name: reader}, subjects: [{kind: ServiceAccount, name: web}]}
        {apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: reader}}
        {apiVersion: v1, kind: ServiceAccount, metadata: {name: web}}
    """) == expected("""
        ServiceAccount web, Role reader
        RoleBinding web
        Deployment web
    """)  # noqa: E501  one object a line


def test_limits_and_services_come_before_the_pods() -> None:
    """A quota counts pods from their start, and a Service is in the environment of those that start after it."""
    assert rows("""
        {apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {template: {metadata: {labels: {app: web}}}}}
        {apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{name: http, port: 80}]}}
        {apiVersion: v1, kind: ResourceQuota, metadata: {name: small}}
    """) == expected("""
        ResourceQuota small, Service web
        Deployment web
    """)  # noqa: E501  one object a line


GATEWAY = """
{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: edge}, spec: {selector: {istio: ingress}, servers: [{port: {number: 443, protocol: HTTPS, name: https}, hosts: [a.io], tls: {mode: MUTUAL, credentialName: cert}}]}}
{apiVersion: v1, kind: Secret, metadata: {name: cert, namespace: istio-system}}
{apiVersion: v1, kind: Secret, metadata: {name: cert-cacert, namespace: istio-system}}
"""  # noqa: E501  one object a line


def test_a_certificate_comes_before_the_gateway_that_shows_it() -> None:
    """The whole listener would wait for it, and then go live without (ISTIO.md 5.6)."""
    assert rows(GATEWAY) == expected("""
        Secret cert, Secret cert-cacert
        Gateway edge
    """)


def test_a_certificate_goes_after_the_gateway_that_shows_it() -> None:
    """New connections would fail at the handshake (ISTIO.md 5.6)."""
    assert undone(GATEWAY) == expected("""
        Gateway edge
        Secret cert, Secret cert-cacert
    """)


def test_the_credentials_of_clients_come_before_their_rule() -> None:
    """At any level of the rule; a gateway's handshake would fail, a sidecar might fall back to plaintext (5.12)."""
    assert rows("""
        {apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: reviews}, spec: {host: reviews, trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: SIMPLE, credentialName: one}}]}, subsets: [{name: v1, trafficPolicy: {tls: {mode: SIMPLE, credentialName: two}}}]}}
        {apiVersion: v1, kind: Secret, metadata: {name: one}}
        {apiVersion: v1, kind: ConfigMap, metadata: {name: two}}
    """) == expected("""
        ConfigMap two, Secret one
        DestinationRule reviews
    """)  # noqa: E501  one object a line


def authorization(name: str, rule: str, action: str = "ALLOW", selector: str = "") -> str:
    """Return an AuthorizationPolicy."""
    where = f"selector: {{matchLabels: {{{selector}}}}}, " if selector else ""
    return (
        f"---\n{{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {{name: {name}}}, "
        f"spec: {{{where}action: {action}, rules: [{rule}]}}}}\n"
    )


JWT = manifests("""
    {apiVersion: security.istio.io/v1, kind: RequestAuthentication, metadata: {name: jwt}, spec: {jwtRules: [{issuer: a}]}}
""")  # noqa: E501  one object a line


@pytest.mark.parametrize(
    "condition", ["{from: [{source: {requestPrincipals: ['*']}}]}", "{when: [{key: 'request.auth.claims[a]'}]}"]
)
def test_tokens_are_checked_before_a_policy_asks_for_them(condition: str) -> None:
    """Else every request is a 403 (ISTIO.md 5.17)."""
    assert told(planned("", authorization("asks", condition) + JWT)) == expected("""
        RequestAuthentication jwt
        AuthorizationPolicy asks
    """)


def test_tokens_are_checked_until_no_policy_asks_for_them() -> None:
    """A policy that lets go, or goes, is written first (ISTIO.md 5.17)."""
    asks = authorization("asks", "{from: [{source: {requestPrincipals: ['*']}}]}")
    assert told(
        planned(asks + JWT, authorization("asks", "{}"), deleted=["RequestAuthentication/jwt"])
    ) == expected("""
        AuthorizationPolicy asks
        RequestAuthentication jwt
    """)


def test_tokens_of_other_workloads_have_no_order() -> None:
    """Selectors that contradict each other never meet on one workload."""
    elsewhere = JWT.replace("spec: {", "spec: {selector: {matchLabels: {app: b}}, ")
    asks = authorization("asks", "{from: [{source: {requestPrincipals: ['*']}}]}", selector="app: a")
    assert told(planned("", asks + elsewhere)).count("\n") == 0


GET, PUT = "{to: [{operation: {methods: [GET]}}]}", "{to: [{operation: {methods: [PUT]}}]}"


def test_the_policy_that_allows_most_comes_first() -> None:
    """The first ALLOW policy denies whatever it does not name (ISTIO.md 5.20)."""
    assert told(
        planned(
            "", authorization("a-none", "") + authorization("b-get", GET) + authorization("c-both", f"{GET}, {PUT}")
        )
    ) == expected("""
        AuthorizationPolicy c-both
        AuthorizationPolicy b-get
        AuthorizationPolicy a-none
    """)


def test_the_policy_that_allows_most_goes_last() -> None:
    """What is left of several ALLOW policies denies whatever it does not name (ISTIO.md 5.20)."""
    world = authorization("a-all", "{}") + authorization("b-get", GET)
    deleted = ["AuthorizationPolicy/a-all", "AuthorizationPolicy/b-get"]
    assert told(planned(world, "", deleted=deleted)) == expected("""
        AuthorizationPolicy b-get
        AuthorizationPolicy a-all
    """)


def test_a_policy_is_there_before_the_one_that_it_replaces_goes() -> None:
    """Between the two nothing would be allowed (ISTIO.md 5.20)."""
    world = authorization("z-old", GET) + authorization("stays", PUT)
    assert told(planned(world, authorization("new", GET), deleted=["AuthorizationPolicy/z-old"])) == expected("""
        AuthorizationPolicy new
        AuthorizationPolicy z-old
    """)


def warned(live: str, desired: str, deleted: tuple[str, ...] = ()) -> list[str]:
    """Return the codes of the warnings."""
    return [one.code for one in make_plan(live, desired, deleted=deleted).warnings]


def test_policies_that_only_together_allow_what_was_open_are_warned_of() -> None:
    """No order helps: whichever comes first denies what the other one allows (ISTIO.md 5.20)."""
    both = authorization("get", GET) + authorization("put", PUT)
    assert warned("", both) == ["first-allow"]
    assert warned(both, "", ("AuthorizationPolicy/get", "AuthorizationPolicy/put")) == ["first-allow"]


def test_policies_that_join_another_one_are_not_warned_of() -> None:
    """Nothing is open where an ALLOW policy is live already, and one that allows all the rest comes first."""
    both = authorization("get", GET) + authorization("put", PUT)
    assert warned(authorization("live", "{}"), both) == []
    assert warned("", both.replace("rules: [" + PUT, "rules: [" + GET + ", " + PUT)) == []


def test_policies_of_different_workloads_and_denials_have_no_order() -> None:
    """Only ALLOW policies that can meet on one workload take from each other."""
    desired = (
        authorization("a", GET, selector="app: a")
        + authorization("b", "{}", selector="app: b")
        + authorization("c", "{}", action="DENY")
    )
    assert told(planned("", desired)).count("\n") == 0


HTTP_ROUTE = """
{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: web, namespace: shop}, spec: {parentRefs: [{name: edge, namespace: infra}], rules: [{backendRefs: [{name: web, namespace: back, port: 80}], filters: [{type: RequestMirror, requestMirror: {backendRef: {name: copy, port: 80}}}]}]}}
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: edge, namespace: infra}, spec: {gatewayClassName: istio}}
{apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant, metadata: {name: shop, namespace: back}, spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}], to: [{group: '', kind: Service}]}}
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: back}, spec: {ports: [{name: http, port: 80}]}}
{apiVersion: v1, kind: Service, metadata: {name: copy, namespace: shop}, spec: {ports: [{name: http, port: 80}]}}
"""  # noqa: E501  one object a line


@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute"])
def test_a_route_comes_after_its_parent_its_backends_and_their_grant(kind: str) -> None:
    """It would answer 500 without backend or grant, and 404 without parent (ISTIO.md 5.26 to 5.28)."""
    assert rows(HTTP_ROUTE.replace("HTTPRoute", kind)) == expected(f"""
        Service web, Service copy, Gateway edge, ReferenceGrant shop
        {kind} web
    """)


@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute"])
def test_a_route_goes_before_its_parent_its_backends_and_their_grant(kind: str) -> None:
    """The other way round (ISTIO.md 5.26 to 5.28)."""
    assert undone(HTTP_ROUTE.replace("HTTPRoute", kind)) == expected(f"""
        {kind} web
        Service web, Service copy, Gateway edge, ReferenceGrant shop
    """)


def test_an_http_route_moves_between_the_ports_of_a_service_that_has_both() -> None:
    """The Service is joined, as for a VirtualService: the route has its port at every moment (ISTIO.md 5.26)."""
    world = HTTP_ROUTE.splitlines()[1] + "\n" + HTTP_ROUTE.splitlines()[4]
    moved = world.replace("back, port: 80", "back, port: 81").replace("name: http, port: 80", "name: new, port: 81")
    made = planned(manifests(world), manifests(moved))
    assert told(made) == expected("""
        Service web
        HTTPRoute web
        Service web
    """)
    assert "apply Service back/web bridge" in made


def test_a_certificate_of_a_kubernetes_gateway_comes_first() -> None:
    """The listener would be without it (ISTIO.md 5.28)."""
    assert rows("""
        {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: edge}, spec: {listeners: [{name: a, tls: {certificateRefs: [{name: cert}]}}]}}
        {apiVersion: v1, kind: Secret, metadata: {name: cert}}
    """) == expected("""
        Secret cert
        Gateway edge
    """)  # noqa: E501  one object a line


WAYPOINT = manifests("""
    {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: way, namespace: shop}, spec: {gatewayClassName: istio-waypoint}}
""")  # noqa: E501  one object a line
SHOP = "---\n{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {a: b}}}\n"
LABELLED = SHOP.replace("a: b", "istio.io/use-waypoint: way")


def test_a_waypoint_comes_before_the_label_that_sends_requests_to_it() -> None:
    """Requests to a waypoint that is not there fail (ISTIO.md 5.30)."""
    assert told(planned(SHOP, WAYPOINT + LABELLED)) == expected("""
        Gateway way
        Namespace shop
    """)


def test_a_waypoint_goes_after_the_label_that_sends_requests_to_it() -> None:
    """Requests to a waypoint that is not there fail (ISTIO.md 5.30)."""
    assert told(planned(LABELLED + WAYPOINT, SHOP, deleted=["Gateway/way"])) == expected("""
        Namespace shop
        Gateway way
    """)


def test_a_labelled_namespace_that_is_new_comes_before_its_waypoint() -> None:
    """A Gateway cannot be in a namespace that is not there: the weaker order gives way."""
    assert told(planned("", WAYPOINT + LABELLED)) == expected("""
        Namespace shop
        Gateway way
    """)


def test_an_envoy_filter_comes_after_the_clusters_that_it_patches() -> None:
    """Where names do not match, a patch silently does nothing (ISTIO.md 5.22)."""
    assert rows("""
        {apiVersion: networking.istio.io/v1alpha3, kind: EnvoyFilter, metadata: {name: patch}, spec: {configPatches: [{applyTo: CLUSTER, match: {cluster: {name: 'outbound|80|v1|web.default.svc.cluster.local'}}}]}}
        {apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: web}, spec: {host: web, subsets: [{name: v1}]}}
        {apiVersion: v1, kind: Service, metadata: {name: web}, spec: {ports: [{name: http, port: 80}]}}
    """) == expected("""
        Service web, DestinationRule web
        EnvoyFilter patch
    """)  # noqa: E501  one object a line


def test_a_wasm_plugin_comes_after_its_pull_secret_and_a_telemetry_after_its_target() -> None:
    """A plugin without its image denies all requests (ISTIO.md 5.23)."""
    assert rows("""
        {apiVersion: extensions.istio.io/v1alpha1, kind: WasmPlugin, metadata: {name: auth}, spec: {imagePullSecret: pull}}
        {apiVersion: telemetry.istio.io/v1, kind: Telemetry, metadata: {name: logs}, spec: {targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge}]}}
        {apiVersion: v1, kind: Secret, metadata: {name: pull}}
        {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: edge}}
    """) == expected("""
        Secret pull, Gateway edge
        WasmPlugin auth, Telemetry logs
    """)  # noqa: E501  one object a line


def test_any_other_kind_comes_after_what_it_names() -> None:
    """Whatever says a kind and a name is a reference."""
    assert rows("""
        {apiVersion: a.io/v1, kind: A, metadata: {name: a}, spec: {deep: [{ref: {apiVersion: b.io/v1, kind: B, name: b}}]}}
        {apiVersion: b.io/v1, kind: B, metadata: {name: b}, spec: {ref: {kind: C, name: c}}}
        {apiVersion: c.io/v1, kind: C, metadata: {name: c}}
    """) == expected("""
        C c
        B b
        A a
    """)  # noqa: E501  one object a line


def test_objects_that_name_each_other_are_both_written() -> None:
    """An order that contradicts itself is none."""
    assert (
        rows("""
        {apiVersion: a.io/v1, kind: A, metadata: {name: a}, spec: {ref: {kind: B, name: b}}}
        {apiVersion: b.io/v1, kind: B, metadata: {name: b}, spec: {ref: {kind: A, name: a}}}
    """)
        == "A a, B b"
    )


def deployment(version: str, kind: str = "Deployment") -> str:
    """Return a workload of one version of reviews."""
    return manifests(
        f"{{apiVersion: apps/v1, kind: {kind}, metadata: {{name: reviews-{version}}}, spec: "
        f"{{template: {{metadata: {{labels: {{app: reviews, version: {version}}}}}}}}}}}"
    )


REVIEWS = manifests("""
    {apiVersion: v1, kind: Service, metadata: {name: reviews}, spec: {selector: {app: reviews}, ports: [{name: http, port: 9080}]}}
""")  # noqa: E501  one object a line


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_new_pods_come_before_the_route_to_them_and_old_ones_go_after_it(kind: str) -> None:
    """A subset without pods answers 503 UH (ISTIO.md 5.11)."""
    assert told(
        planned(
            REVIEWS + deployment("v1", kind) + rule("reviews", "v1", "v2") + route("reviews", "v1"),
            deployment("v2", kind) + route("reviews", "v2"),
            deleted=[f"{kind}/reviews-v1"],
        )
    ) == expected(f"""
        {kind} reviews-v2
        VirtualService reviews
        {kind} reviews-v1
    """)


def test_pods_that_no_written_route_reaches_have_no_order() -> None:
    """A Deployment of its own, and a route to another version, go together."""
    assert (
        told(
            planned(
                REVIEWS + deployment("v1") + rule("reviews", "v1") + route("reviews", "v1"),
                deployment("v3") + route("reviews", "v1", extra=", timeout: 1s"),
            )
        )
        == "Deployment reviews-v3, VirtualService reviews"
    )


def test_a_step_that_waits_for_nothing_says_why_it_comes_after() -> None:
    """One example of each reason, and how many more there are; the step before says that it is needed."""
    first, second = make_plan("", manifests(PODS)).steps
    assert first.why == "A later step needs this one to be done: what is needed comes first, and goes last."
    assert second.why == "Deployment default/web names ConfigMap default/env (and 5 more like it)."


def test_the_order_of_policies_is_explained() -> None:
    """With the outage that it prevents."""
    made = make_plan("", authorization("get", GET) + authorization("all", "{}"))
    assert made.steps[1].why == (
        "The first ALLOW policy denies what it does not name, so AuthorizationPolicy default/all comes before "
        "AuthorizationPolicy default/get."
    )


def test_a_deletion_says_who_needed_the_object() -> None:
    """In the same words as its creation."""
    made = make_plan(manifests(GATEWAY), "", deleted=["Gateway/edge", "Secret/cert", "Secret/cert-cacert"])
    assert made.steps[1].why == "Gateway default/edge names Secret istio-system/cert (and 1 more like it)."


def test_a_policy_of_tls_stands_between_its_authority_and_the_routes_to_its_service() -> None:
    """Without it requests would go in plaintext to a backend that expects TLS (ISTIO.md 5.29)."""
    text = """
        {apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: route}, spec: {rules: [{backendRefs: [{name: reviews, port: 9080}]}]}}
        {apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {name: policy}, spec: {targetRefs: [{group: "", kind: Service, name: reviews}], validation: {hostname: a.io, caCertificateRefs: [{group: "", kind: ConfigMap, name: authority}]}}}
        {apiVersion: v1, kind: ConfigMap, metadata: {name: authority}}
    """  # noqa: E501  one object a line
    assert rows(text) == expected("""
        ConfigMap authority
        BackendTLSPolicy policy
        HTTPRoute route
    """)
    assert undone(text) == expected("""
        HTTPRoute route
        BackendTLSPolicy policy
        ConfigMap authority
    """)
