"""What istiod's debug pages say, in the form of several releases."""

from __future__ import annotations

import json

import pytest

from safeapply.errors import IstiodError
from safeapply.istio.replicas import Replica, connected, known_versions
from safeapply.resources.objects import Namespace, ResourceId

ISTIOD = Replica(Namespace("istio-system"), "istiod-7d-x", "u")
FLAT = {
    "cluster_id": "Kubernetes",
    "proxy": "a.default",
    "istio_version": "1.24.1",
    "cluster_sent": "x=1",
    "cluster_acked": "x=1",
    "route_sent": "x=3",
    "route_acked": "x=2",
}


def test_a_nonce_that_was_not_accepted_is_unconfirmed() -> None:
    """Under way or refused: older releases do not tell which."""
    (proxy,) = connected(ISTIOD, 200, json.dumps([FLAT]).encode())
    assert (proxy.proxy, proxy.version, proxy.unconfirmed, proxy.rejected) == ("a.default", "1.24.1", ("RDS",), {})


def test_newer_releases_tell_what_envoy_said() -> None:
    """The refusal stands beside the nonces of its type."""
    routes = {"sent": "x=3", "acked": "x=2", "lastError": "duplicate domain"}
    resources = {"type.googleapis.com/envoy.config.route.v3.RouteConfiguration": routes}
    (proxy,) = connected(ISTIOD, 200, json.dumps([{**FLAT, "resources": resources}]).encode())
    assert proxy.rejected == {"RDS": "duplicate domain"}


def test_a_replica_that_serves_nobody_is_fine() -> None:
    """Go writes an empty list as null."""
    assert connected(ISTIOD, 200, b"null") == ()


def test_versions_are_told_by_object() -> None:
    """The version of the kind is no part of the identity; the spec is not even read."""
    page = [
        {
            "kind": "VirtualService",
            "apiVersion": "networking.istio.io/v1",
            "metadata": {"name": "reviews", "namespace": "default", "resourceVersion": "42"},
            "spec": {"anything": [{}]},
        }
    ]
    one = ResourceId("networking.istio.io", "VirtualService", Namespace("default"), "reviews")
    assert known_versions(ISTIOD, 200, json.dumps(page).encode()) == {one: "42"}


@pytest.mark.parametrize(
    ("status", "body"), [(404, b"[]"), (200, b"<html>"), (200, b'[{"proxy": 1}]'), (200, b"[{")]
)
def test_what_cannot_be_read_is_an_error_with_a_name(status: int, body: bytes) -> None:
    """Not an empty list: silence is told."""
    with pytest.raises(IstiodError, match="istiod-7d-x"):
        connected(ISTIOD, status, body)
