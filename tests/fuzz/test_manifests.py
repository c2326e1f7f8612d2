"""Files that nobody would write: each is planned with, or refused in sentences; none is a traceback."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from safeapply.errors import SafeApplyError
from safeapply.plans.changes import changes_between
from safeapply.plans.planner import PlanOptions, plan
from safeapply.report.plan_json import plan_json
from safeapply.report.plan_text import plan_text
from safeapply.resources.manifests import SourceText, read_manifests
from safeapply.resources.objects import Namespace, Resource, ResourceId
from tests.fuzz.amounts import few, many
from tests.fuzz.edits import EDITS, NUMBERS, Edit, garbled, misshapen

ROOT = Path(__file__).parents[2]
OTHERS = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec: {selector: {istio: ingress}, servers: [{port: {number: 80, protocol: HTTP}, hosts: [shop.example]}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside}
spec: {hosts: [api.example], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default}
spec: {egress: [{hosts: ["./*", "istio-system/*"]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews}
spec: {replicas: 1, template: {metadata: {labels: {app: reviews}}, spec: {containers: [{name: a}]}}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: allow}
spec: {action: ALLOW, rules: [{from: [{source: {namespaces: [default]}}], to: [{operation: {paths: ["/a"]}}]}]}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict}
spec: {mtls: {mode: STRICT}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec: {parentRefs: [{name: edge}], rules: [{backendRefs: [{name: reviews, port: 9080}]}]}
---
apiVersion: v1
kind: Secret
metadata: {name: token}
data: {key: dmFsdWU=}
"""


@cache
def seeds() -> tuple[bytes, ...]:
    """Return good files to begin with."""
    paths = sorted(ROOT.glob("examples/*/desired/*.yaml"))
    return (*(path.read_bytes() for path in paths), OTHERS.encode())


@cache
def live() -> dict[ResourceId, Resource]:
    """Return the mesh that the files are planned against."""
    paths = sorted(ROOT.glob("examples/0[15]*/live/*.yaml"))
    found = read((*(path.read_bytes() for path in paths), OTHERS.encode()))
    return {one.id: one for one in found}


def read(texts: tuple[bytes, ...]) -> tuple[Resource, ...]:
    """Read texts as the command does."""
    sources = [SourceText(f"{number}.yaml", text) for number, text in enumerate(texts)]
    return read_manifests(sources, default_namespace=Namespace("default"))


def survives(text: bytes) -> None:
    """Read a text, and plan with it, and tell the plan; whatever is wrong is an error of our own."""
    try:
        manifests = read((text,))
    except SafeApplyError:
        return
    changes, unchanged = changes_between(live(), manifests, {})
    made = plan(live(), changes, unchanged=unchanged, options=PlanOptions(offline=True))
    plan_json(made)
    plan_text(made, live=live())


def bytes_survive(seed: int, edits: list[Edit]) -> None:
    """Garble a good file."""
    survives(garbled(seeds()[seed % len(seeds())], edits))


def values_survive(seed: int, edits: list[Edit]) -> None:
    """Put values of other shapes into a good manifest."""
    documents = list(yaml.safe_load_all(seeds()[seed % len(seeds())]))
    survives(b"\n---\n".join(json.dumps(misshapen(one, edits)).encode() for one in documents))


@few(300)
@given(NUMBERS, EDITS)
def test_garbled_files_are_refused_in_sentences(seed: int, edits: list[Edit]) -> None:
    """A sample; the nightly run has 30,000."""
    bytes_survive(seed, edits)


@few(200)
@given(NUMBERS, EDITS)
def test_manifests_of_other_shapes_are_refused_in_sentences(seed: int, edits: list[Edit]) -> None:
    """A sample; the nightly run has 30,000."""
    values_survive(seed, edits)


@pytest.mark.long
@many(30_000)
@given(NUMBERS, EDITS)
def test_no_garbled_file_is_a_traceback(seed: int, edits: list[Edit]) -> None:
    """Bytes put in, cut out, doubled, flipped."""
    bytes_survive(seed, edits)


@pytest.mark.long
@many(30_000)
@given(NUMBERS, EDITS)
def test_no_shape_of_a_manifest_is_a_traceback(seed: int, edits: list[Edit]) -> None:
    """Any JSON value in the place of any other."""
    values_survive(seed, edits)


@pytest.mark.long
@many(30_000)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_at_all_are_a_traceback(text: bytes) -> None:
    """Files of nothing but noise."""
    survives(text)
