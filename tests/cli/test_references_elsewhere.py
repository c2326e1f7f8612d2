"""Live objects of other namespaces, beside the files: read from the cluster, and never cut off (DESIGN 4.3)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from safeapply.istio.kinds import DESTINATION_RULE
from safeapply.resources.objects import GroupKind
from safeapply.sandbox.apiserver import Access, service_account
from tests.cli.clusters import Said, files, safeapply
from tests.sandbox.apiserver.cluster import Cluster, rule, service

ROBOT = service_account("ci", "robot")
LEASE = GroupKind("coordination.k8s.io", "Lease")
HOST = "reviews.default.svc.cluster.local"
ROUTE = f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: catalogue, namespace: shop}}
spec:
  hosts: [{HOST}]
  exportTo: ["."]
  http: [{{route: [{{destination: {{host: {HOST}, subset: v2}}}}]}}]
"""
SIDECAR = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: shop}
spec: {egress: [{hosts: ["istio-system/*"]}]}
"""
HTTP_ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: catalogue, namespace: shop}
spec: {rules: [{backendRefs: [{name: reviews, namespace: default, port: 9080}]}]}
"""
GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example]}]
"""
ON_GATEWAY = f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: front, namespace: shop}}
spec: {{hosts: [shop.example], gateways: [default/edge], http: [{{route: [{{destination: {{host: {HOST}}}}}]}}]}}
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Hand over a server with a Service and two subsets of it."""
    with Cluster(tmp_path) as cluster:
        create(cluster, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        create(cluster, service("reviews"), rule("reviews", "v1", "v2"))
        yield cluster


def create(cluster: Cluster, *documents: str | dict[str, Any]) -> None:
    """Write as other people do."""
    for document in documents:
        read = yaml.safe_load(document) if isinstance(document, str) else document
        cluster.do(partial(cluster.store.create, read, manager="kubectl"))


def removing_v2(cluster: Cluster) -> Said:
    """Apply a rule that has only the first subset; no file is of another namespace."""
    directory = files(cluster.directory / "f", rule("reviews", "v1"))
    return safeapply(cluster, "apply", "--yes", "--soak", "0", "--force-conflicts", "-f", directory)


def test_a_subset_that_only_another_namespace_uses_stays(cluster: Cluster) -> None:
    """Its route is private there, and in no file."""
    create(cluster, ROUTE)
    said = removing_v2(cluster)
    assert said.code == 4, said.all
    assert "virtualservice shop/catalogue, destinationrule default/reviews" in said.err
    assert subsets(cluster) == ["v1", "v2"]


def test_a_route_that_its_own_sidecar_leaves_out_needs_nothing(cluster: Cluster) -> None:
    """The Sidecar of that namespace is read, too: no proxy there has the route."""
    create(cluster, ROUTE, SIDECAR)
    said = removing_v2(cluster)
    assert said.code == 0, said.all
    assert subsets(cluster) == ["v1"]


def test_a_service_that_an_http_route_of_another_namespace_leads_to_is_not_deleted(cluster: Cluster) -> None:
    """The Gateway API's routes count like Istio's."""
    create(cluster, HTTP_ROUTE)
    said = safeapply(cluster, "delete", "--yes", "-f", files(cluster.directory / "f", service("reviews")))
    assert said.code == 4, said.all
    assert "httproute.gateway.networking.k8s.io/shop/catalogue needs service/default/reviews" in said.err


def test_a_gateway_that_a_route_of_another_namespace_binds_to_is_not_deleted(cluster: Cluster) -> None:
    """Its requests would meet no listener."""
    create(cluster, GATEWAY, ON_GATEWAY)
    said = safeapply(cluster, "delete", "--yes", "-f", files(cluster.directory / "f", yaml.safe_load(GATEWAY)))
    assert said.code == 4, said.all
    assert "virtualservice shop/front, gateway default/edge" in said.err
    assert "to shop.example:80 would answer 404" in said.err


@pytest.mark.parametrize(
    "kind",
    [
        "virtualservices.networking.istio.io",
        "sidecars.networking.istio.io",
        "gateways.networking.istio.io",
        "httproutes.gateway.networking.k8s.io",
    ],
)
def test_who_may_not_list_what_routes_everywhere_is_told_so_and_nothing_is_written(
    cluster: Cluster, kind: str
) -> None:
    """What may not be seen cannot be protected."""
    create(cluster, *allowed(cluster, less=kind))
    cluster.do(lambda: setattr(cluster.server, "access", Access(cluster.store, {"robot": ROBOT})))
    cluster.kubeconfig.write_text(cluster.server.kubeconfig(token="robot"))
    said = removing_v2(cluster)
    assert said.code == 1
    assert said.err.startswith(
        "error: system:serviceaccount:ci:robot is not allowed to\n"
        f"  list {kind} in all namespaces, to know where requests go, in every namespace\n"
    )
    assert len(cluster.do(lambda: cluster.store.list(LEASE))) == 0
    assert subsets(cluster) == ["v1", "v2"]


def allowed(cluster: Cluster, *, less: str) -> list[dict[str, Any]]:
    """Return the roles and bindings that the command prints, without one kind."""
    plural, _, group = less.partition(".")
    said = safeapply(cluster, "rbac", "--serviceaccount", "ci:robot")
    roles = list(yaml.safe_load_all(said.out))
    for rule_ in (one for role in roles for one in role.get("rules", ())):
        if rule_["apiGroups"] == [group]:
            rule_["resources"] = [one for one in rule_["resources"] if one != plural]
    return roles


def subsets(cluster: Cluster) -> list[str]:
    """Return the subsets that are live, whoever may ask for them."""
    (live,) = cluster.do(lambda: cluster.store.list(DESTINATION_RULE))
    return [one["name"] for one in live["spec"]["subsets"]]
