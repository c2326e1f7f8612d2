"""What clients open connections with: the ``tls`` of DestinationRules, and else automatic mTLS (ISTIO.md 6.2, 6.3).

Automatic mTLS takes two things from istiod, which come at different times: the cluster, and the mark on each
endpoint. So a client may act on one moment's cluster and another moment's marks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from safeapply.istio.authentication import Server, acceptances, namespace_modes
from safeapply.istio.kinds import Port, Service
from safeapply.istio.proxies import ProxyClass
from safeapply.istio.snapshot import Snapshot
from safeapply.istio.subsets import EffectiveRule, effective_rule, rules_in_path
from safeapply.istio.tls import ClientMode, Mode, Sent, TlsPolicy, cluster_mode, endpoint_mode
from safeapply.resources.objects import ResourceId

__all__ = ["Sending", "rules_of", "sendings"]


@dataclass(frozen=True, slots=True)
class Sending:
    """What a client opens a connection with, and who says so."""

    sent: Sent
    source: ResourceId | None
    """A DestinationRule; of automatic mTLS the PeerAuthentication that keeps it out, or None."""
    automatic: bool = False
    """Whether the endpoint was asked for its word."""


def rules_of(snapshot: Snapshot, proxy_class: ProxyClass, service: Service) -> tuple[EffectiveRule | None, ...]:
    """Return the rules that may be effective for a class, over all versions (ISTIO.md 3)."""
    snapshot = snapshot.seen_by(proxy_class.revision)
    path = rules_in_path(snapshot, proxy_class, service)
    mixtures = product(*(snapshot.rule_versions(rule) for rule in path))
    found = (
        effective_rule([r for r in mixture if r is not None], proxy_class, service, snapshot.mesh)
        for mixture in mixtures
    )
    return tuple(dict.fromkeys(found))


def sendings(
    snapshot: Snapshot, rules: tuple[EffectiveRule | None, ...], service: Service, port: Port, subset: str, to: Call
) -> frozenset[Sending]:
    """Return all that may be sent to one server through a cluster, over all versions; nothing without the cluster.

    Args:
        snapshot: the mesh.
        rules: those that may be effective for the client, from ``rules_of``.
        service: whom it calls.
        port: on which port.
        subset: through which cluster; empty for the one of the whole service.
        to: which of the service's pods answers.
    """
    found: set[Sending] = set()
    for rule in rules:
        if subset and (rule is None or subset not in rule.names):
            continue
        mode = cluster_mode(*_policies(rule, subset), port.number)
        if mode is not None:
            found.add(Sending(_EXPLICIT[mode], rule.source if rule else None))
        else:
            found.update(_automatic(snapshot, rules, service, port, subset, to))
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Call:
    """Who answers, and who else might: a headless service has one answer for all its pods."""

    server: Server
    target: int
    others: tuple[Server, ...]


_EXPLICIT = {
    ClientMode.DISABLE: Sent.PLAINTEXT,
    ClientMode.SIMPLE: Sent.OWN_TLS,
    ClientMode.MUTUAL: Sent.OWN_TLS,
    ClientMode.ISTIO_MUTUAL: Sent.MTLS,
}


def _automatic(
    snapshot: Snapshot, rules: tuple[EffectiveRule | None, ...], service: Service, port: Port, subset: str, to: Call
) -> Iterator[Sending]:
    """Yield what a client without a mode of its own may send."""
    if service.external or not snapshot.mesh.auto_mtls:
        yield Sending(Sent.PLAINTEXT, None)
        return
    for whole in namespace_modes(snapshot, service.namespace):
        if whole.mode is Mode.DISABLE:
            yield Sending(Sent.PLAINTEXT, whole.policy)
        elif service.headless:
            # Envoy looks up the address itself and has no marks: all pods or none.
            covered = all(one.marked for one in to.others)
            yield Sending(Sent.MTLS if covered else Sent.PLAINTEXT, None)
        else:
            yield from _marked(snapshot, rules, port, subset, to)


def _marked(
    snapshot: Snapshot, rules: tuple[EffectiveRule | None, ...], port: Port, subset: str, to: Call
) -> Iterator[Sending]:
    """Yield what the marks of an endpoint may make of a cluster that asks for them."""
    for rule in rules:
        mode = endpoint_mode(*_policies(rule, subset), port.number)
        if mode is not None:
            sent = Sent.MTLS if mode is ClientMode.ISTIO_MUTUAL else Sent.PLAINTEXT
            yield Sending(sent, rule.source if rule else None, automatic=True)
        elif not to.server.marked:
            yield Sending(Sent.PLAINTEXT, None, automatic=True)
        else:
            for accepted in acceptances(snapshot, to.server, to.target):
                sent = Sent.PLAINTEXT if accepted.mode is Mode.DISABLE else Sent.MTLS
                yield Sending(sent, accepted.policy, automatic=True)


def _policies(rule: EffectiveRule | None, subset: str) -> tuple[TlsPolicy | None, TlsPolicy | None]:
    return (None, None) if rule is None else (rule.tls, rule.tls_of(subset))
