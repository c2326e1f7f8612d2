"""What shows that a write of TLS has arrived: what clients send, and what servers accept, on their own Envoys.

A PeerAuthentication changes its servers and, by automatic mTLS, their clients (ISTIO.md 6.2): both are asked. A pin
may change nothing of what is sent just then, so the subset that marks it is asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from safeapply.istio.authentication import Server
from safeapply.istio.handshakes import Handshake, Handshakes
from safeapply.istio.localities import met
from safeapply.istio.proxies import Labels, ProxyClass, Role
from safeapply.istio.reach import hosts_met
from safeapply.istio.snapshot import Snapshot
from safeapply.istio.tls import Mode, Sent
from safeapply.istio.view import Views
from safeapply.plans.pins import is_mark
from safeapply.plans.transition import Transition
from safeapply.plans.versions import Stage
from safeapply.plans.writes import Write
from safeapply.xds.expectations import ClusterSends, Expectation, InboundAccepts
from safeapply.xds.names import ClusterName, Host

__all__ = ["tls_proofs"]

Opening: TypeAlias = tuple[ClusterName, frozenset[Sent], bool]
"""Through which cluster, with what, and whether its endpoints are asked."""
Outgoing: TypeAlias = Mapping[Opening, set[ProxyClass]]
Incoming: TypeAlias = Mapping[tuple[int, Mode], set[ProxyClass]]


def tls_proofs(transition: Transition, now: Snapshot, awaited: Mapping[Write, Stage]) -> tuple[Expectation, ...]:
    """Return what the writes change of what is sent and accepted, as it should be by now.

    Args:
        transition: from live to desired.
        now: the mesh as it should be.
        awaited: the writes, each with the stage of its object before.
    """
    if not transition.met:
        return ()
    sent: dict[Opening, set[ProxyClass]] = defaultdict(set)
    accepted: dict[tuple[int, Mode], set[ProxyClass]] = defaultdict(set)
    after = Handshakes(Views(now))
    for write, stage in awaited.items():
        before = Handshakes(Views(now.where({write.id: (transition.stages[write.id][stage],)})))
        versions = (v for v in transition.stages[write.id].values() if v is not None)
        hosts = hosts_met(transition.mesh.index, versions, transition.mesh.mesh.root_namespace)
        for one, alike, host in _callers(transition, hosts):
            old, new = before.of(one, host), after.of(one, host)
            for cluster, kinds, automatic in _telling(_sent(new) - _sent(old)):
                sent[cluster, kinds, automatic].update(alike)
            for server, port, mode in _accepted(new) - _accepted(old):
                accepted[port, mode].update(_proxies(transition, after, server))
    return (*_outgoing(sent), *_incoming(accepted))


def _callers(
    transition: Transition, hosts: Iterable[Host]
) -> Iterator[tuple[ProxyClass, frozenset[ProxyClass], Host]]:
    for locality in met(transition.mesh, transition.classes, hosts):
        for host in locality.hosts:
            yield from ((one, alike, host) for one, alike in locality.crowds.items())


def _sent(shakes: Iterable[Handshake]) -> set[Opening]:
    """Return what goes out through each cluster, to all its servers together."""
    by_cluster: dict[ClusterName, set[tuple[Sent, bool]]] = defaultdict(set)
    for shake in shakes:
        by_cluster[shake.cluster].update((one.sent, one.automatic) for one in shake.sendings)
    return {
        (cluster, frozenset(sent for sent, _ in kinds), any(automatic for _, automatic in kinds))
        for cluster, kinds in by_cluster.items()
        if kinds
    }


def _telling(found: set[Opening]) -> set[Opening]:
    """Leave out the marks of pins where something else tells as much."""
    others = {one for one in found if not is_mark(one[0])}
    return others or found


def _accepted(shakes: Iterable[Handshake]) -> set[tuple[Server, int, Mode]]:
    return {
        (shake.server, shake.target, accepted.mode)
        for shake in shakes
        for accepted in shake.accepted
        if shake.server.sidecar
    }


def _proxies(transition: Transition, shakes: Handshakes, server: Server) -> set[ProxyClass]:
    """Return the classes of the Envoys that stand before a server; where none runs, the one that would."""
    keys = shakes.read_labels(server.namespace)
    found = {
        one
        for one in transition.classes
        if one.role is Role.SIDECAR
        and (one.namespace, one.revision) == (server.namespace, server.revision)
        and Labels(tuple(pair for pair in one.labels.pairs if pair[0] in keys)) == server.labels
    }
    return found or {ProxyClass(Role.SIDECAR, server.namespace, server.labels, server.revision)}


def _outgoing(sent: Outgoing) -> Iterator[ClusterSends]:
    for (cluster, kinds, automatic), classes in sorted(sent.items(), key=lambda item: item[0][0]):
        yield ClusterSends(cluster, kinds, automatic, frozenset(classes))


def _incoming(accepted: Incoming) -> Iterator[InboundAccepts]:
    for (port, mode), classes in sorted(accepted.items(), key=lambda item: (item[0][0], item[0][1].value)):
        yield InboundAccepts(port, mode, frozenset(classes))
