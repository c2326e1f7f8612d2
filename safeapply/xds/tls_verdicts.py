"""Judge what one Envoy sends and accepts: the part of ``xds.verdicts`` that is about mutual TLS."""

from __future__ import annotations

from safeapply.xds.expectations import ClusterSends, InboundAccepts
from safeapply.xds.shortfalls import OtherwiseAccepted, OtherwiseSent
from safeapply.xds.sockets import Security

__all__ = ["accepted_otherwise", "sent_otherwise"]

NOTHING = Security({}, {})


def sent_otherwise(expectation: ClusterSends, security: Security | None) -> OtherwiseSent | None:
    """Return what goes out through an active cluster instead; None where it is as expected."""
    shown = (security or NOTHING).sockets.get(expectation.cluster)
    if security is None or shown is None:
        return OtherwiseSent(expectation.cluster, "what its answer does not tell")
    sent = security.sent(expectation.cluster)
    if shown.automatic == expectation.automatic and sent <= expectation.sent:
        return None
    words = " and ".join(sorted(one.value for one in sent)) or "nothing, for it has no endpoint"
    asked = "by its endpoints' word" if shown.automatic else "whatever its endpoints say"
    return OtherwiseSent(expectation.cluster, f"{words}, {asked}")


def accepted_otherwise(expectation: InboundAccepts, security: Security | None) -> OtherwiseAccepted | None:
    """Return what comes in instead; None where it is as expected, and nothing newer is on its way."""
    shown = (security or NOTHING).inbound
    if shown is None:
        return OtherwiseAccepted(expectation.port, "what its answer does not tell")
    mode = shown.mode(expectation.port)
    if mode is not expectation.mode:
        return OtherwiseAccepted(expectation.port, f"what {mode.value} does" if mode else "nothing")
    return (
        OtherwiseAccepted(expectation.port, "what it did, and a newer listener is warming")
        if shown.warming
        else None
    )
