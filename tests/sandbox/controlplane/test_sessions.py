"""One proxy's delta stream, without a network: requests in, responses out."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from safeapply.sandbox.controlplane.faults import Faults
from safeapply.sandbox.controlplane.sessions import Request, Response, Session, Xds
from safeapply.sandbox.controlplane.translation.configuration import Configuration
from safeapply.sandbox.controlplane.translation.metadata import Json


def named(*names: str, **fields: object) -> Mapping[str, Json]:
    """Return resources that have a name and these fields."""
    return {name: {"name": name, **fields} for name in names}


def configuration(*clusters: str, routes: object = 1, **fields: object) -> Configuration:
    """Return clusters with endpoints, a listener and its routes."""
    return Configuration(
        named(*clusters, **fields), named(*clusters), named("0.0.0.0_80"), named("80", version=routes)
    )


class Proxy:
    """A session and what it sent."""

    def __init__(self, start: Configuration, faults: Faults | None = None) -> None:
        self.responses: list[Response] = []
        self.session = Session("client.default", start, faults or Faults(), self.responses.append)

    def ask(self, kind: Xds, *names: str, **fields: tuple[str, ...] | str) -> None:
        """Send a request."""
        self.session.receive(Request(kind, names, **fields))  # type: ignore[arg-type]  # a test's shorthand

    def take(self) -> list[str]:
        """Accept everything, and return it as ``CDS +a -b``."""
        told = []
        while self.responses:
            each = self.responses.pop(0)
            signs = [f"+{name}" for name in sorted(each.resources)] + [f"-{name}" for name in each.removed]
            told.append(" ".join((each.type.name, *signs)))
            self.ask(each.type, nonce=each.nonce)
        return told


@pytest.fixture
def proxy() -> Proxy:
    """Hand over a proxy that has clusters a and b, and has asked for everything."""
    connected = Proxy(configuration("a", "b"))
    connected.ask(Xds.CDS)
    connected.ask(Xds.EDS, "a", "b")
    connected.ask(Xds.LDS)
    connected.ask(Xds.RDS, "80")
    connected.take()
    return connected


def test_first_requests_are_answered_at_once() -> None:
    """Clusters and listeners come whole; endpoints and routes by name."""
    connected = Proxy(configuration("a", "b"))
    connected.ask(Xds.CDS)
    assert connected.take() == ["CDS +a +b"]
    connected.ask(Xds.EDS, "b")
    assert connected.take() == ["EDS +b"]
    connected.ask(Xds.LDS)
    connected.ask(Xds.RDS, "80")
    assert connected.take() == ["LDS +0.0.0.0_80", "RDS +80"]


def test_an_empty_answer_is_an_answer() -> None:
    """A proxy without listeners is told so, or it would wait for ever."""
    connected = Proxy(Configuration({}, {}, {}, {}))
    connected.ask(Xds.LDS)
    assert connected.take() == ["LDS"]


def test_one_push_sends_all_types_in_order_without_waiting(proxy: Proxy) -> None:
    """Clusters that are added and removed go first, routes last, whatever has been accepted (ISTIO.md 0.1)."""
    types = proxy.session.push(configuration("b", "c", routes=2))
    assert types == ("CDS", "RDS")
    assert list(proxy.session.unanswered) == ["CDS", "RDS"]
    assert proxy.take() == ["CDS +c -a", "RDS +80"]
    assert not list(proxy.session.unanswered)


def test_what_did_not_change_is_not_sent(proxy: Proxy) -> None:
    """A push that makes no difference is empty."""
    assert proxy.session.push(configuration("a", "b")) == ()
    assert proxy.take() == []


def test_a_changed_cluster_gets_its_endpoints_once_more(proxy: Proxy) -> None:
    """It would warm for ever otherwise."""
    proxy.session.push(configuration("a", "b", timeout="3s"))
    assert proxy.take() == ["CDS +a +b", "EDS +a +b"]


def test_withheld_endpoints_are_owed() -> None:
    """They are not sent with a push, nor on request, and all of them are when they are released."""
    faults = Faults(withheld={"b"})
    connected = Proxy(configuration("a", "b"), faults)
    connected.ask(Xds.CDS)
    connected.ask(Xds.EDS, "a", "b")
    assert connected.take() == ["CDS +a +b", "EDS +a"]
    assert connected.session.push_again() == ()
    faults.withheld.clear()
    connected.session.push_again()
    assert connected.take() == ["EDS +b"]


def test_what_was_refused_comes_again_with_the_next_push(proxy: Proxy) -> None:
    """A NACK is not retried by itself (ISTIO.md 7.4)."""
    proxy.session.push(configuration("a", "b", routes=2))
    refused = proxy.responses.pop()
    proxy.ask(Xds.RDS, nonce=refused.nonce, refusal="no")
    assert proxy.take() == []
    proxy.session.push(configuration("a", "b", routes=2))
    assert proxy.take() == ["RDS +80"]


def test_a_proxy_that_comes_back_is_told_what_is_gone() -> None:
    """It names what it still has; what is no more is removed, the rest is sent anew."""
    connected = Proxy(configuration("a"))
    connected.ask(Xds.CDS, known=("a", "old"))
    assert connected.take() == ["CDS +a -old"]


def test_a_name_asked_for_again_is_sent_again(proxy: Proxy) -> None:
    """An Envoy that dropped a cluster and got it back has lost its endpoints."""
    proxy.ask(Xds.EDS, unsubscribe=("a",))
    proxy.session.push(configuration("b"))
    assert proxy.take() == ["CDS -a"]
    proxy.session.push(configuration("a", "b"))
    proxy.ask(Xds.EDS, "a")
    assert proxy.take() == ["CDS +a", "EDS +a"]


def test_unknown_routes_are_empty(proxy: Proxy) -> None:
    """A draining listener may ask for routes that are no more; istiod answers with none (ISTIO.md 1.4)."""
    proxy.ask(Xds.RDS, "9999")
    (answer,) = proxy.responses
    assert answer.resources["9999"]["virtual_hosts"] == []
