"""What istiod makes of PeerAuthentications and of DestinationRules' ``tls``: YAML in, sockets and chains out."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent
from typing import Any

import pytest

from safeapply.sandbox.controlplane.translation.configuration import Configuration
from tests.sandbox.controlplane.printing import configured

WEB = "outbound|80||web.default.svc.cluster.local"
PORTS = {"http": 8080, "admin": 9090}
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports:
  - {name: http, port: 80, targetPort: http}
  - {name: tcp, port: 3306}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, labels: {app: web, version: v1, security.istio.io/tlsMode: istio}}
spec: {containers: [{name: app, ports: [{name: http, containerPort: 8080}]}, {name: istio-proxy}]}
status: {podIP: 10.1.0.1, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-2, labels: {app: web, version: v2}}
spec: {containers: [{name: app, ports: [{name: http, containerPort: 8080}]}]}
status: {podIP: 10.1.0.2, conditions: [{type: Ready, status: "True"}]}
---
"""


def policy(mode: str, *, namespace: str = "default", name: str = "default", **spec: object) -> str:
    """Return a PeerAuthentication."""
    more = "".join(f", {key}: {value}" for key, value in spec.items())
    return dedent(f"""
        apiVersion: security.istio.io/v1
        kind: PeerAuthentication
        metadata: {{name: {name}, namespace: {namespace}}}
        spec: {{mtls: {{mode: {mode}}}{more}}}
        ---
        """)


def rule(spec: str) -> str:
    """Return a DestinationRule for the service."""
    return dedent(f"""
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {{name: web}}
        spec: {{host: web, {spec}}}
        ---
        """)


def mesh(
    text: str = "", *, labels: Mapping[str, str] | None = None, ports: Mapping[str, int] = PORTS
) -> Configuration:
    """Return the configuration of a pod of the service, in a mesh with mutual TLS."""
    return configured(SERVICE + text, labels=labels or {"app": "web", "version": "v1"}, ports=ports)


def accepted(found: Configuration) -> list[str]:
    """Return each inbound chain: the port, what has to be seen on the wire, and whether it is ended there."""
    return [_chain(chain) for chain in found.listeners["virtualInbound"]["filter_chains"]]


def _chain(chain: Mapping[str, Any]) -> str:
    match = chain["filter_chain_match"]
    asked = " by a sidecar" if "application_protocols" in match else ""
    ends = " -> mTLS" if "transport_socket" in chain else ""
    speaks = "HTTP" if chain["filters"][0]["name"].endswith("http_connection_manager") else "TCP"
    return f"{match.get('destination_port', '*')} {match['transport_protocol']}{asked}{ends} {speaks}"


def sent(found: Configuration, name: str = WEB) -> str:
    """Return what connections through a cluster begin with; of automatic mTLS by pod."""
    cluster = found.clusters[name]
    if "transport_socket_matches" not in cluster:
        socket = cluster.get("transport_socket")
        if socket is None:
            return "plaintext"
        offered = socket["typed_config"]["common_tls_context"].get("alpn_protocols", ())
        return "mTLS" if "istio" in offered else "TLS of its own"
    (locality,) = found.endpoints[name]["endpoints"]
    marks = ("mTLS" if "metadata" in one else "plaintext" for one in locality["lb_endpoints"])
    return "automatic: " + ", ".join(marks)


def test_a_permissive_port_takes_both() -> None:
    """The default: sidecars' mTLS is known by its application protocol; other TLS is a TCP application's own."""
    assert accepted(mesh()) == [
        "3306 tls by a sidecar -> mTLS TCP",
        "3306 raw_buffer TCP",
        "3306 tls TCP",
        "8080 tls by a sidecar -> mTLS HTTP",
        "8080 raw_buffer HTTP",
        "9090 tls by a sidecar -> mTLS TCP",
        "9090 raw_buffer TCP",
        "9090 tls TCP",
        "* tls by a sidecar -> mTLS TCP",
        "* raw_buffer TCP",
        "* tls TCP",
    ]


