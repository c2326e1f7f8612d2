"""The words of mutual TLS: what a server accepts, what a client sends, and which of them meet (ISTIO.md 6).

``istio.authentication`` tells the one, ``istio.calling`` the other, ``istio.handshakes`` brings them together.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from safeapply.resources.objects import Document

__all__ = ["ClientMode", "Mode", "Sent", "TlsPolicy", "accepts", "cluster_mode", "endpoint_mode", "tls_policy"]


class Mode(Enum):
    """``mtls.mode`` of a PeerAuthentication."""

    UNSET = "UNSET"
    """As the next wider policy says."""
    DISABLE = "DISABLE"
    """No TLS of the mesh. A pod without a sidecar is no different to its clients."""
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"


class ClientMode(Enum):
    """``tls.mode`` of a DestinationRule."""

    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


class Sent(Enum):
    """What a client opens a connection with."""

    PLAINTEXT = "plaintext"
    MTLS = "mTLS"
    """Mutual TLS with the certificates of the mesh."""
    OWN_TLS = "TLS of its own"
    """TLS with other certificates, which only the application can answer."""


_REFUSED = {Mode.STRICT: {Sent.PLAINTEXT, Sent.OWN_TLS}, Mode.DISABLE: {Sent.MTLS}}


def accepts(mode: Mode, sent: Sent) -> bool:
    """Tell whether a server takes a connection that begins so (ISTIO.md 6.4)."""
    return sent not in _REFUSED.get(mode, ())


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """What one ``trafficPolicy`` says of TLS; one that says nothing still hides a younger one (ISTIO.md 3.3)."""

    mode: ClientMode | None = None
    ports: tuple[tuple[int, ClientMode | None], ...] = ()
    """``portLevelSettings``, those without ``tls`` too."""

    @property
    def explicit(self) -> bool:
        """Whether it names a mode anywhere."""
        return self.mode is not None or any(mode is not None for _, mode in self.ports)

    def own(self, port: int) -> bool:
        """Tell whether a port has settings of its own."""
        return any(number == port for number, _ in self.ports)

    def at(self, port: int) -> ClientMode | None:
        """Return the mode for a port: its settings replace the others even where they say nothing of TLS."""
        return next((mode for number, mode in self.ports if number == port), self.mode)


def tls_policy(owner: Document) -> TlsPolicy | None:
    """Return what the ``trafficPolicy`` of a rule or a subset says of TLS; None where there is none."""
    policy = owner.get("trafficPolicy")
    if policy is None:
        return None
    ports = (((p.get("port") or {}).get("number"), _mode(p)) for p in policy.get("portLevelSettings") or ())
    return TlsPolicy(_mode(policy), tuple((int(number), mode) for number, mode in ports if number))


def _mode(policy: Document) -> ClientMode | None:
    tls = policy.get("tls")
    # A mode that is not written is the first of Istio's enumeration.
    return None if tls is None else ClientMode(tls.get("mode") or ClientMode.DISABLE)


def cluster_mode(rule: TlsPolicy | None, subset: TlsPolicy | None, port: int) -> ClientMode | None:
    """Return the mode that istiod builds a cluster with; None for automatic mTLS (ISTIO.md 6.3)."""
    whole = rule.at(port) if rule else None
    if subset is None:
        return whole
    own = subset.at(port)
    # Settings of the subset for the port replace those of the rule even where they say nothing.
    return own if own is not None or subset.own(port) else whole


def endpoint_mode(rule: TlsPolicy | None, subset: TlsPolicy | None, port: int) -> ClientMode | None:
    """Return the mode by which istiod marks endpoints: here settings without TLS hide nothing (ISTIO.md 6.3)."""
    for policy in (subset, rule):
        if policy is not None:
            mode = next((m for number, m in policy.ports if number == port and m is not None), policy.mode)
            if mode is not None:
                return mode
    return None
