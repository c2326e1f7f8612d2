"""How an Envoy is asked for its mutual TLS: the questions, and what they come to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from safeapply.istio.proxies import Labels, Proxy, Role
from safeapply.istio.tls import Mode, Sent
from safeapply.ports import Answer
from safeapply.resources.objects import Namespace
from safeapply.rollout.reading import Reader
from safeapply.xds.expectations import ClusterActive, ClusterSends, Expectation, InboundAccepts
from safeapply.xds.names import CONTROL_CLUSTER, ClusterName
from safeapply.xds.questions import INBOUND, cluster_question, endpoint_question
from safeapply.xds.shortfalls import Holds
from safeapply.xds.verdicts import judge

WEB = ClusterName("outbound|80||web.default.svc.cluster.local")
CLIENT = Proxy(Namespace("default"), "client", "1", Role.SIDECAR, Labels(), ready=True)
MUTUAL = {
    "name": "envoy.transport_sockets.tls",
    "typed_config": {"common_tls_context": {"alpn_protocols": ["istio-peer-exchange", "istio"]}},
}
CHOSEN = [{"match": {"tlsMode": "istio"}, "transport_socket": MUTUAL}, {"match": {}}]


@dataclass(slots=True)
class Scripted:
    """An Envoy that knows these answers and no others."""

    answers: Mapping[str, object]
    asked: list[str] = field(default_factory=list)

    async def ask(self, proxy: Proxy, path: str, *, deadline: float) -> Answer:
        """Answer from the script."""
        assert (proxy, deadline) == (CLIENT, 1.0)
        self.asked.append(path)
        return Answer(200, json.dumps({"configs": self.answers.get(path, [])}).encode())

    async def release(self, proxy: Proxy) -> None:
        """Have nothing to release."""

    async def close(self) -> None:
        """Have nothing to close."""


def clusters(*names: str) -> list[object]:
    """Return clusters that use automatic mTLS."""
    listed = [{"cluster": {"name": name, "transport_socket_matches": CHOSEN}} for name in names]
    return [{"dynamic_active_clusters": listed}]


def endpoints(mark: str) -> list[object]:
    """Return one endpoint with a mark."""
    metadata = {"filter_metadata": {"envoy.transport_socket_match": {"tlsMode": mark}}}
    localities = [{"lb_endpoints": [{"health_status": "HEALTHY", "metadata": metadata}]}]
    return [{"endpoint_config": {"cluster_name": WEB, "endpoints": localities}}]


def listener(*protocols: str) -> list[object]:
    """Return the inbound listener with a chain for each transport protocol."""
    chains = [
        {"filter_chain_match": {"destination_port": 8080, "transport_protocol": one}}
        | ({"transport_socket": {"name": "envoy.transport_sockets.tls"}} if one == "tls" else {})
        for one in protocols
    ]
    return [{"name": "virtualInbound", "active_state": {"listener": {"filter_chains": chains}}}]


SENDS = ClusterSends(WEB, frozenset({Sent.MTLS}), automatic=True)
STRICT = InboundAccepts(8080, Mode.STRICT)


async def hold(envoy: Scripted, *expectations: Expectation) -> list[bool]:
    """Tell which expectations an Envoy fulfils."""
    reading = await Reader(envoy, CLIENT, expectations, 1.0).read()
    return [isinstance(judge(one, reading), Holds) for one in expectations]


async def test_what_is_sent_and_accepted_is_asked_for() -> None:
    """The cluster's sockets, the marks of its endpoints, and the inbound listener alone."""
    there = {cluster_question([WEB]): clusters(CONTROL_CLUSTER, WEB), INBOUND: listener("tls")}
    assert await hold(Scripted({**there, endpoint_question([WEB]): endpoints("istio")}), SENDS, STRICT) == [
        True,
        True,
    ]
    assert await hold(Scripted({**there, endpoint_question([WEB]): endpoints("disabled")}), SENDS) == [False]
    open_too = {cluster_question([]): clusters(CONTROL_CLUSTER), INBOUND: listener("tls", "raw_buffer")}
    assert await hold(Scripted(open_too), STRICT) == [False]


async def test_nobody_else_is_asked() -> None:
    """A barrier about routes and clusters costs what it cost before."""
    envoy = Scripted({cluster_question([WEB]): clusters(CONTROL_CLUSTER, WEB)})
    assert await hold(envoy, ClusterActive(WEB)) == [True]
    assert envoy.asked == [cluster_question([WEB])]
