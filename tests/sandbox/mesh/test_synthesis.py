"""A small directory in, what it leaves out comes out."""

from __future__ import annotations

import yaml

from safeapply.resources.objects import Document
from safeapply.sandbox.synthesis import clients, gateways, missing

LIVE = """
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
---
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews]
  http:
  - route: [{destination: {host: reviews, subset: v1, port: {number: 9080}}}]
    mirror: {host: shadow.other.svc.cluster.local}
  tcp: [{match: [{port: 3306}], route: [{destination: {host: db}}]}]
"""
DESIRED = LIVE.replace("[{name: v1, labels: {version: v1}}]", "[{name: v2, labels: {version: v2}}]")


def _documents(text: str) -> list[Document]:
    return list(yaml.safe_load_all(text))


def _lines(documents: tuple[Document, ...]) -> list[str]:
    lines = []
    for document in documents:
        metadata, spec = document["metadata"], document.get("spec", {})
        said = metadata.get("labels") or [f"{port['name']}:{port['port']}" for port in spec.get("ports", ())]
        lines.append(f"{document['kind']} {metadata.get('namespace', '-')}/{metadata['name']} {said or ''}".strip())
    return lines


def test_hosts_and_subsets_become_services_and_pods() -> None:
    """Live and desired subsets both have pods from the start, beside one pod of no subset."""
    assert _lines(missing(_documents(LIVE), _documents(DESIRED))) == [
        "Namespace -/other",
        "Namespace -/shop",
        "Service shop/reviews ['http-9080:9080']",
        "Service other/shadow ['http-80:80']",
        "Service shop/db ['tcp-3306:3306']",
        "Pod shop/reviews-0 {'app': 'reviews'}",
        "Pod shop/reviews-1 {'app': 'reviews', 'version': 'v1'}",
        "Pod shop/reviews-2 {'app': 'reviews', 'version': 'v2'}",
        "Pod other/shadow-0 {'app': 'shadow'}",
        "Pod shop/db-0 {'app': 'db'}",
    ]


def test_what_is_declared_is_left_alone() -> None:
    """A Service is not replaced, and one with a workload behind it gets no other pods."""
    declared = """
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {selector: {app: reviews}, ports: [{name: http, port: 9080}]}
---
kind: Deployment
metadata: {name: reviews, namespace: shop}
spec: {template: {metadata: {labels: {app: reviews, version: v1}}}}
"""
    lines = _lines(missing([*_documents(LIVE), *_documents(declared)], ()))
    assert not [line for line in lines if "reviews" in line]


def test_hosts_outside_the_cluster_get_nothing() -> None:
    """A name with a dot is what it says (ISTIO.md 2.1): no Service can stand for it."""
    rule = "kind: DestinationRule\nmetadata: {name: x}\nspec: {host: %s}"
    for host in ("api.example.com", "reviews.shop", "'*.local'"):
        assert missing(_documents(rule % host), ()) == ()


def test_clients_stand_in_every_namespace_that_matters() -> None:
    """There are as many as asked for, and never fewer than namespaces with routes or subsets."""
    documents = _documents(
        LIVE + "\n---\nkind: DestinationRule\nmetadata: {name: x, namespace: a}\nspec: {host: x}"
    )
    assert [pod["metadata"]["namespace"] for pod in clients(documents, 3)] == ["a", "shop", "a"]
    assert [pod["metadata"]["namespace"] for pod in clients(documents, 1)] == ["a", "shop"]
    assert [pod["metadata"]["namespace"] for pod in clients((), 1)] == ["default"]


def test_labels_by_which_clients_are_chosen_have_a_client() -> None:
    """A route for some callers, or a rule for some workloads, is seen by at least one proxy."""
    documents = _documents("""
kind: VirtualService
metadata: {name: a, namespace: shop}
spec: {hosts: [a], http: [{match: [{sourceLabels: {app: web}}]}, {match: [{sourceLabels: {app: web}}]}]}
---
kind: DestinationRule
metadata: {name: a, namespace: shop}
spec: {host: a, workloadSelector: {matchLabels: {tier: batch}}}
""")
    assert _lines(clients(documents, 4)) == [
        "Pod shop/client-1 {'app': 'client'}",
        "Pod shop/client-2 {'app': 'web'}",
        "Pod shop/client-3 {'tier': 'batch'}",
        "Pod shop/client-4 {'app': 'client'}",
    ]


def test_each_selector_of_a_gateway_gets_one_pod() -> None:
    """Two Gateways with one selector share their pod, as in a real mesh."""
    gateway = "kind: Gateway\nmetadata: {name: %s}\nspec: {selector: {istio: %s}}"
    documents = _documents("\n---\n".join(gateway % names for names in (("a", "in"), ("b", "in"), ("c", "out"))))
    assert _lines(gateways(documents)) == [
        "Pod istio-system/gateway-1 {'istio': 'in'}",
        "Pod istio-system/gateway-2 {'istio': 'out'}",
    ]
