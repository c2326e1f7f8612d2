"""Who is asked, and what is taken for granted: where a check must hold its tongue."""

from __future__ import annotations

from dataclasses import replace
from textwrap import dedent

from safeapply.checks.check import Checked, check
from safeapply.checks.scene import Sight
from safeapply.resources.manifests import SourceText, read_manifests
from safeapply.resources.objects import Namespace

ONLINE, OFFLINE = Sight(), Sight(offline=True)

SERVICE = """
---
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: SPACE}
spec: {selector: {app: NAME}, ports: [{name: http, port: 9080}]}
"""
RULE = """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: NAME, namespace: SPACE}
spec: {host: NAME, subsets: [{name: v1, labels: {version: v1}}]}
"""
ROUTE = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: NAME, namespace: SPACE}
spec:
  hosts: [NAME]
  http: [{route: [{destination: {host: NAME, subset: v1}}]}]
"""
POD = """
---
apiVersion: v1
kind: Pod
metadata: {name: NAME, namespace: SPACE, labels: {app: reviews, version: v1}}
spec: {containers: [{name: CONTAINER}]}
status:
  phase: Running
  conditions: [{type: Ready, status: "READY"}]
"""
DEPLOYMENT = """
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: SPACE}
spec: {template: {metadata: {labels: {app: reviews, version: v1}}}}
"""


def of(kind: str, name: str = "reviews", space: str = "default", **more: str) -> str:
    """Return a document under another name."""
    text = kind.replace("NAME", name).replace("SPACE", space)
    for word, value in more.items():
        text = text.replace(word.upper(), value)
    return text


def pod(name: str, space: str = "default", *, sidecar: bool = True, ready: bool = True) -> str:
    """Return a pod of reviews v1."""
    return of(POD, name, space, container="istio-proxy" if sidecar else "app", ready=str(ready))


def looked(*documents: str, sight: Sight = ONLINE) -> Checked:
    """Check documents."""
    source = SourceText("mesh.yaml", "".join(map(dedent, documents)))
    found = read_manifests((source,), default_namespace=Namespace("default"))
    return check({one.id: one for one in found}, sight)


def said(*documents: str, sight: Sight = ONLINE) -> list[str]:
    """Return severities and codes."""
    return [f"{one.severity.value} {one.code}" for one in looked(*documents, sight=sight).findings]


def test_a_complete_mesh_has_no_findings() -> None:
    """Service, rule, route and a ready pod with a sidecar."""
    assert said(of(SERVICE), of(RULE), of(ROUTE), pod("reviews-1")) == []


def test_namespaces_without_sidecars_are_not_asked() -> None:
    """A rule hides a subset from a namespace where pods run and none has an Envoy: nobody calls from there."""
    hiding = of(RULE, "reviews", "plain").replace(
        "host: reviews, subsets", "host: reviews.default.svc.cluster.local, x"
    )
    mesh = (of(SERVICE), of(RULE), of(ROUTE), pod("reviews-1"), hiding)
    assert said(*mesh, pod("batch", "plain", sidecar=False)) == []
    assert said(*mesh, pod("shop", "plain")) == ["error SA0101"]


def test_callers_that_do_not_see_a_host_are_not_asked() -> None:
    """A private service with a public route: other namespaces cannot call it, so nothing fails there."""
    private = of(SERVICE).replace(
        "namespace: default}", 'namespace: default, annotations: {networking.istio.io/exportTo: "."}}'
    )
    assert said(private, of(RULE), of(ROUTE), of(SERVICE, "shop", "other")) == []


def test_a_subset_that_is_not_ready_fails_requests_now() -> None:
    """At rest a Deployment is no pod; where the state is still to come, its pods are waited for."""
    mesh = (of(SERVICE), of(RULE), of(ROUTE), of(DEPLOYMENT, "reviews-v1"), pod("other").replace("v1}", "v2}"))
    assert "error IST0173" in said(*mesh)
    assert said(*mesh, sight=replace(ONLINE, patient=True)) == []


def test_a_service_without_any_pod_is_not_a_finding() -> None:
    """Scaled to nothing, or not known here: the fault is not with its subsets."""
    assert said(of(SERVICE), of(RULE), of(ROUTE), pod("reviews-1", ready=False)) == []


def test_files_alone_may_lack_what_others_declare() -> None:
    """Nothing of the host is in the files: one warning, and the host is named as taken for granted."""
    checked = looked(of(ROUTE), sight=OFFLINE)
    assert [one.severity.value for one in checked.findings] == ["warning"]
    assert [str(one) for one in checked.assumed] == ["service/default/reviews"]


def test_files_that_declare_the_host_have_to_declare_its_subsets() -> None:
    """The same route beside the Service is an error."""
    assert said(of(SERVICE), of(ROUTE), sight=OFFLINE) == ["error IST0101"]


def test_a_host_that_is_missing_among_its_like_is_doubted() -> None:
    """The files declare Services of this namespace, and not the one that is named."""
    whole = of(ROUTE, "ratings").replace(", subset: v1", "")
    assert said(of(SERVICE), whole, sight=OFFLINE) == ["warning IST0101"]
    assert said(of(SERVICE, "shop", "other"), whole, sight=OFFLINE) == []


def test_a_delegate_of_another_team_is_not_asked_for() -> None:
    """Files of a namespace that is not there at all are somebody else's."""
    root = of(ROUTE).replace(
        "route: [{destination: {host: reviews, subset: v1}}]", "delegate: {name: cart, namespace: team}"
    )
    assert said(of(SERVICE), root, sight=OFFLINE) == []
    assert said(of(SERVICE), root) == ["error SA0103"]


