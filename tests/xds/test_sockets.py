"""What one Envoy sends and accepts, from answers in the form in which Envoy 1.40 gives them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from safeapply.istio.tls import Mode, Sent
from safeapply.xds.configdump import Clusters, UnreadableError
from safeapply.xds.expectations import ClusterSends, InboundAccepts
from safeapply.xds.names import ClusterName
from safeapply.xds.shortfalls import Absent, Holds, Warming
from safeapply.xds.sockets import Inbound, Security, inbound, marks, sockets
from safeapply.xds.verdicts import Reading, judge

WEB = ClusterName("outbound|80||web.default.svc.cluster.local")
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"


def tls(*protocols: str, side: str = "Upstream") -> dict[str, Any]:
    """Return a transport socket that offers these application protocols."""
    context = {"@type": f"{TLS}.{side}TlsContext", "common_tls_context": {"alpn_protocols": list(protocols)}}
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


RAW = {
    "name": "envoy.transport_sockets.raw_buffer",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"},
}
MESH = tls("istio-peer-exchange", "istio")
AUTOMATIC = {
    "transport_socket_matches": [
        {"name": "tlsMode-istio", "match": {"tlsMode": "istio"}, "transport_socket": MESH},
        {"name": "tlsMode-disabled", "match": {}, "transport_socket": RAW},
    ]
}
TUNNELLED = {
    "transport_socket_matches": [
        {
            "name": "hbone",
            "match": {"tunnel": "http"},
            "transport_socket": {"name": "envoy.transport_sockets.internal_upstream"},
        },
        {"name": "tlsMode-istio", "transport_socket": MESH},
    ]
}


def answer(*configs: dict[str, Any]) -> bytes:
    """Return the body of a config dump."""
    return json.dumps({"configs": configs}).encode()


def shown(cluster: dict[str, Any], *endpoints: str | None) -> Security:
    """Return what an Envoy shows of a cluster whose endpoints have these marks."""
    active = {"dynamic_active_clusters": [{"cluster": {"name": WEB, **cluster}}]}
    listed = [
        {"metadata": {"filter_metadata": {"envoy.transport_socket_match": {"tlsMode": one}}}} if one else {}
        for one in endpoints
    ]
    assigned = {"endpoint_config": {"cluster_name": WEB, "endpoints": [{"lb_endpoints": listed}]}}
    return Security(sockets(200, answer(active)), marks(200, answer(assigned)))


@pytest.mark.parametrize(
    ("cluster", "endpoints", "sent", "automatic"),
    [
        pytest.param({}, ["istio"], {Sent.PLAINTEXT}, False, id="no socket"),
        pytest.param({"transport_socket": MESH}, [None], {Sent.MTLS}, False, id="ISTIO_MUTUAL"),
        pytest.param({"transport_socket": tls("h2")}, [], {Sent.OWN_TLS}, False, id="SIMPLE"),
        pytest.param(AUTOMATIC, ["istio"], {Sent.MTLS}, True, id="marked"),
        pytest.param(AUTOMATIC, [None], {Sent.PLAINTEXT}, True, id="not marked"),
        pytest.param(AUTOMATIC, ["istio", None], {Sent.MTLS, Sent.PLAINTEXT}, True, id="both"),
        pytest.param(TUNNELLED, [None], {Sent.MTLS}, False, id="ISTIO_MUTUAL beside a tunnel"),
    ],
)
def test_what_goes_out(
    cluster: dict[str, Any],
    endpoints: list[str | None],
    sent: set[Sent],
    automatic: bool,  # noqa: FBT001  a parameter of the test
) -> None:
    """ISTIO.md 6.2: the cluster's socket, or the first that the endpoint's marks match."""
    security = shown(cluster, *endpoints)
    assert security.sent(WEB) == sent
    assert security.sockets[WEB].automatic is automatic


def chain(port: int | None, *, mutual: bool, protocol: str = "raw_buffer") -> dict[str, Any]:
    """Return a filter chain."""
    match: dict[str, Any] = {"transport_protocol": "tls" if mutual else protocol}
    if port is not None:
        match["destination_port"] = port
    return {"filter_chain_match": match, **({"transport_socket": tls(side="Downstream")} if mutual else {})}


PERMISSIVE = [chain(8080, mutual=True), chain(8080, mutual=False), chain(8080, mutual=False, protocol="tls")]
STRICT = [chain(8080, mutual=True)]
DISABLED = [chain(8080, mutual=False)]


def listening(chains: list[dict[str, Any]], *, name: str = "virtualInbound", **more: object) -> bytes:
    """Return an answer with the inbound listener."""
    return answer({"name": name, "active_state": {"listener": {"name": name, "filter_chains": chains}}, **more})


@pytest.mark.parametrize(
    ("chains", "mode"), [(PERMISSIVE, Mode.PERMISSIVE), (STRICT, Mode.STRICT), (DISABLED, Mode.DISABLE)]
)
def test_what_comes_in(chains: list[dict[str, Any]], mode: Mode) -> None:
    """ISTIO.md 6.1: both chains, only the one that ends TLS, only the one that does not; others have their own."""
    found = inbound(200, listening([*chains, chain(None, mutual=True)]))
    assert (found.mode(8080), found.mode(9090)) == (mode, Mode.STRICT)


def test_an_answer_without_the_listener_proves_nothing() -> None:
    """An empty answer is not "accepts nothing" (DESIGN 5)."""
    with pytest.raises(UnreadableError, match="virtualInbound"):
        inbound(200, answer())
    with pytest.raises(UnreadableError):
        inbound(200, listening(STRICT, name="virtualOutbound"))


def reading(security: Security | None, *, active: bool = True, warming: bool = False) -> Reading:
    """Return a reading of one Envoy."""
    there, coming = (frozenset({WEB}) if one else frozenset[ClusterName]() for one in (active, warming))
    return Reading(Clusters(there, coming), {}, security=security)


MUTUAL = ClusterSends(WEB, frozenset({Sent.MTLS}), automatic=True)


def test_clients_have_to_send_what_is_expected_and_nothing_else() -> None:
    """One endpoint that is not marked yet would be sent plaintext."""
    assert judge(MUTUAL, reading(shown(AUTOMATIC, "istio"))) == Holds()
    assert str(judge(MUTUAL, reading(shown(AUTOMATIC, "istio", None)))) == (
        f"cluster {WEB} still sends mTLS and plaintext, by its endpoints' word"
    )
    assert str(judge(MUTUAL, reading(shown({})))) == (
        f"cluster {WEB} still sends plaintext, whatever its endpoints say"
    )


def test_a_pin_is_not_there_while_endpoints_are_asked() -> None:
    """Endpoints that are not marked now may be marked in a moment."""
    plain = ClusterSends(WEB, frozenset({Sent.PLAINTEXT}), automatic=False)
    assert judge(plain, reading(shown({}))) == Holds()
    assert not isinstance(judge(plain, reading(shown(AUTOMATIC, None))), Holds)


def test_what_was_not_read_does_not_hold() -> None:
    """Neither an absent cluster, nor a newer one that is warming, nor an answer that lacks it."""
    security = shown(AUTOMATIC, "istio")
    assert judge(MUTUAL, reading(security, active=False)) == Absent(WEB)
    assert judge(MUTUAL, reading(security, warming=True)) == Warming(WEB)
    assert not isinstance(judge(MUTUAL, reading(None)), Holds)
    assert not isinstance(judge(MUTUAL, reading(Security({}, {}))), Holds)
    assert not isinstance(judge(InboundAccepts(8080, Mode.STRICT), reading(security)), Holds)


def test_servers_have_to_accept_what_is_expected() -> None:
    """A newer listener that is warming may take something else."""
    strict = InboundAccepts(8080, Mode.STRICT)

    def said(body: bytes) -> str:
        found: Inbound = inbound(200, body)
        return str(judge(strict, reading(Security({}, {}, found))))

    assert said(listening(STRICT)) == "as expected"
    assert said(listening(PERMISSIVE)) == "port 8080 still accepts what PERMISSIVE does"
    assert said(listening(STRICT, warming_state={"listener": {}})) == (
        "port 8080 still accepts what it did, and a newer listener is warming"
    )
