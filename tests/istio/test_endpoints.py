"""Which subsets of a ServiceEntry have a cluster (ISTIO.md 3.6)."""

from __future__ import annotations

import pytest

from safeapply.istio.view import view
from tests.istio.test_view import SIDECAR, snapshot

WORLD = """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: bank}}
spec: {{hosts: [bank.example], ports: [{{number: 80, name: http, protocol: HTTP}}], {how}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: bank}}
spec:
  host: bank.example
  subsets:
  - {{name: v1, labels: {{version: v1}}}}
  - {{name: far-v1, labels: {{version: v1, topology.istio.io/network: far}}}}
  - {{name: v2, labels: {{version: v2}}}}
  - {{name: any}}
"""
V1 = "endpoints: [{address: one.example, labels: {version: v1, app: bank}}]"
ALL = ["", "any", "far-v1", "v1", "v2"]


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        pytest.param(f"resolution: DNS, {V1}", ["", "any", "far-v1", "v1"], id="DNS is asked for what is there"),
        pytest.param(f"resolution: DNS_ROUND_ROBIN, {V1}", ["", "any", "far-v1", "v1"], id="and in turns"),
        pytest.param("resolution: DNS", ["", "any"], id="without endpoints the host is one, without labels"),
        pytest.param(f"resolution: STATIC, {V1}", ALL, id="endpoints are told to a cluster that is there"),
        pytest.param("resolution: STATIC", ALL, id="or are not"),
        pytest.param(
            "resolution: DNS, workloadSelector: {labels: {app: bank}}", ALL, id="WorkloadEntries may come"
        ),
    ],
)
def test_a_subset_has_a_cluster_where_endpoints_can_be_in_it(how: str, expected: list[str]) -> None:
    """Labels that istiod gives by itself, as the network's, are taken to fit."""
    clusters = view(snapshot(WORLD.format(how=how)), SIDECAR).clusters
    assert sorted(name.split("|")[2] for name in clusters if name.endswith("|bank.example")) == expected
