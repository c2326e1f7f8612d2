"""How long checking takes: 1,000 VirtualServices, 1,000 DestinationRules, 500 Services, a tenth of them faulty."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figures import Figure, median_seconds
from safeapply.checks.check import check
from safeapply.checks.scene import Sight
from safeapply.resources.manifests import SourceText, read_manifests
from safeapply.resources.objects import Namespace

__all__ = ["figures"]

SERVICES = 500
NAMESPACES = 50
FOUND = 4
"""The exit code where errors are found."""

GATEWAY = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: ingress, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*.example"]}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
"""

MANIFESTS = """\
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {owner}}}
spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {owner}}}
spec: {{template: {{metadata: {{labels: {{app: {name}, version: v1}}}}}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: {owner}}}
spec: {{host: {name}, subsets: [{{name: v1, labels: {{version: v1}}}}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}, namespace: {client}}}
spec: {{host: {name}.{owner}.svc.cluster.local, subsets: [{{name: {subset}, labels: {{version: v1}}}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, namespace: {owner}}}
spec:
  hosts: [{name}]
  http:
  - match: [{{uri: {{prefix: /api}}}}, {{headers: {{end-user: {{exact: jason}}}}}}]
    route: [{{destination: {{host: {name}, subset: v1}}}}]
  - route: [{{destination: {{host: {name}, subset: v1}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}-outside, namespace: {owner}}}
spec:
  hosts: [{name}.example]
  gateways: [istio-system/ingress]
  http:
  - route: [{{destination: {{host: {name}, subset: v1}}}}]
---
"""


def figures() -> Iterator[Figure]:
    """Yield the time of the checks alone, at this size and at ten times it, and of the whole command on files."""
    for services in (SERVICES, 10 * SERVICES):
        name = f"check {2 * services} VS + {2 * services} DR + {services} Services"
        yield Figure(name, _checking(services), "s", "< 3" if services == SERVICES else "< 30")
    name = f"whole command: check -f, {2 * SERVICES} VS + {2 * SERVICES} DR + {SERVICES} Services"
    yield Figure(name, _command(SERVICES), "s", "< 3")


def _checking(services: int) -> float:
    source = SourceText("mesh.yaml", _mesh(services))
    mesh = {one.id: one for one in read_manifests((source,), default_namespace=Namespace("default"))}

    def work() -> None:
        found = check(mesh, Sight()).findings
        # Two rules of each faulty host name the subset that its client's namespace hides.
        if len(found) != 2 * services // 10 or {one.code for one in found} != {"SA0101"}:
            msg = f"the benchmark's {len(found)} findings are not the ones expected"
            raise AssertionError(msg)

    return median_seconds(work, runs=5 if services == SERVICES else 1)


def _command(services: int) -> float:
    with TemporaryDirectory() as folder:
        Path(folder, "mesh.yaml").write_text(_mesh(services))

        def work() -> None:
            words = (sys.executable, "-m", "safeapply", "check", "-f", folder)
            done = subprocess.run(words, check=False, stdout=subprocess.DEVNULL)
            if done.returncode != FOUND:
                msg = f"the command ended with {done.returncode}"
                raise AssertionError(msg)

        return median_seconds(work, runs=3)


def _mesh(services: int) -> str:
    return GATEWAY + "".join(MANIFESTS.format(**_names(one)) for one in range(services))


def _names(one: int) -> dict[str, str]:
    return {
        "name": f"service-{one}",
        "owner": f"team-{one % NAMESPACES}",
        "client": f"team-{(one + 1) % NAMESPACES}",
        "subset": "v2" if one % 10 == 0 else "v1",
    }