def test_a_strict_port_takes_mtls_alone_and_a_disabled_one_none() -> None:
    """STRICT ends whatever TLS comes; DISABLE ends none."""
    one = {"http": 8080}
    assert accepted(mesh(policy("STRICT"), ports=one)) == [
        "3306 tls -> mTLS TCP",
        "8080 tls -> mTLS HTTP",
        "* tls -> mTLS TCP",
    ]
    assert accepted(mesh(policy("DISABLE"), ports=one)) == [
        *("3306 raw_buffer TCP", "3306 tls TCP"),
        "8080 raw_buffer HTTP",
        *("* raw_buffer TCP", "* tls TCP"),
    ]


SELECTED = "{matchLabels: {app: web}}"
LEVELS = {
    "the mesh's": (policy("STRICT", namespace="istio-system"), "STRICT"),
    "the namespace's over the mesh's": (policy("STRICT", namespace="istio-system") + policy("DISABLE"), "DISABLE"),
    "UNSET is what is above": (policy("STRICT", namespace="istio-system") + policy("UNSET"), "STRICT"),
    "the oldest of a level": (policy("STRICT") + policy("DISABLE", name="a"), "STRICT"),
    "the workload's": (policy("STRICT") + policy("DISABLE", name="a", selector=SELECTED), "DISABLE"),
    "another workload's": (policy("DISABLE", name="a", selector="{matchLabels: {app: db}}"), "PERMISSIVE"),
    "one of the root with a selector": (
        policy("STRICT", namespace="istio-system", selector=SELECTED),
        "PERMISSIVE",
    ),
    "the port's": (
        policy("DISABLE", name="a", selector=SELECTED, portLevelMtls="{8080: {mode: STRICT}}"),
        "STRICT",
    ),
    "another port's": (
        policy("DISABLE", name="a", selector=SELECTED, portLevelMtls="{80: {mode: STRICT}}"),
        "DISABLE",
    ),
    "a port's without a selector": (policy("STRICT", portLevelMtls="{8080: {mode: DISABLE}}"), "STRICT"),
    "another namespace's": (policy("STRICT", namespace="shop"), "PERMISSIVE"),
}


@pytest.mark.parametrize(("text", "mode"), LEVELS.values(), ids=LEVELS)
def test_one_policy_decides_for_a_port(text: str, mode: str) -> None:
    """ISTIO.md 6.1: workload, namespace, mesh; ports of the workload, in a workload's policy alone."""
    shown = {
        "STRICT": {"8080 tls -> mTLS HTTP"},
        "DISABLE": {"8080 raw_buffer HTTP"},
        "PERMISSIVE": {"8080 tls by a sidecar -> mTLS HTTP", "8080 raw_buffer HTTP"},
    }
    assert {one for one in accepted(mesh(text)) if one.startswith("8080")} == shown[mode]


CLIENTS = {
    "no rule": ("", "automatic: mTLS, plaintext"),
    "a rule that says nothing": (
        rule("trafficPolicy: {loadBalancer: {simple: RANDOM}}"),
        "automatic: mTLS, plaintext",
    ),
    "PERMISSIVE to STRICT": (policy("STRICT"), "automatic: mTLS, plaintext"),
    "DISABLE by namespace": (policy("DISABLE"), "plaintext"),
    "DISABLE by workload": (policy("DISABLE", name="a", selector=SELECTED), "automatic: plaintext, plaintext"),
    "DISABLE by rule": (rule("trafficPolicy: {tls: {mode: DISABLE}}"), "plaintext"),
    "ISTIO_MUTUAL, sidecar or not": (rule("trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}"), "mTLS"),
    "ISTIO_MUTUAL to a server that wants none": (
        policy("DISABLE") + rule("trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}"),
        "mTLS",
    ),
    "SIMPLE": (rule("trafficPolicy: {tls: {mode: SIMPLE}}"), "TLS of its own"),
    "of the port": (
        rule("trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: DISABLE}}]}"),
        "plaintext",
    ),
    "of another port": (
        rule("trafficPolicy: {portLevelSettings: [{port: {number: 81}, tls: {mode: DISABLE}}]}"),
        "automatic: mTLS, plaintext",
    ),
    "a port that says nothing hides it from the cluster, and not from the marks": (
        rule(
            "trafficPolicy: {tls: {mode: DISABLE}, "
            "portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}"
        ),
        "automatic: plaintext, plaintext",
    ),
}


