"""Whom the clients of a class meet behind a host, and whether what they send is accepted there (ISTIO.md 6.4).

Everything that plans, proves or checks mutual TLS asks here. Waypoints are left out: they take no word of a
DestinationRule on it (ISTIO.md 6.7).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from safeapply.istio.authentication import Acceptance, Server, acceptances
from safeapply.istio.calling import Call, Sending, rules_of, sendings
from safeapply.istio.kinds import POD, Port, Service, Workload
from safeapply.istio.proxies import Labels, ProxyClass, Role
from safeapply.istio.registry import service_options
from safeapply.istio.revisions import Revision
from safeapply.istio.route_rules import Pairs
from safeapply.istio.tls import accepts
from safeapply.istio.view import Stance, Views
from safeapply.resources.objects import Namespace, ResourceId
from safeapply.xds.names import ClusterName, Host, is_port, outbound_cluster

__all__ = ["Conflict", "Handshake", "Handshakes"]


@dataclass(frozen=True, slots=True)
class Handshake:
    """All that clients may send to one server through one cluster, and all that it may accept."""

    host: Host
    port: int
    subset: str
    server: Server
    target: int
    """The port of the server."""
    sendings: frozenset[Sending]
    accepted: tuple[Acceptance, ...]

    @property
    def cluster(self) -> ClusterName:
        """Through which cluster the requests go."""
        return outbound_cluster(self.host, self.port, self.subset)

    def conflicts(self) -> Iterator[tuple[Sending, Acceptance]]:
        """Yield what may be sent together with what may refuse it."""
        for sending in sorted(self.sendings, key=lambda one: (one.sent.value, str(one.source or ""))):
            for accepted in self.accepted:
                if not accepts(accepted.mode, sending.sent):
                    yield sending, accepted


@dataclass(frozen=True, slots=True)
class Conflict:
    """Requests that a server may reset, because of what their client sends."""

    proxy_class: ProxyClass
    cluster: ClusterName
    host: Host
    port: int
    server: Server
    target: int
    sending: Sending
    accepted: Acceptance

    @property
    def pair(self) -> tuple[ClusterName, Server, int]:
        """What makes two conflicts of a class the same failing request to a user."""
        return (self.cluster, self.server, self.target)


@dataclass(frozen=True, slots=True)
class Handshakes:
    """The handshakes of one snapshot, each computed once."""

    views: Views
    _of: dict[tuple[Host, Stance], tuple[Handshake, ...]] = field(default_factory=dict, init=False)
    _servers: dict[tuple[ResourceId, Host], tuple[tuple[Workload, Server], ...]] = field(
        default_factory=dict, init=False
    )

    _homes: dict[Namespace, list[Workload]] = field(default_factory=dict, init=False)

    def of(self, one: ProxyClass, host: Host) -> tuple[Handshake, ...]:
        """Return all handshakes of a class with the servers of a host."""
        if one.role is Role.WAYPOINT:
            return ()
        key = (host, self.views.stance(one, host))
        if key not in self._of:
            self._of[key] = tuple(dict.fromkeys(self._handshakes(one, host)))
        return self._of[key]

    def used(self, one: ProxyClass, host: Host) -> Iterator[Handshake]:
        """Yield the handshakes of a class with the servers of a host through clusters that it may use."""
        return (shake for shake in self.of(one, host) if self._is_used(one, shake))

    def conflicts(self, one: ProxyClass, host: Host) -> Iterator[Conflict]:
        """Yield the requests of a class to a host that may be reset; through clusters that it may use."""
        for shake in self.of(one, host):
            found = next(shake.conflicts(), None)
            if found is not None and self._is_used(one, shake):
                yield Conflict(one, shake.cluster, host, shake.port, shake.server, shake.target, *found)

    def _handshakes(self, one: ProxyClass, host: Host) -> Iterator[Handshake]:
        snapshot = self.views.snapshot.seen_by(one.revision)
        for service in service_options(snapshot, one, host):
            if service is None or service.external:
                continue
            rules = rules_of(snapshot, one, service)
            known = self._known(service)
            others = tuple(server for _, server in known)
            subsets = dict.fromkeys(("", *(name for rule in rules if rule for name in sorted(rule.names))))
            for port in service.ports:
                for workload, server in known:
                    call = Call(server, _target(port, workload), others)
                    accepted = acceptances(self.views.snapshot.seen_by(server.revision), server, call.target)
                    for subset in subsets:
                        sent = sendings(snapshot, rules, service, port, subset, call)
                        yield Handshake(host, port.number, subset, server, call.target, sent, accepted)

    def _known(self, service: Service) -> tuple[tuple[Workload, Server], ...]:
        """Return who answers for a service, one of each that nothing can tell apart."""
        key = (service.id, service.host)
        if key not in self._servers:
            keys = self.read_labels(service.namespace)
            found = {
                (_server(w, service, keys, revision), w.ports): w
                for w in _workloads(self._neighbours(service), service)
                for revision in self.views.snapshot.index.readers
            }
            self._servers[key] = tuple((workload, server) for (server, _), workload in found.items())
        return self._servers[key]

    def _neighbours(self, service: Service) -> Iterable[Workload]:
        """Return what runs in the namespace of a service; sorted out once, for all its services."""
        if not self._homes:
            for one in self.views.snapshot.index.workloads:
                self._homes.setdefault(one.id.namespace, []).append(one)
        return self._homes.get(service.namespace, ())

    def read_labels(self, namespace: Namespace) -> frozenset[str]:
        """Return the labels by which some PeerAuthentication tells the servers of a namespace apart."""
        return self.views.snapshot.index.authenticated_by.get(namespace, frozenset())

    def _is_used(self, one: ProxyClass, shake: Handshake) -> bool:
        """Tell whether requests of a class may go through a cluster: by a route, or for want of one."""
        index = self.views.snapshot.index
        for route in index.referring.get(shake.host, ()):
            for root in (route, *index.roots.get(route, ())):
                if any(ref.cluster == shake.cluster for ref in self.views.references(one, root)):
                    return True
        return not shake.subset and one.role is Role.SIDECAR and not self._is_routed(one, shake)

    def _is_routed(self, one: ProxyClass, shake: Handshake) -> bool:
        """Tell whether a route serves a host on sidecars, so that its default route is never taken."""
        for route in self.views.snapshot.index.routes_for(shake.host):
            found = self.views.references(one, route)
            there = None not in self.views.snapshot.seen_by(one.revision).route_versions(route)
            if there and any(ref.domain == shake.host and ref.port == shake.port for ref in found):
                return True
        return False


def _workloads(neighbours: Iterable[Workload], service: Service) -> Iterable[Workload]:
    """Return the pods behind a service and what will make more of them; one that it wants where none is known."""
    if not service.selector:
        return ()
    behind = [one for one in neighbours if set(service.selector) <= set(one.labels)]
    pods = [one for one in behind if one.id.group_kind == POD]
    # Pods show whether they have a sidecar; what made them does not.
    makers = [w for w in behind if w.id.group_kind != POD and not any(_is_of(pod, w.labels) for pod in pods)]
    return (*pods, *makers) or (Workload(service.id, service.selector),)


def _is_of(pod: Workload, template: Pairs) -> bool:
    return set(template) <= set(pod.labels)


def _server(workload: Workload, service: Service, keys: frozenset[str], revision: Revision | None) -> Server:
    labels = Labels(tuple(p for p in workload.labels if p[0] in keys))
    return Server(service.namespace, labels, workload.sidecar, workload.marked, revision)


def _target(port: Port, workload: Workload) -> int:
    """Return the port of a pod that stands behind a port of its service; 0 where its name is not known."""
    if not port.target:
        return port.number
    return int(port.target) if is_port(port.target) else dict(workload.ports).get(port.target, 0)
