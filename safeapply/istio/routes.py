"""Which clusters the routes of a proxy name: rules, their order and shares (ISTIO.md 1.2, 1.3).

Where an object has several versions (``istio.snapshot``), every reference that *some* mixture of versions can
show is returned: the verifier asks what a proxy may do, not what it will do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from safeapply.istio.delegation import handed_over
from safeapply.istio.kinds import Service, VirtualService
from safeapply.istio.listeners import Listener, applies, match_applies
from safeapply.istio.places import places
from safeapply.istio.proxies import ProxyClass, Role
from safeapply.istio.registry import service_options
from safeapply.istio.route_rules import Destination, Rule, Traffic
from safeapply.istio.snapshot import Snapshot
from safeapply.istio.visibility import exported_to
from safeapply.resources.objects import FieldPath, ResourceId
from safeapply.xds.names import ClusterName, Host, outbound_cluster

__all__ = ["ANYTHING", "Aim", "Entry", "Reference", "Table", "references", "tables"]

ANYTHING = ""
"""The match of a rule that takes all requests."""
MANY = 64
"""Mixtures of delegates that are looked at one by one."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One cluster that a route names, and which field of which object made it do so."""

    cluster: ClusterName
    host: Host
    """The host whose cluster that is: the destination's, or what the destination is an alias of."""
    subset: str
    domain: Host | None
    """The domain of the virtual host; None for TCP and TLS."""
    port: int
    """The port that the client calls."""
    hard: bool
    """False for mirrors: the caller never notices (ISTIO.md 1.3)."""
    chain: tuple[ResourceId, ...]
    """The VirtualService, and the delegate that its rule hands over to."""
    path: FieldPath
    """The field, in the last object of the chain."""
    alias: Host | None = None
    """The destination's own host, where that is an alias (ISTIO.md 1.2)."""

    def __str__(self) -> str:
        """Return the request that follows this reference: ``HTTP reviews...:9080``."""
        return f"{self.domain}:{self.port}" if self.domain else f"port {self.port} (TCP)"


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule, where it is installed."""

    rule: Rule
    texts: frozenset[str]
    """The matches of which any is enough, as written; an empty one takes all requests."""
    chain: tuple[ResourceId, ...]

    @property
    def takes_all(self) -> bool:
        """Whether no request goes past this rule."""
        return ANYTHING in self.texts


@dataclass(frozen=True, slots=True)
class Aim:
    """Where a part of the requests that take a rule go."""

    share: tuple[float, float]
    """Of the number between 0 and 1 that Envoy draws."""
    clusters: frozenset[ClusterName]
    """More than one where the name hangs on what a proxy sees of the service."""


@dataclass(frozen=True, slots=True)
class Table:
    """The HTTP rules that one VirtualService may install for a domain, in their order."""

    domain: Host
    port: int
    entries: tuple[tuple[Entry, tuple[Aim, ...]], ...]


def tables(snapshot: Snapshot, proxy_class: ProxyClass, route: ResourceId) -> Iterator[Table]:
    """Yield each table that a VirtualService may put on proxies of a class, for each of its domains."""
    snapshot = snapshot.seen_by(proxy_class.revision)
    for version, listener in places(snapshot, proxy_class, (route,)):
        for entries in _installed(snapshot, proxy_class, version, listener):
            http = (entry for entry in entries if entry.rule.traffic is Traffic.HTTP)
            aims = tuple((entry, _aims(snapshot, proxy_class, entry.rule, listener)) for entry in http)
            if aims:
                yield Table(listener.domain, listener.port.number, aims)


def _aims(snapshot: Snapshot, proxy_class: ProxyClass, rule: Rule, listener: Listener) -> tuple[Aim, ...]:
    return tuple(
        Aim(
            one.share,
            frozenset(
                outbound_cluster(host, port, one.subset)
                for host, port in _targets(snapshot, proxy_class, rule, one, listener)
            ),
        )
        for one in rule.destinations
    )


def references(snapshot: Snapshot, proxy_class: ProxyClass, routes: Iterable[ResourceId]) -> Iterator[Reference]:
    """Yield the references that some of these VirtualServices may put on proxies of a class."""
    snapshot = snapshot.seen_by(proxy_class.revision)
    for version, listener in places(snapshot, proxy_class, routes):
        yield from _rules(snapshot, proxy_class, version, listener)


def _rules(
    snapshot: Snapshot, proxy_class: ProxyClass, route: VirtualService, listener: Listener
) -> Iterator[Reference]:
    for entries in _installed(snapshot, proxy_class, route, listener):
        for entry in entries:
            yield from _named(snapshot, proxy_class, entry.rule, listener, entry.chain)


def _installed(
    snapshot: Snapshot, proxy_class: ProxyClass, route: VirtualService, listener: Listener
) -> Iterator[tuple[Entry, ...]]:
    """Yield what a route may install in one place, as its delegates are: each time the rules in their order."""
    own = (route.id,)
    options: list[list[tuple[Entry, ...]]] = []
    for rule in route.rules:
        if rule.delegate is not None:
            options.append(_delegated(snapshot, proxy_class, rule, listener, route))
        elif applies(rule, proxy_class, listener):
            options.append([(Entry(rule, _texts(rule, proxy_class, listener), own),)])
    for chosen in _choices(options):
        yield _reached(entry for entries in chosen for entry in entries)


def _choices(options: Sequence[Sequence[tuple[Entry, ...]]]) -> Iterable[Sequence[tuple[Entry, ...]]]:
    """Return every choice of one option each; where they are too many, each option beside what is certain."""
    if prod(map(len, options)) <= MANY:
        return product(*options)
    certain = [several[0] if len(several) == 1 else () for several in options]
    return (
        [*certain[:place], one, *certain[place + 1 :]]
        for place, several in enumerate(options)
        if len(several) > 1
        for one in several
    )


def _reached(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the rules that istiod sends: none behind one that lets everything through."""
    kept: list[Entry] = []
    ended: set[Traffic] = set()
    for entry in entries:
        if entry.rule.traffic not in ended:
            kept.append(entry)
            if entry.takes_all and entry.rule.traffic is not Traffic.TLS:
                ended.add(entry.rule.traffic)
    return tuple(kept)