@pytest.mark.parametrize(("text", "expected"), CLIENTS.values(), ids=CLIENTS)
def test_what_clients_send(text: str, expected: str) -> None:
    """ISTIO.md 6.2 and 6.3, to two pods of which the first has a sidecar."""
    assert sent(mesh(text)) == expected


def test_a_subset_says_it_for_itself() -> None:
    """Its ``tls`` stands over the rule's; where the rule speaks for the port, it does too."""
    plain = "subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {tls: {mode: DISABLE}}}]"
    subset = "outbound|80|v1|web.default.svc.cluster.local"
    for settings in (
        "tls: {mode: ISTIO_MUTUAL}",
        "portLevelSettings: [{port: {number: 80}, tls: {mode: ISTIO_MUTUAL}}]",
    ):
        found = mesh(rule(f"trafficPolicy: {{{settings}}}, {plain}"))
        assert (sent(found), sent(found, subset)) == ("mTLS", "plaintext")


def test_what_is_outside_of_the_mesh_is_left_alone() -> None:
    """A ServiceEntry is outside unless it says otherwise; no TLS is begun with what stands for it here."""
    text = dedent("""
        apiVersion: networking.istio.io/v1
        kind: ServiceEntry
        metadata: {name: web}
        spec:
          hosts: [web.example]
          resolution: STATIC
          ports: [{name: http, number: 80, protocol: HTTP}]
          endpoints: [{address: 1.2.3.4}]
        ---
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {name: outside}
        spec: {host: web.example, trafficPolicy: {tls: {mode: SIMPLE}}}
        ---
        """)
    assert sent(mesh(text), "outbound|80||web.example") == "plaintext"


def test_an_entrance_leads_to_each_port() -> None:
    """A socket for each port, that says by which port it leads in; behind the listener stands the application."""
    found = mesh(ports={"http": 8080})
    assert found.listeners["entrance|8080"]["address"] == {"pipe": {"path": "in_8080.sock"}}
    (locality,) = found.clusters["entrance|8080"]["load_assignment"]["endpoints"]
    (endpoint,) = locality["lb_endpoints"]
    assert endpoint["metadata"]["filter_metadata"] == {
        "envoy.filters.listener.original_dst": {"local": "0.0.0.0:8080"}
    }
    assert "app_8080.sock" in str(found.clusters["inbound|8080||"])


def test_a_mesh_without_mutual_tls_has_nothing_of_it() -> None:
    """No inbound listener, no sockets, no marks, whatever the objects say."""
    text = SERVICE + policy("STRICT") + rule("trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}")
    found = configured(text, labels={"app": "web"})
    assert "virtualInbound" not in found.listeners
    assert "transport_socket" not in str(found.clusters)
    assert "tlsMode" not in str(found.endpoints)
    plain = configured(SERVICE, labels={"app": "web"})
    assert (plain.endpoints, plain.listeners) == (found.endpoints, found.listeners)


def test_gateways_have_certificates_and_no_inbound_listener() -> None:
    """A router sends by the same rules, and takes by its servers."""
    found = configured(SERVICE, role="router", ports={})
    assert sent(found) == "automatic: mTLS, plaintext"
    assert "virtualInbound" not in found.listeners
