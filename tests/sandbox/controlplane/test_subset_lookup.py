"""Which subsets have a cluster for which client: the cases run on istiod's own functions (ISTIO.md 16)."""

from __future__ import annotations

import pytest

from tests.sandbox.controlplane.printing import clusters, configured

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {selector: {app: reviews}, ports: [{name: http, port: 80}]}
"""


def rule(
    name: str, *subsets: str, ns: str = "default", host: str = "reviews.default.svc.cluster.local", more: str = ""
) -> str:
    """Return the YAML of a DestinationRule."""
    listed = ", ".join(f"{{name: {each}, labels: {{version: {each}}}}}" for each in subsets)
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: {ns}}}
spec: {{host: "{host}", subsets: [{listed}]{", " + more if more else ""}}}
"""


def seen(*rules: str, client: str = "default", labels: dict[str, str] | None = None) -> list[str]:
    """Return the subsets that have a cluster for a client; the older rules stand first."""
    found = clusters(configured("---".join((SERVICE, *rules)), namespace=client, labels=labels))
    return [name.split("|")[1] for name in found if name.split("|")[1]]


def test_rules_of_one_host_are_united() -> None:
    """1: both exportTo unset."""
    assert seen(rule("a", "v1"), rule("b", "v2")) == ["v1", "v2"]


def test_a_subset_defined_twice_is_the_older_rules() -> None:
    """2: the endpoints are those of the older rule's labels."""
    younger = rule("b", "v1").replace("version: v1", "version: other")
    text = "---".join((SERVICE, rule("a", "v1"), younger))
    pod = """
---
apiVersion: v1
kind: Pod
metadata: {name: one, labels: {app: reviews, version: v1}}
spec: {containers: [{name: app}]}
status: {podIP: 10.1.0.1, conditions: [{type: Ready, status: "True"}]}
"""
    assert clusters(configured(text + pod)) == ["80|v1|reviews.default 1", "80||reviews.default 1"]


@pytest.mark.parametrize(
    ("older", "younger", "expected"),
    [
        ("", 'exportTo: ["*"]', ["v2"]),
        ('exportTo: ["*"]', "", ["v2"]),
        ('exportTo: ["."]', 'exportTo: [".", "other"]', ["v1", "v2"]),
        ('exportTo: [".", "other"]', 'exportTo: ["."]', ["v2"]),
    ],
)
def test_rules_with_other_audiences_are_not_united(older: str, younger: str, expected: list[str]) -> None:
    """3 and 4: unset is not ``*``; a younger, wider audience is merged in, a narrower one stands alone."""
    assert seen(rule("a", "v1", more=older), rule("b", "v2", more=younger)) == expected


def test_a_rule_in_the_clients_namespace_shadows() -> None:
    """5 and 5b: even a wildcard without subsets takes the service's own subsets away, for that namespace only."""
    own = rule("a", "v1")
    for host in ("reviews.default.svc.cluster.local", "*.local"):
        shadow = rule("b", ns="shop", host=host)
        assert seen(own, shadow, client="shop") == []
        assert seen(own, shadow, client="default") == ["v1"]


def test_a_rule_in_a_third_namespace_is_ignored() -> None:
    """5c: whatever its exportTo."""
    assert seen(rule("a", "v1"), rule("b", "v3", ns="third", more='exportTo: ["*"]'), client="shop") == ["v1"]
    assert seen(rule("b", "v3", ns="third"), client="shop") == []


def test_the_root_namespace_is_the_last_resort() -> None:
    """6: its rules hold where the client's and the service's namespaces have none."""
    root = rule("r", "v9", ns="istio-system")
    assert seen(root, client="shop") == ["v9"]
    assert seen(root, rule("a", "v1"), client="shop") == ["v1"]


def test_a_root_client_prefers_its_private_rules() -> None:
    """6c: a client in the root namespace sees the root's rules that are exported to nobody, before any other."""
    private = rule("r", "v9", ns="istio-system", more='exportTo: ["."]')
    assert seen(private, rule("a", "v1"), client="istio-system") == ["v9"]
    assert seen(rule("r", "v9", ns="istio-system"), rule("a", "v1"), client="istio-system") == ["v1"]


def test_a_hidden_exact_rule_hides_its_wildcard_sibling() -> None:
    """7: the most specific host is chosen first, and visibility is looked at afterwards."""
    exact, wild = rule("a", "v1", more='exportTo: ["."]'), rule("b", "v2", host="*.default.svc.cluster.local")
    assert seen(exact, wild, client="shop") == ["v2"]
    hidden = rule("a", "v1", more='exportTo: ["third"]')
    assert seen(hidden, wild, client="shop") == []


SELECTING = "workloadSelector: {matchLabels: {app: web}}"


def test_a_selecting_rule_takes_the_place_of_the_plain_one() -> None:
    """8: for pods that it selects, in its own namespace, and for nobody else."""
    plain, selecting = rule("a", "v1"), rule("b", "v2", more=SELECTING)
    assert seen(plain, selecting, labels={"app": "web"}) == ["v2"]
    assert seen(plain, selecting, labels={"app": "db"}) == ["v1"]
    assert seen(plain, selecting, client="shop", labels={"app": "web"}) == ["v1"]


def test_a_selecting_rule_shadows_even_those_that_it_does_not_select() -> None:
    """The look-up ends in the first namespace that has a rule, before selectors are looked at (ISTIO.md 3.1)."""
    plain, selecting = rule("a", "v1"), rule("b", "v2", ns="shop", more=SELECTING)
    assert seen(plain, selecting, client="shop", labels={"app": "web"}) == ["v2"]
    assert seen(plain, selecting, client="shop", labels={"app": "db"}) == []


def test_a_private_plain_rule_beside_a_selecting_one_is_lost() -> None:
    """8d: it is merged into the selecting rule, and pods that this does not select have none (istio#58322)."""
    plain, selecting = rule("a", "v1", more='exportTo: ["."]'), rule("b", "v2", more=SELECTING)
    assert seen(plain, selecting, labels={"app": "web"}) == ["v1", "v2"]
    assert seen(plain, selecting, labels={"app": "db"}) == []


def test_hosts_are_resolved_before_they_are_compared() -> None:
    """9: a short name and the name in full merge; a name with a dot in it is nobody's short name."""
    assert seen(rule("a", "v1", host="reviews"), rule("b", "v2")) == ["v1", "v2"]
    assert seen(rule("a", "v1", host="reviews.default")) == []


def test_an_exact_host_beats_a_wildcard_in_its_namespace() -> None:
    """10: they are never united."""
    assert seen(rule("a", "v1"), rule("b", "v2", host="*.default.svc.cluster.local")) == ["v1"]
