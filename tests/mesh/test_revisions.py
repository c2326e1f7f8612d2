"""Objects of one revision among Envoys of two, under load: who gets them is asked, and nobody else."""

from __future__ import annotations

import sys
from pathlib import Path

from safeapply.sandbox.delays import Delays, Span
from safeapply.sandbox.loading import read_documents
from safeapply.sandbox.mesh import Scene
from safeapply.sandbox.run import RunReport, run_under_load

SLOW = Delays(lag=Span(0.0, 0.3), push=Span(0.3, 1.5))
APART = Delays(lag=Span(0.0, 3.0), push=Span(0.0, 0.3))
"""Kinds are seen so far apart that no push holds both writes."""
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec: {selector: {app: reviews}, ports: [{name: http, port: 9080}]}
"""
CLIENT = """\
---
apiVersion: v1
kind: Pod
metadata:
  name: NAME
  namespace: default
  labels: {app: client}
  annotations: {istio.io/rev: canary}
spec:
  containers:
  - {name: application, image: client}
  - {name: istio-proxy, image: istio/proxyv2, args: [proxy, sidecar]}
"""


def routed(subset: str) -> str:
    """Return a rule and a route that only the canary's istiod reads."""
    return f"""\
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: reviews, namespace: default, labels: {{istio.io/rev: canary}}}}
spec: {{host: reviews, subsets: [{{name: {subset}, labels: {{version: v1}}}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews, namespace: default, labels: {{istio.io/rev: canary}}}}
spec: {{hosts: [reviews], http: [{{route: [{{destination: {{host: reviews, subset: {subset}}}}}]}}]}}
"""


async def renamed(directory: Path, *command: str, delays: Delays = SLOW) -> RunReport:
    """Rename the canary's subset, among two proxies of the canary and three others."""
    live, desired = directory / "live.yaml", directory / "desired.yaml"
    live.write_text(SERVICE + routed("v1") + "".join(CLIENT.replace("NAME", f"canary-{n}") for n in (1, 2)))
    desired.write_text(routed("stable"))
    scene = Scene(live=read_documents([live]), desired=read_documents([desired]), proxies=3, seed=1, delays=delays)
    return await run_under_load((sys.executable, "-m", *command, str(desired)), scene=scene, rate=200.0)


async def test_a_rename_in_one_revision_waits_for_its_own_proxies_alone(tmp_path: Path) -> None:
    """Those of the other never show the cluster: a barrier that asked them would not open."""
    report = await renamed(tmp_path, "safeapply", "apply", "--yes", "--soak", "200ms", "--timeout", "30s", "-f")
    assert (report.exit_code, report.tally.failed) == (0, 0), report.to_document()
    assert report.tally.requests > 100
    kinds = [one.id.kind for one in report.writes if one.id.group == "networking.istio.io"]
    assert kinds == ["DestinationRule", "VirtualService", "DestinationRule"]


async def test_at_once_it_loses_requests_of_that_revision_and_of_no_other(tmp_path: Path) -> None:
    """The judge is none too kind, and its proxies of two revisions do get different things."""
    report = await renamed(tmp_path, "safeapply.sandbox.applying", delays=APART)
    assert report.tally.failed > 0
    assert {proxy.partition("-")[0] for proxy in report.tally.by_proxy} == {"canary"}, report.to_document()
