"""A request that a server resets, because of what its client sends, in an operator's words (ISTIO.md 6.4)."""

from __future__ import annotations

from safeapply.istio.handshakes import Conflict
from safeapply.istio.kinds import DESTINATION_RULE
from safeapply.istio.tls import Mode, Sent

__all__ = ["called", "quarrel", "reset", "wanted"]

_WANTED = {Mode.STRICT: "mTLS", Mode.DISABLE: "no mTLS"}
_ANSWER = {Sent.PLAINTEXT: "be reset", Sent.MTLS: "answer 503 UF", Sent.OWN_TLS: "be reset"}


def wanted(conflict: Conflict) -> str:
    """Return what the server wants."""
    return _WANTED.get(conflict.accepted.mode, "plaintext or mTLS")


def reset(conflict: Conflict) -> str:
    """Return which requests would fail, what the server wants and the client sends, and who says so."""
    return (
        f"requests of {conflict.proxy_class} to {called(conflict)} would {_ANSWER[conflict.sending.sent]}: "
        f"{quarrel(conflict)}"
    )


def quarrel(conflict: Conflict) -> str:
    """Return what the server wants and the client sends, and who says so."""
    return (
        f"the server wants {wanted(conflict)} ({_policy(conflict)}), the client sends "
        f"{conflict.sending.sent.value} ({_source(conflict)})"
    )


def called(conflict: Conflict) -> str:
    """Return whom the requests are for: ``reviews...:9080``, or a subset of it."""
    subset = conflict.cluster.split("|")[2]
    return f"{f'subset {subset} of ' if subset else ''}{conflict.host}:{conflict.port}"


def _policy(conflict: Conflict) -> str:
    if not conflict.server.sidecar:
        return "it has no sidecar"
    policy, mode = conflict.accepted.policy, conflict.accepted.mode.value
    return f"{policy}, {mode}" if policy else f"{mode} by default"


def _source(conflict: Conflict) -> str:
    source = conflict.sending.source
    # A PeerAuthentication decides by what it makes of automatic mTLS.
    return str(source) if source is not None and source.group_kind == DESTINATION_RULE else "automatic mTLS"
