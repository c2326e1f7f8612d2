"""A MeshConfig that makes rules private by default, on real Envoys under load (ISTIO.md 3.5)."""

from __future__ import annotations

import sys
from pathlib import Path

from safeapply.sandbox.delays import Delays, Span
from safeapply.sandbox.loading import read_documents
from safeapply.sandbox.mesh import Scene
from safeapply.sandbox.run import RunReport, run_under_load

SLOW = Delays(lag=Span(0.0, 0.3), push=Span(0.3, 1.5))
MESH = """\
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "defaultDestinationRuleExportTo: ['.']"}
"""
SERVICES = """\
---
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec: {selector: {app: reviews}, ports: [{name: http, port: 9080}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{name: http, port: 9080}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews, subset: v1}}]}]
"""
HOST = "reviews.default.svc.cluster.local"


def rule(namespace: str, scope: str = "") -> str:
    """Return a DestinationRule for reviews."""
    return f"""\
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: reviews, namespace: {namespace}}}
spec: {{{scope}host: {HOST}, subsets: [{{name: v1, labels: {{app: reviews}}}}]}}
"""


async def moved(directory: Path, *command: str) -> RunReport:
    """Let shop have a rule of its own, and the one in default be private: it just says nothing any more."""
    live, desired = directory / "live.yaml", directory / "desired"
    live.write_text(MESH + SERVICES + rule("default", "exportTo: ['*'], "))
    desired.mkdir()
    for namespace in ("default", "shop"):
        (desired / f"{namespace}.yaml").write_text(rule(namespace))
    scene = Scene(live=read_documents([live]), desired=read_documents([desired]), proxies=4, seed=1, delays=SLOW)
    return await run_under_load((sys.executable, "-m", *command), scene=scene, rate=200.0)


async def test_a_rule_that_goes_private_by_default_waits_for_those_who_see_it(tmp_path: Path) -> None:
    """Every client in shop has its own rule before the one of default is hidden from it."""
    report = await moved(tmp_path, "safeapply", "apply", "--yes", "--soak", "200ms", "-f", f"{tmp_path}/desired")
    assert (report.exit_code, report.tally.failed) == (0, 0), report.to_document()
    assert report.tally.requests > 100
    written = [one.id.namespace for one in report.writes if one.id.kind == "DestinationRule"]
    assert written == ["shop", "default"]
