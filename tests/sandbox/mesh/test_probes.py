"""Configurations in, requests that must flow out."""

from __future__ import annotations

import textwrap

import yaml

from safeapply.sandbox.probes import probes_of

REVIEWS = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec: {ports: [{name: http, port: 9080}, {name: tcp-db, port: 3306}, {name: udp, port: 53, protocol: UDP}]}
---
"""


def _probes(manifests: str) -> list[str]:
    documents = [d for d in yaml.safe_load_all(textwrap.dedent(manifests)) if d]
    lines = []
    for probe in probes_of(documents):
        selector = probe.audience.selector
        who = "sidecars" if selector is None else "gateways " + ",".join(f"{k}={v}" for k, v in selector)
        lines.append(f"{who} :{probe.port} {probe.request}")
    return lines


def test_a_service_is_asked_on_each_of_its_ports() -> None:
    """HTTP by a request, TCP by a connection, UDP not at all."""
    assert _probes(REVIEWS) == [
        "sidecars :9080 GET http://reviews.default.svc.cluster.local:9080/",
        "sidecars :3306 TCP reviews.default.svc.cluster.local:3306",
    ]


def test_every_route_and_every_match_gets_its_own_request() -> None:
    """Alternatives of one route are all asked for, and the route without a match is the plain request."""
    mesh = (
        REVIEWS
        + """
        kind: VirtualService
        metadata: {name: reviews, namespace: default}
        spec:
          hosts: [reviews]
          http:
          - match: [{uri: {prefix: /a}}, {headers: {end-user: {exact: jason}}}]
          - match: [{port: 1, uri: {prefix: /other-port}}]
          - route: [{destination: {host: reviews, subset: v1}}]
        """
    )
    assert _probes(mesh.replace("\n        ", "\n"))[2:] == [
        "sidecars :9080 GET http://reviews.default.svc.cluster.local:9080/a",
        "sidecars :9080 GET http://reviews.default.svc.cluster.local:9080/ end-user=jason",
    ]


def test_a_host_without_a_service_is_asked_on_port_80() -> None:
    """That is the only port on which Istio installs such a host (ISTIO.md 2.5); a wildcard gets an example."""
    assert _probes("""
        kind: VirtualService
        metadata: {name: shop}
        spec: {hosts: ["*.shop.example"], http: [{route: []}]}
    """) == ["sidecars :80 GET http://probe.shop.example:80/"]


def test_gateways_are_asked_for_the_hosts_that_server_and_virtual_service_share() -> None:
    """The more specific of two hosts is asked for, on each server of a Gateway that the VirtualService names."""
    assert _probes("""
        kind: Gateway
        metadata: {name: edge, namespace: infra}
        spec:
          selector: {istio: ingress}
          servers:
          - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*/*.example"]}
          - {port: {number: 443, name: tls, protocol: TLS}, hosts: [other.test, "*"]}
        ---
        kind: VirtualService
        metadata: {name: shop, namespace: default}
        spec: {hosts: [shop.example], gateways: [infra/edge], http: [{match: [{uri: {exact: /cart}}]}]}
        ---
        kind: VirtualService
        metadata: {name: beside, namespace: default}
        spec: {hosts: [beside.example], gateways: [edge], http: [{}]}
    """) == [
        "gateways istio=ingress :80 GET http://shop.example/cart",
        "gateways istio=ingress :443 TLS shop.example:443",
    ]


def test_a_delegate_is_reached_through_its_root() -> None:
    """What the root and the delegate ask for is in one request."""
    assert _probes("""
        kind: VirtualService
        metadata: {name: root, namespace: default}
        spec:
          hosts: [shop.example]
          http: [{match: [{headers: {x: {exact: y}}}], delegate: {name: cart, namespace: carts}}]
        ---
        kind: VirtualService
        metadata: {name: cart, namespace: carts}
        spec: {http: [{match: [{uri: {exact: /cart}, method: {exact: PUT}}]}, {}]}
    """) == [
        "sidecars :80 PUT http://shop.example:80/cart x=y",
        "sidecars :80 GET http://shop.example:80/ x=y",
    ]


def test_external_hosts_are_asked_on_their_ports() -> None:
    """A ServiceEntry is a host like any other."""
    assert _probes("""
        kind: ServiceEntry
        metadata: {name: out}
        spec: {hosts: [api.example], ports: [{number: 443, protocol: TLS}, {number: 80, protocol: HTTP}]}
    """) == ["sidecars :443 TLS api.example:443", "sidecars :80 GET http://api.example:80/"]
