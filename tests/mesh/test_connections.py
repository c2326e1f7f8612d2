"""TCP, which has no virtual hosts: listeners name the clusters."""

from __future__ import annotations

import sys
from pathlib import Path

from safeapply.sandbox.delays import Delays, Span
from safeapply.sandbox.loading import read_documents
from safeapply.sandbox.mesh import Scene
from safeapply.sandbox.run import run_under_load

SLOW = Delays(lag=Span(0.0, 0.3), push=Span(0.3, 1.5))
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: default}}
spec:
  selector: {{app: {name}}}
  ports: [{{name: tcp-db, port: 3306}}]
---
"""
ROUTE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: db, namespace: default}}
spec:
  hosts: [db]
  tcp:
    - route: [{{destination: {{host: {to}}}}}]
"""
SERVICES = {name: SERVICE.format(name=name) for name in ("db", "old", "new")}


def written(path: Path, *documents: str) -> Path:
    """Write documents into a directory of their own."""
    path.mkdir()
    (path / "all.yaml").write_text("".join(documents))
    return path


async def test_a_service_goes_only_when_no_other_hosts_listener_sends_connections_there(tmp_path: Path) -> None:
    """Its own listener names its cluster to the end, and is no reason to wait; that of db is."""
    kept = (SERVICES["db"], SERVICES["new"])
    live = written(tmp_path / "live", *kept, SERVICES["old"], ROUTE.format(to="old"))
    before = written(tmp_path / "before", SERVICES["old"], ROUTE.format(to="old"))
    after = written(tmp_path / "after", ROUTE.format(to="new"))
    apply = f"{sys.executable} -m safeapply apply --yes --soak 200ms --prune --applyset configmap/db -n default -f"
    report = await run_under_load(
        ("sh", "-c", f"{apply} {before} && {apply} {after}"),
        scene=Scene(live=read_documents([live]), desired=read_documents([after]), proxies=3, seed=1, delays=SLOW),
        rate=200.0,
    )
    assert (report.exit_code, report.tally.failed) == (0, 0), report.to_document()
    assert report.tally.lost.keys() == {"TCP old.default.svc.cluster.local:3306"}
    assert report.tally.requests > 100
