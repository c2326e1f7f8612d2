"""What a script's conditions come to in a live mesh."""

from __future__ import annotations

import pytest

from safeapply.istio.mesh_settings import MeshSettings
from safeapply.istio.proxies import Labels, Proxy, Role
from safeapply.plans.conditions import (
    Condition,
    Deleted,
    Meaning,
    RoutesShown,
    RuleShown,
    SubsetReady,
    SubsetUnused,
    meaning,
)
from safeapply.resources.manifests import SourceText, read_manifests
from safeapply.resources.objects import Namespace, ResourceId
from safeapply.xds.expectations import (
    ClusterAbsent,
    ClusterActive,
    ClusterUnreferenced,
    OriginGone,
    RouteRefers,
    RouteReleased,
)

DEFAULT = Namespace("default")
LIVE = """\
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {selector: {app: reviews}, ports: [{name: http, port: 9080}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  exportTo: [.]
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews, subset: v1}}]}]
"""
HOST = "reviews.default.svc.cluster.local"
RULE, ROUTE = (
    ResourceId("networking.istio.io", kind, DEFAULT, "reviews") for kind in ("DestinationRule", "VirtualService")
)


def found(condition: Condition, live: str = LIVE) -> Meaning:
    """Return what a condition comes to, with one client here and one elsewhere."""
    resources = read_manifests([SourceText("live.yaml", live.encode())], default_namespace=DEFAULT)
    proxies = tuple(
        Proxy(Namespace(space), "a", space, Role.SIDECAR, Labels(), ready=True)
        for space in ("default", "elsewhere")
    )
    return meaning(condition, {one.id: one for one in resources}, proxies, MeshSettings())


@pytest.mark.parametrize("host", ["reviews", "reviews.default", HOST])
def test_a_subset_is_ready_where_its_cluster_takes_traffic(host: str) -> None:
    """On the proxies that get it at all, under whatever name the user knows the host by."""
    (expected,) = found(SubsetReady(host, "v2", DEFAULT)).expectations
    assert isinstance(expected, ClusterActive)
    assert expected.cluster == f"outbound|9080|v2|{HOST}"
    assert expected.ready_endpoint
    assert {one.namespace for one in expected.classes or ()} == {"default"}


def test_a_subset_that_nobody_declares_is_lacking() -> None:
    """It may come: the sentence says what is missing."""
    assert found(SubsetReady("reviews", "v3", DEFAULT)).lacks == f"no DestinationRule gives {HOST} a subset v3"


def test_a_subset_is_unused_when_no_proxy_names_it() -> None:
    """Every proxy is asked, and the rule need not be there any more."""
    meant = found(SubsetUnused("reviews", "v9", DEFAULT))
    assert meant.expectations == (ClusterUnreferenced(f"outbound|9080|v9|{HOST}"),)  # type: ignore[arg-type]


def test_an_unknown_host_is_told_apart() -> None:
    """Its ports are not known, so nothing can be asked."""
    assert found(SubsetUnused("rviews", "v1", DEFAULT)).unknown_host


def test_routes_are_shown_where_their_references_are() -> None:
    """Each destination of the VirtualService, on every proxy that gets it."""
    (expected,) = found(RoutesShown(ROUTE)).expectations
    assert isinstance(expected, RouteRefers)
    assert (expected.host, expected.cluster) == (HOST, f"outbound|9080|v1|{HOST}")
    assert {one.namespace for one in expected.classes or ()} == {"default", "elsewhere"}


def test_a_rule_is_shown_where_its_subsets_are() -> None:
    """All of them, and the default cluster that it may have changed."""
    clusters = [one.cluster for one in found(RuleShown(RULE)).expectations]
    assert clusters == [f"outbound|9080|{subset}|{HOST}" for subset in ("v1", "v2", "")]


def test_what_a_deleted_route_named_is_let_go() -> None:
    """The object has to be there still: once it is gone, nobody can tell what it named."""
    meant = found(Deleted(ROUTE))
    assert [type(one) for one in meant.expectations] == [RouteReleased]
    assert meant.lacks == f"{ROUTE} is still there"


def test_what_a_deleted_rule_made_goes() -> None:
    """Its clusters are gone from the proxies that had them."""
    gone = {one.cluster for one in found(Deleted(RULE)).expectations if isinstance(one, ClusterAbsent)}
    assert f"outbound|9080|v2|{HOST}" in gone


@pytest.mark.parametrize("kind", ["VirtualService", "DestinationRule"])
def test_of_an_object_that_is_gone_already_its_mark_has_to_go(kind: str) -> None:
    """Istiod marks what it makes of these kinds, so that whoever deleted first may wait afterwards."""
    (expected,) = found(Deleted(ResourceId("networking.istio.io", kind, DEFAULT, "other"))).expectations
    assert isinstance(expected, OriginGone)
    assert str(expected.origin) == f"{kind.lower()} default/other"
    assert expected.origin.path.endswith("/other")


def test_a_gateway_that_is_gone_already_means_nothing_to_the_proxies() -> None:
    """Only istiod can be asked."""
    gone = ResourceId("networking.istio.io", "Gateway", DEFAULT, "other")
    assert found(Deleted(gone)) == Meaning()
