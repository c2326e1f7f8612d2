"""Objects of the wrong shape: found before they can stop the control plane."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from safeapply.sandbox.controlplane.snapshots import Snapshot
from safeapply.sandbox.controlplane.translation.configuration import Translation
from safeapply.sandbox.controlplane.translation.soundness import fault_of
from tests.sandbox.controlplane.lab import identity, read

MESH = read("""
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {selector: {app: reviews}, ports: [{name: http, port: 80, targetPort: web}, {name: tcp, port: 1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: one, labels: {app: reviews}}
spec: {containers: [{name: app, ports: [{name: web, containerPort: 8080}]}]}
status: {podIP: 10.1.0.1, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  workloadSelector: {matchLabels: {app: web}}
  trafficPolicy:
    connectionPool: {tcp: {connectTimeout: 1s, maxConnections: 5}}
    outlierDetection: {consecutive5xxErrors: 5, interval: 1s}
    tls: {mode: ISTIO_MUTUAL}
    portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}, tls: {mode: SIMPLE, sni: a.b}}]
  subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  gateways: [mesh, public]
  exportTo: ["*"]
  http:
  - match: [{uri: {prefix: /}, headers: {a: {exact: b}}, sourceLabels: {app: web}, port: 80, gateways: [mesh]}]
    route:
    - destination: {host: reviews, subset: v1, port: {number: 80}}
      weight: 1
      headers: {request: {set: {a: b}}}
    mirror: {host: reviews}
    mirrorPercentage: {value: 5}
    timeout: 1s
    retries: {attempts: 2, perTryTimeout: 1s}
    fault: {delay: {fixedDelay: 1s, percentage: {value: 1}}, abort: {httpStatus: 500}}
    rewrite: {uri: /x}
  - redirect: {uri: /x, redirectCode: 302}
  - directResponse: {status: 200, body: {string: x}}
  tcp: [{match: [{port: 1}], route: [{destination: {host: reviews}, weight: 1}]}]
  tls: [{match: [{port: 443, sniHosts: [a.b]}], route: [{destination: {host: reviews}}]}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public}
spec:
  selector: {istio: ingress}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*/*"], tls: {httpsRedirect: true}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: out}
spec:
  hosts: [out.example.com]
  addresses: [10.9.0.1]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
  endpoints: [{address: 10.5.0.1, labels: {a: b}, ports: {http: 1}}]
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: scope}
spec:
  workloadSelector: {labels: {app: web}}
  egress: [{hosts: ["*/*"]}]
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm}
spec: {address: 10.6.0.1, labels: {app: reviews}, ports: {http: 80}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: web}
spec: {selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
""")

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 70000),
    st.text(max_size=3),
    st.just("x" * 3),
    st.lists(st.none() | st.integers() | st.text(max_size=2), max_size=2),
    st.dictionaries(st.text(max_size=2), st.none() | st.integers(), max_size=2),
)


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where something stands inside a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, each in items for path in ((*here, key), *paths(each, (*here, key)))]


PLACES = [
    (number, path)
    for number, document in enumerate(MESH)
    for path in paths({key: document[key] for key in ("spec", "status") if key in document})
]


def translate(documents: list[dict[str, Any]]) -> None:
    """Make the configuration of a sidecar and of a gateway."""
    translation = Translation(Snapshot({identity(each): each for each in documents}), mutual_tls=True)
    translation.configuration("sidecar", "default", {"app": "web"}, {"web": 8080, "80": 80})
    translation.configuration("router", "default", {"istio": "ingress", "app": "web"})


@pytest.mark.parametrize("number", range(len(MESH)))
def test_sound_objects_are_sound(number: int) -> None:
    """Nothing is found where nothing is wrong."""
    assert fault_of(MESH[number]) is None


@example((3, ("spec", "http", 0, "mirrorPercentage")), "INF")
@settings(max_examples=2000)
@given(st.sampled_from(PLACES), JUNK)
def test_what_passes_can_be_translated(place: tuple[int, tuple[Any, ...]], junk: object) -> None:
    """Whatever a field is replaced with, the object is either found out, or does no harm in the mesh."""
    number, path = place
    documents = copy.deepcopy(MESH)
    parent: Any = documents[number]
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = junk
    if fault_of(documents[number]) is None:
        translate(documents)


def test_a_fault_says_what_is_wrong() -> None:
    """In the words that the look at the object ended with."""
    rule = copy.deepcopy(MESH[2])
    del rule["spec"]["subsets"][0]["name"]
    assert fault_of(rule) == "KeyError: 'name'"
