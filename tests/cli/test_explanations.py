"""What a plan says to people, on the real command line: why each step waits, and which request would fail."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from textwrap import dedent

from tests.cli.clusters import Said, ran
from tests.plans.worlds import SERVICES, route, rule

ALIAS = """\
---
apiVersion: v1
kind: Service
metadata: {name: stable}
spec:
  type: ExternalName
  externalName: ratings.default.svc.cluster.local
  ports: [{name: http, port: 9080}]
"""


def told(directory: Path, live: str, desired: str) -> Said:
    """Plan from one YAML to another, without a cluster."""
    for name, text in (("live", live), ("files", desired)):
        (directory / name).mkdir()
        (directory / name / "mesh.yaml").write_text(text)
    words = ("plan", "-f", str(directory / "files"), "--live", str(directory / "live"), "--explain")
    return ran(sys.executable, "-m", "safeapply", *words, kubeconfig=Path(os.devnull), COLUMNS="100")


def test_each_step_says_its_objects_its_proxies_and_what_would_fail_without_it(tmp_path: Path) -> None:
    """Of a renamed subset: the route may not come too early, nor the removal."""
    live = SERVICES + rule("reviews", "v1") + route("reviews", "v1")
    said = told(tmp_path, live, rule("reviews", "v2") + route("reviews", "v2"))
    assert said.code == 0, said.err
    _, _, switch, narrow, *_ = (*said.out.replace(str(tmp_path) + "/", "").split("\n\n"),)
    assert (
        switch.split()
        == dedent("""
        Step 2 of 3: switch
          wait for outbound|9080|v2|reviews.default.svc.cluster.local active
                   on sidecars in default
          write    ~ virtualservice default/reviews http[0].route[0].destination.subset v1 -> v2
          why      Routes move to subset v2 of reviews.default.svc.cluster.local: a proxy that got the route before
                   the cluster would answer 503 NC.
          else     on sidecars in default a request to reviews.default.svc.cluster.local:9080 can meet a route to
                   subset v2 of reviews.default.svc.cluster.local without its cluster and answer 503 NC;
                   files/mesh.yaml:10: virtualservice.networking.istio.io/default/reviews
                   spec.http[0].route[0].destination.subset names it
    """).split()
    )
    assert "no route or listener names outbound|9080|v1|reviews.default.svc.cluster.local" in narrow
    assert "virtualservice.networking.istio.io/default/reviews, as it is before, names it" in narrow


def test_a_plan_that_the_verifier_refuses_shows_the_request_that_would_fail(tmp_path: Path) -> None:
    """No Envoy shows that istiod knows an alias, so the proof finds the route without it."""
    live = SERVICES + rule("reviews", "v1") + route("reviews", "v1")
    said = told(tmp_path, live, ALIAS + route("reviews", "v1").replace("host: reviews, subset: v1", "host: stable"))
    assert said.code == 4, said.all
    assert "\n1. no-safe-order: " in said.out
    assert "Nothing will be written." in said.out
    assert (
        "a request to reviews.default.svc.cluster.local:9080 can meet a route to host "
        "stable.default.svc.cluster.local (cluster outbound|9080||stable.default.svc.cluster.local) without its "
        "cluster and answer 503 NC; virtualservice.networking.istio.io/default/reviews, as it is in between, "
        "names it"
    ) in " ".join(said.out.split())
    assert "\n  on         sidecars in default\n" in said.out
    assert " ".join(said.out.split()).endswith(
        "split the change: first add what is new, apply, then move the routes, apply, then remove the rest"
    )
