"""Requests in, bytes and sockets out."""

from __future__ import annotations

from pathlib import Path

import yaml

from safeapply.resources.objects import Document
from safeapply.sandbox.probes import Audience, BytesRequest, Probe, TlsRequest
from safeapply.sandbox.samples import HttpRequest
from safeapply.sandbox.synthesis import proxy_pod
from safeapply.sandbox.targets import addresses_of, client_hello, targets_of

RUN = Path("/run")
PODS: list[Document] = [
    proxy_pod("client-1", "shop", {}, "sidecar"),
    proxy_pod("gateway-1", "istio-system", {"istio": "ingress", "app": "gw"}, "router"),
    {"metadata": {"name": "reviews", "namespace": "shop"}, "spec": {"containers": [{"name": "app"}]}},
]
INGRESS = Audience((("istio", "ingress"),))


def test_each_probe_goes_to_the_listener_that_a_client_would_reach() -> None:
    """HTTP goes to the port, TCP and TLS to the address of the service, gateway clients to the gateway's port."""
    probes = [
        Probe(Audience(), 80, HttpRequest("reviews:80")),
        Probe(Audience(), 3306, BytesRequest("db.shop.svc.cluster.local", 3306)),
        Probe(Audience(), 443, TlsRequest("headless.shop.svc.cluster.local", 443)),
        Probe(INGRESS, 80, HttpRequest("shop.example")),
        Probe(Audience((("istio", "egress"),)), 80, HttpRequest("nobody")),
    ]
    addresses = {"db.shop.svc.cluster.local": "10.96.0.1", "headless.shop.svc.cluster.local": ""}
    targets = targets_of(probes, pods=PODS, addresses=addresses, run=RUN)
    assert [(target.proxy, str(target.socket), target.http) for target in targets] == [
        ("client-1.shop", "/run/x/client-1.shop/80.sock", True),
        ("client-1.shop", "/run/x/client-1.shop/10.96.0.1_3306.sock", False),
        ("client-1.shop", "/run/x/client-1.shop/443.sock", False),
        ("gateway-1.istio-system", "/run/x/gateway-1.istio-system/80.sock", True),
    ]


def test_addresses_are_those_of_services_and_entries() -> None:
    """A Service without one has the address that the control plane gives it, a headless one none."""
    services = list(
        yaml.safe_load_all("""
metadata: {name: a, namespace: shop}
spec: {clusterIP: 10.96.0.9}
---
metadata: {name: b, namespace: shop}
spec: {clusterIP: None}
---
metadata: {name: c, namespace: shop}
spec: {}
""")
    )
    services[1]["spec"]["clusterIP"] = "None"
    entries = [{"spec": {"hosts": ["X.example"], "addresses": ["10.0.0.0/8", "10.1.2.3"]}}]
    found = addresses_of(services, entries)
    assert found.pop("c.shop.svc.cluster.local").startswith("10.96.")
    assert found == {
        "a.shop.svc.cluster.local": "10.96.0.9",
        "b.shop.svc.cluster.local": "",
        "x.example": "10.1.2.3",
    }


def test_a_client_hello_names_its_host() -> None:
    """What is sent is the start of a TLS handshake with the host as SNI."""
    hello = client_hello("vault.example")
    assert hello[0] == 0x16
    assert b"vault.example" in hello
