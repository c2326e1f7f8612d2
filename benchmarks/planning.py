"""How long planning takes, from parsed resources and from files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figures import Figure, median_seconds
from safeapply.istio.kinds import GATEWAY as GATEWAY_KIND
from safeapply.plans.changes import changes_between
from safeapply.plans.planner import plan
from safeapply.resources.manifests import SourceText, read_manifests
from safeapply.resources.objects import Namespace, Resource, ResourceId

__all__ = ["figures"]

NAMESPACES = 50
LARGE = 10_000
"""From how many objects fewer runs have to do."""

MANIFESTS = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  host: {name}
  subsets:
  - name: {subset}
    labels: {{version: v1}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  hosts: [{name}]
  http:
  - route:
    - destination: {{host: {name}, subset: {subset}}}
---
"""

SCOPE = """\
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: default, namespace: team-{number}}}
spec: {{egress: [{{hosts: ["./*", "istio-system/*"]}}]}}
---
"""

GATEWAY = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {gateway}, namespace: istio-system}}
spec:
  selector: {{istio: ingress}}
  servers: [{{port: {{number: 80, name: http, protocol: HTTP}}, hosts: ["*"]}}]
---
"""

BOUND = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  hosts: [{name}.example]
  gateways: [istio-system/{gateway}]
  http: [{{route: [{{destination: {{host: {name}}}}}]}}]
---
"""

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
"""


def figures() -> Iterator[Figure]:
    """Yield planning times: 1,000 and 10,000 pairs of which a tenth renames its subset, and the whole command."""
    seconds = {pairs: _planning(_live(pairs), _desired(pairs)) for pairs in (1_000, 10_000)}
    for pairs, target in ((1_000, "< 1"), (10_000, "< 12")):
        yield Figure(f"plan {pairs} VS + {pairs} DR, a tenth changes", seconds[pairs], "s", target)
    yield Figure("growth of that time, from 1000 to 10000", seconds[10_000] / seconds[1_000], "x", "linear: 10")
    scopes = "".join(SCOPE.format(number=number) for number in range(NAMESPACES))
    scoped = _planning(_live(1_000) + scopes, _desired(1_000) + scopes)
    yield Figure(f"plan 1000 VS + 1000 DR, a tenth changes, {NAMESPACES} Sidecars", scoped, "s", "< 2")
    moved = _planning(_bound(1_000, "old"), _bound(1_000, "new"))
    yield Figure("plan 1000 VS that move to another Gateway", moved, "s", "< 4")
    yield Figure("whole command: plan --live, 1000 VS + 1000 DR", _command(1_000), "s", "< 4")
    yield Figure("safeapply --help", median_seconds(lambda: _run("--help")), "s", "< 0.3")


def _planning(before: str, after: str) -> float:
    live, desired = _world(before), _world(after)
    gone = [one for one in live if one.group_kind == GATEWAY_KIND and one not in desired]

    def work() -> None:
        changes, unchanged = changes_between(live, desired.values(), {}, gone)
        made = plan(live, changes, unchanged=unchanged)
        if made.refusals or len(made.steps) != 3:
            msg = "the benchmark's plan is not the one expected"
            raise AssertionError(msg)

    return median_seconds(work, runs=3 if len(live) > LARGE else 5)


def _command(pairs: int) -> float:
    with TemporaryDirectory() as folder:
        live, desired = Path(folder, "live"), Path(folder, "desired")
        for directory, text in ((live, _live(pairs)), (desired, _desired(pairs))):
            directory.mkdir()
            Path(directory, "all.yaml").write_text(text)
        return median_seconds(lambda: _run("plan", "--live", str(live), "-f", str(desired), "-o", "json"), runs=3)


def _run(*arguments: str) -> None:
    subprocess.run((sys.executable, "-m", "safeapply", *arguments), check=True, stdout=subprocess.DEVNULL)


def _live(pairs: int) -> str:
    return "".join(
        SERVICE.format(**_names(one)) + MANIFESTS.format(subset="v1", **_names(one)) for one in range(pairs)
    )


def _desired(pairs: int) -> str:
    return "".join(
        MANIFESTS.format(subset="v1" if one >= pairs // 10 else "stable", **_names(one)) for one in range(pairs)
    )


def _bound(routes: int, gateway: str) -> str:
    services = "".join(SERVICE.format(**_names(one)) for one in range(routes))
    bound = "".join(BOUND.format(gateway=gateway, **_names(one)) for one in range(routes))
    return services + GATEWAY.format(gateway=gateway) + bound


def _names(one: int) -> dict[str, str]:
    return {"name": f"service-{one}", "namespace": f"team-{one % NAMESPACES}"}


def _world(text: str) -> Mapping[ResourceId, Resource]:
    resources = read_manifests((SourceText("all.yaml", text),), default_namespace=Namespace("default"))
    return {one.id: one for one in resources}
