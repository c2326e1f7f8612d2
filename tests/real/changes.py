"""Changes of a mesh, as YAML: what is live, what is desired, who answers, and who is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from safeapply.resources.objects import Document
from tests.real.places import Place, deployment, service

__all__ = ["CHANGES", "Change", "laid_out", "parsed", "route", "rule", "servers", "written"]


@dataclass(frozen=True, slots=True)
class Change:
    """One change; objects that are live and not desired are taken away by ``--prune``."""

    live: str
    desired: str
    """In both, NAMESPACE stands for the name of the namespace."""
    servers: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"reviews": ("v1", "v2")})
    """The versions of each application behind a Service."""
    asked: tuple[str, ...] = ("reviews",)
    """The hosts that clients ask all the while."""
    prune: bool = False


def servers(change: Change) -> list[Document]:
    """Return the Services and Deployments that answer."""
    return [
        document
        for app, versions in change.servers.items()
        for document in (service(app), *(deployment(app, version, port=9080) for version in versions))
    ]


def parsed(text: str) -> list[Document]:
    """Return the documents of a text."""
    return [document for document in yaml.safe_load_all(text) if document]


def laid_out(place: Place, change: Change, directory: Path) -> Path:
    """Make a change's live objects and its servers, and return the directory of what is desired."""
    place.live([*servers(change), *parsed(change.live)])
    return written(change.desired.replace("NAMESPACE", place.name), directory)


def written(text: str, directory: Path) -> Path:
    """Write what is desired, and return where."""
    (directory / "desired.yaml").write_text(text)
    return directory


def rule(host: str, *subsets: str, policy: str = "") -> str:
    """Return a DestinationRule with subsets by version."""
    listed = ", ".join(f"{{name: {one}, labels: {{version: {one.split('-')[-1]}}}}}" for one in subsets)
    traffic = f"\n  trafficPolicy: {policy}" if policy else ""
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {host}, labels: {{set: own}}}}
spec:
  host: {host}{traffic}
  subsets: [{listed}]
---"""


def route(host: str, *shares: tuple[str, int], name: str = "") -> str:
    """Return a VirtualService that splits a host's requests among subsets."""
    listed = ", ".join(
        f"{{destination: {{host: {host}, subset: {one}}}, weight: {share}}}" for one, share in shares
    )
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name or host}, labels: {{set: own}}}}
spec:
  hosts: [{host}]
  http: [{{route: [{listed}]}}]
---"""


DELEGATE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews, labels: {{set: own}}}}
spec:
  hosts: [reviews]
  http: [{{delegate: {{name: {name}}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}, labels: {{set: own}}}}
spec:
  http: [{{route: [{{destination: {{host: reviews, subset: {subset}}}}}]}}]
---"""

ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: outside, labels: {{set: own}}}}
spec:
  hosts: [outside.example.test]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{{number: 9080, name: http, protocol: HTTP}}]
  workloadSelector: {{labels: {{app: reviews, version: {version}}}}}
---"""

SIDECAR = """
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: default, labels: {{set: own}}}}
spec:
  egress: [{{hosts: [{hosts}]}}]
---"""

STRICT = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, labels: {set: own}}
spec:
  mtls: {mode: STRICT}
---"""

CHANGES: Mapping[str, Change] = {
    "rename a subset": Change(
        live=rule("reviews", "v1") + route("reviews", ("v1", 100)),
        desired=rule("reviews", "stable-v1") + route("reviews", ("stable-v1", 100)),
    ),
    "add a subset and the route to it": Change(
        live=rule("reviews", "v1") + route("reviews", ("v1", 100)),
        desired=rule("reviews", "v1", "v2") + route("reviews", ("v1", 50), ("v2", 50)),
    ),
    "remove a subset and the route to it": Change(
        live=rule("reviews", "v1", "v2") + route("reviews", ("v1", 50), ("v2", 50)),
        desired=rule("reviews", "v1") + route("reviews", ("v1", 100)),
    ),
    "move a canary": Change(
        live=rule("reviews", "v1", "v2") + route("reviews", ("v1", 90), ("v2", 10)),
        desired=rule("reviews", "v1", "v2") + route("reviews", ("v1", 10), ("v2", 90)),
    ),
    "retire a version": Change(
        live=rule("reviews", "v1", "v2") + route("reviews", ("v1", 100)),
        desired=rule("reviews", "v2") + route("reviews", ("v2", 100)),
    ),
    "bring a rule and a route to a host that had none": Change(
        live="", desired=rule("reviews", "v1", "v2") + route("reviews", ("v2", 100))
    ),
    "take away a rule and the route to it": Change(
        live=rule("reviews", "v1") + route("reviews", ("v1", 100)), desired="", prune=True
    ),
    "rename a delegate and its subset": Change(
        live=rule("reviews", "v1") + DELEGATE.format(name="team", subset="v1"),
        desired=rule("reviews", "v2") + DELEGATE.format(name="crew", subset="v2"),
        prune=True,
    ),
    "move between hosts": Change(
        live=rule("ratings", "v1")
        + rule("reviews", "v1")
        + route("reviews", ("v1", 100))
        + route("ratings", ("v1", 100)),
        desired=rule("ratings", "v2")
        + rule("reviews", "v2")
        + route("reviews", ("v2", 100))
        + route("ratings", ("v2", 100)),
        servers={"reviews": ("v1", "v2"), "ratings": ("v1", "v2")},
        asked=("reviews", "ratings"),
    ),
    "cut a Sidecar's egress together with the route that needed it": Change(
        live=SIDECAR.format(hosts='"./*"') + rule("reviews", "v1") + route("reviews", ("v1", 100)),
        desired=SIDECAR.format(hosts='"./reviews.NAMESPACE.svc.cluster.local", "istio-system/*"')
        + rule("reviews", "v2")
        + route("reviews", ("v2", 100)),
    ),
    "require mutual TLS": Change(
        live=rule("reviews", "v1") + route("reviews", ("v1", 100)),
        desired=rule("reviews", "v1") + route("reviews", ("v1", 100)) + STRICT,
    ),
    "pin mutual TLS in a rule and require it": Change(
        live=rule("reviews", "v1", policy="{tls: {mode: DISABLE}}") + route("reviews", ("v1", 100)),
        desired=rule("reviews", "v1", policy="{tls: {mode: ISTIO_MUTUAL}}")
        + route("reviews", ("v1", 100))
        + STRICT,
    ),
    "name an outside host and route to it": Change(
        live=rule("reviews", "v1") + route("reviews", ("v1", 100)),
        desired=ENTRY.format(version="v2")
        + """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, labels: {set: own}}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: outside.example.test}}]}]
---"""
        + rule("reviews", "v1"),
    ),
}
"""By what is done, in a sentence."""