def test_one_fault_in_many_namespaces_is_one_finding() -> None:
    """The proxies that it fails for stand in it, the first of them by name."""
    spaces = [of(SERVICE, "shop", f"team-{one}") for one in range(9)]
    (finding,) = looked(of(SERVICE), of(ROUTE), *spaces).findings
    assert finding.proxies.startswith("sidecars in default, sidecars in team-0, ")
    assert finding.proxies.endswith(" and 6 more")


def test_a_finding_is_the_same_when_rules_move() -> None:
    """What a change adds is told by the key, so a rule put in front makes no old finding new."""
    before = of(ROUTE)
    moved = before.replace(
        "http: [", "http: [{match: [{uri: {exact: /}}], route: [{destination: {host: reviews}}]}, "
    )
    (one,), (other,) = looked(of(SERVICE), before).findings, looked(of(SERVICE), moved).findings
    assert one.field != other.field
    assert one.key == other.key


def test_a_rule_of_a_delegate_that_does_not_fit_in_its_root_is_reported() -> None:
    """Istiod drops it without a word; the one beside it that fits says nothing (ISTIO.md 4.6)."""
    target = "route: [{destination: {host: reviews}}]"
    root = of(ROUTE).replace(
        "route: [{destination: {host: reviews, subset: v1}}]",
        "match: [{uri: {prefix: /cart}}], delegate: {name: cart}",
    )
    leaf = of(ROUTE, "cart").replace("  hosts: [cart]\n", "")
    rules = f"{{match: [{{uri: {{prefix: /cart/new}}}}], {target}}}, {{match: [{{uri: {{prefix: /c}}}}], {target}}}"
    leaf = leaf.replace("{route: [{destination: {host: cart, subset: v1}}]}", rules)
    (finding,) = looked(of(SERVICE), root, leaf).findings
    assert (finding.code, finding.object.name, finding.field) == ("IST0130", "cart", "spec.http[1]")
    assert finding.effect == (
        "istiod drops this rule where VirtualService default/reviews hands over to it (uri prefix /cart), because "
        "it has a match that reaches beyond that (uri prefix /c): such requests to "
        "reviews.default.svc.cluster.local fall to a later rule, to the whole service, or to 404."
    )