def _delegated(
    snapshot: Snapshot, proxy_class: ProxyClass, root: Rule, listener: Listener, route: VirtualService
) -> list[tuple[Entry, ...]]:
    """Return what a delegate may add; a missing or invisible one drops the rule (ISTIO.md 4.6)."""
    delegate = root.delegate
    if delegate is None:
        return [()]
    return [
        tuple(
            Entry(rule, _texts(rule, proxy_class, listener), (route.id, delegate))
            for rule in handed_over(root, version.rules)
            if applies(rule, proxy_class, listener)
        )
        if version is not None
        and not version.hosts
        and exported_to(version.export_to, owner=delegate.namespace, viewer=route.id.namespace)
        else ()
        for version in snapshot.route_versions(delegate)
    ]


def _texts(rule: Rule, proxy_class: ProxyClass, listener: Listener) -> frozenset[str]:
    if not rule.matches:
        return frozenset({ANYTHING})
    applying = (match for match in rule.matches if match_applies(match, proxy_class, listener))
    return frozenset(ANYTHING if match.all else match.request for match in applying)


def _named(
    snapshot: Snapshot,
    proxy_class: ProxyClass,
    rule: Rule,
    listener: Listener,
    chain: tuple[ResourceId, ...],
) -> Iterator[Reference]:
    targets = [(d, True) for d in rule.destinations] + [(d, False) for d in rule.mirrors]
    for destination, hard in targets:
        for host, port in _targets(snapshot, proxy_class, rule, destination, listener):
            yield Reference(
                cluster=outbound_cluster(host, port, destination.subset),
                host=host,
                subset=destination.subset,
                domain=listener.domain if rule.traffic is Traffic.HTTP else None,
                port=listener.port.number,
                hard=hard,
                chain=chain,
                path=destination.path,
                alias=destination.host if host != destination.host else None,
            )


def _targets(
    snapshot: Snapshot, proxy_class: ProxyClass, rule: Rule, destination: Destination, listener: Listener
) -> set[tuple[Host, int]]:
    """Return the hosts and port numbers that the cluster's name may carry (ISTIO.md 1.2)."""
    # A sidecar looks only at services that own the called port, so without another word the called port it is.
    by_called_port = rule.traffic is Traffic.HTTP and proxy_class.role is not Role.GATEWAY
    said = listener.port.number if destination.port is None and by_called_port else destination.port
    if said is not None and destination.host not in snapshot.index.aliases:
        return {(destination.host, said)}
    options = service_options(snapshot, proxy_class, destination.host)
    found = (s if s and (not by_called_port or s.port(listener.port.number)) else None for s in options)
    return {_target(destination.host, service, said, listener.port.number) for service in found}


def _target(host: Host, service: Service | None, said: int | None, called: int) -> tuple[Host, int]:
    """Do as istio ``GetDestinationCluster``: an alias is followed once, and a target that is one leads nowhere."""
    if service is None:
        return host, called if said is None else said
    only = service.ports[0].number if len(service.ports) == 1 else called
    return service.alias or host, only if said is None else said
