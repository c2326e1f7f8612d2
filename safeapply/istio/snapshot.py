"""All objects of a mesh at one moment, or at one of several moments that cannot be told apart.

While a step is under way each proxy may see each written object old or new. So a snapshot holds, for every
object, the *versions* that a proxy may see: one at rest, two while it is being written, None among them where
the object may be absent. One evaluator then serves the planner (one version each) and the verifier.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar

from safeapply.istio.hosts import covers, is_wild
from safeapply.istio.kinds import (
    MESH,
    Declaration,
    DestinationRule,
    Gateway,
    PeerAuthentication,
    Service,
    Services,
    Sidecar,
    VirtualService,
    Workload,
)
from safeapply.istio.mesh_settings import MeshSettings
from safeapply.istio.overlay import Overlay
from safeapply.istio.revisions import NOBODYS, OTHER, Revision
from safeapply.istio.versions import Declarations, Readable, Versions
from safeapply.resources.objects import Namespace, ResourceId
from safeapply.xds.names import Host

__all__ = ["PLAIN_PORT", "Declarations", "Index", "Snapshot", "snapshot_of"]

Key = TypeVar("Key")
Ids: TypeAlias = dict[ResourceId, None]
"""A set that keeps its order."""

PLAIN_PORT = 80
"""The one port on which sidecars install hosts that are not in the registry (ISTIO.md 2.5)."""


@dataclass(frozen=True, slots=True)
class Index:
    """Who is where, over all versions; look-ups by it find at least what a version says, perhaps more."""

    rules: Mapping[Host, tuple[ResourceId, ...]]
    """DestinationRules by host."""
    routes: Mapping[Host, tuple[ResourceId, ...]]
    """VirtualServices by the hosts that they serve."""
    referring: Mapping[Host, tuple[ResourceId, ...]]
    """VirtualServices by the hosts that they send requests to, by an alias as well."""
    importing: Mapping[Host, tuple[ResourceId, ...]]
    """VirtualServices by the hosts that they name at any weight: a Sidecar's scope takes them in."""
    sidecars: Mapping[Namespace, tuple[ResourceId, ...]]
    """Sidecars by their namespace."""
    egress: Mapping[Namespace, tuple[tuple[Namespace, Host], ...]]
    """By the namespace whose objects some Sidecar imports (``*`` for all): where that is, and which hosts."""
    scoped: frozenset[Namespace]
    """Where every version holds a Sidecar for all sidecars of the namespace."""
    scoped_by_labels: bool
    """Whether some Sidecar is for workloads that it selects."""
    roots: Mapping[ResourceId, tuple[ResourceId, ...]]
    """VirtualServices by the delegates that they hand over to."""
    bound: Mapping[str, tuple[ResourceId, ...]]
    """VirtualServices by the gateways that they bind to; ``mesh`` is not listed."""
    registry: Mapping[Host, tuple[ResourceId, ...]]
    """Services and ServiceEntries by the hosts that they declare."""
    aliases: Mapping[Host, tuple[Host, ...]]
    """The hosts that a host is, in some version, only another name of (ISTIO.md 1.2)."""
    plain: tuple[Host, ...]
    """Those of them that speak HTTP on port 80: without one there is no such listener on sidecars."""
    authentications: Mapping[Namespace, tuple[ResourceId, ...]]
    """PeerAuthentications by their namespace."""
    authenticated_by: Mapping[Namespace, frozenset[str]]
    """The labels by which they tell the workloads of their namespace apart."""
    speaking: frozenset[ResourceId]
    """DestinationRules of which some version names a TLS mode."""
    gateways: tuple[ResourceId, ...]
    workloads: tuple[Workload, ...]
    wild_rules: tuple[Host, ...]
    wild_routes: tuple[Host, ...]
    revisions: frozenset[Revision] = frozenset()
    """Those that some version names as the one whose istiods alone read it."""

    @property
    def guarded(self) -> bool:
        """Whether anything in the mesh says a word of TLS: else everybody accepts what anybody sends."""
        return bool(self.authentications or self.speaking)

    @property
    def readers(self) -> tuple[Revision | None, ...]:
        """The revisions that may read differently; None alone where no object is for one of them."""
        return (*sorted(self.revisions - {NOBODYS}), OTHER) if self.revisions else (None,)

    def rules_for(self, host: Host) -> Iterator[ResourceId]:
        """Yield the DestinationRules whose host covers this one."""
        yield from self.rules.get(host, ())
        for pattern in self.wild_rules:
            if pattern != host and covers(pattern, host):
                yield from self.rules[pattern]

    def routes_for(self, host: Host) -> Iterator[ResourceId]:
        """Yield the VirtualServices of which some host covers this one."""
        yield from self.routes.get(host, ())
        for pattern in self.wild_routes:
            if pattern != host and covers(pattern, host):
                yield from self.routes[pattern]

    def hosts_under(self, pattern: Host) -> Iterator[Host]:
        """Yield the registered hosts that a pattern covers."""
        if not is_wild(pattern):
            yield from (pattern,) if pattern in self.registry else ()
        else:
            yield from (host for host in self.registry if covers(pattern, host))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The versions of every object, with the index over them."""

    versions: Declarations
    mesh: MeshSettings
    index: Index

    def where(self, overrides: Declarations) -> Snapshot:
        """Return the snapshot in which these objects have these versions; each must be among those indexed."""
        return replace(self, versions=Overlay(overrides, self.versions))

    def seen_by(self, revision: Revision | None) -> Snapshot:
        """Return what istiods of a revision read: what is for others is absent; for None, all there is."""
        if revision is None or isinstance(self.versions, Readable):
            return self
        return replace(self, versions=Readable(self.versions, self.index.revisions - {revision}))

    def rule_versions(self, rule: ResourceId) -> tuple[DestinationRule | None, ...]:
        """Return the versions of a DestinationRule."""
        return tuple(v if isinstance(v, DestinationRule) else None for v in self.versions.get(rule, (None,)))

    def route_versions(self, route: ResourceId) -> tuple[VirtualService | None, ...]:
        """Return the versions of a VirtualService."""
        return tuple(v if isinstance(v, VirtualService) else None for v in self.versions.get(route, (None,)))

    def gateway_versions(self, gateway: ResourceId) -> tuple[Gateway | None, ...]:
        """Return the versions of a Gateway."""
        return tuple(v if isinstance(v, Gateway) else None for v in self.versions.get(gateway, (None,)))

    def sidecar_versions(self, sidecar: ResourceId) -> tuple[Sidecar | None, ...]:
        """Return the versions of a Sidecar."""
        return tuple(v if isinstance(v, Sidecar) else None for v in self.versions.get(sidecar, (None,)))

    def authentication_versions(self, policy: ResourceId) -> tuple[PeerAuthentication | None, ...]:
        """Return the versions of a PeerAuthentication."""
        return tuple(v if isinstance(v, PeerAuthentication) else None for v in self.versions.get(policy, (None,)))

    def service_versions(self, declaring: ResourceId, host: Host) -> tuple[Service | None, ...]:
        """Return the versions of a host's service, as one object declares it."""
        return tuple(_service(v, host) for v in self.versions.get(declaring, (None,)))


def snapshot_of(versions: Declarations, mesh: MeshSettings) -> Snapshot:
    """Index the versions of all objects."""
    return Snapshot(versions, mesh, _indexed(versions))


@dataclass(slots=True)
class _Lists:
    """The index while it grows."""

    rules: dict[Host, Ids] = field(default_factory=lambda: defaultdict(dict))
    routes: dict[Host, Ids] = field(default_factory=lambda: defaultdict(dict))
    referring: dict[Host, Ids] = field(default_factory=lambda: defaultdict(dict))
    importing: dict[Host, Ids] = field(default_factory=lambda: defaultdict(dict))
    sidecars: dict[Namespace, Ids] = field(default_factory=lambda: defaultdict(dict))
    egress: dict[Namespace, dict[tuple[Namespace, Host], None]] = field(default_factory=lambda: defaultdict(dict))
    roots: dict[ResourceId, Ids] = field(default_factory=lambda: defaultdict(dict))
    bound: dict[str, Ids] = field(default_factory=lambda: defaultdict(dict))
    registry: dict[Host, Ids] = field(default_factory=lambda: defaultdict(dict))
    aliases: dict[Host, dict[Host, None]] = field(default_factory=lambda: defaultdict(dict))
    scoped_by_labels: bool = False
    plain: dict[Host, None] = field(default_factory=dict)
    authentications: dict[Namespace, Ids] = field(default_factory=lambda: defaultdict(dict))
    authenticated_by: dict[Namespace, set[str]] = field(default_factory=lambda: defaultdict(set))
    speaking: Ids = field(default_factory=dict)
    gateways: Ids = field(default_factory=dict)
    workloads: list[Workload] = field(default_factory=list)

    def rule(self, one: DestinationRule) -> None:
        self.rules[one.host][one.id] = None
        if any(policy is not None and policy.explicit for policy in (one.tls, *(s.tls for s in one.subsets))):
            self.speaking[one.id] = None

    def services(self, one: Services) -> None:
        for service in one.services:
            self.registry[service.host][one.id] = None
            if service.alias is not None:
                self.aliases[service.host][service.alias] = None
            if (port := service.port(PLAIN_PORT)) is not None and port.http:
                self.plain[service.host] = None

    def sidecar(self, one: Sidecar) -> None:
        own = one.id.namespace
        self.sidecars[own][one.id] = None
        self.scoped_by_labels = self.scoped_by_labels or one.selector is not None
        for space, pattern in one.egress:
            self.egress[own if space == "." else Namespace(space)][own, pattern] = None

    def route(self, one: VirtualService) -> None:
        for host in one.hosts:
            self.routes[host][one.id] = None
        for gateway in one.gateways - {MESH}:
            self.bound[gateway][one.id] = None
        for rule in one.rules:
            if rule.delegate is not None:
                self.roots[rule.delegate][one.id] = None
            for destination in (*rule.destinations, *rule.mirrors):
                self.referring[destination.host][one.id] = None
            for destination in rule.named:
                self.importing[destination.host][one.id] = None

    def follow_aliases(self) -> None:
        """Take what names an alias for what refers to its target; of aliases of aliases, one name is followed."""
        referring = {alias: tuple(self.referring.get(alias, ())) for alias in self.aliases}
        for alias, targets in self.aliases.items():
            for target in targets:
                self.referring[target].update(dict.fromkeys(referring[alias]))


def _indexed(versions: Declarations) -> Index:
    lists = _Lists()
    for one in _all(versions.values()):
        match one:
            case DestinationRule():
                lists.rule(one)
            case VirtualService():
                lists.route(one)
            case Services():
                lists.services(one)
            case Gateway():
                lists.gateways[one.id] = None
            case Sidecar():
                lists.sidecar(one)
            case PeerAuthentication():
                lists.authentications[one.id.namespace][one.id] = None
                lists.authenticated_by[one.id.namespace].update(key for key, _ in one.selector)
            case Workload():
                lists.workloads.append(one)
    lists.follow_aliases()
    return Index(
        rules=_frozen(lists.rules),
        routes=_frozen(lists.routes),
        referring=_frozen(lists.referring),
        importing=_frozen(lists.importing),
        sidecars=_frozen(lists.sidecars),
        scoped=frozenset(
            one.namespace for ids in lists.sidecars.values() for one in ids if _for_all(versions[one])
        ),
        scoped_by_labels=lists.scoped_by_labels,
        egress={space: tuple(several) for space, several in lists.egress.items()},
        roots=_frozen(lists.roots),
        bound=_frozen(lists.bound),
        registry=_frozen(lists.registry),
        aliases={alias: tuple(targets) for alias, targets in lists.aliases.items()},
        plain=tuple(lists.plain),
        authentications=_frozen(lists.authentications),
        authenticated_by={one: frozenset(keys) for one, keys in lists.authenticated_by.items()},
        speaking=frozenset(lists.speaking),
        gateways=tuple(lists.gateways),
        workloads=tuple(lists.workloads),
        wild_rules=tuple(host for host in lists.rules if is_wild(host)),
        wild_routes=tuple(host for host in lists.routes if is_wild(host)),
        revisions=frozenset(one.revision for one in _all(versions.values()) if one.revision is not None),
    )


def _frozen(lists: Mapping[Key, Iterable[ResourceId]]) -> Mapping[Key, tuple[ResourceId, ...]]:
    return {key: tuple(ids) for key, ids in lists.items()}


def _all(versions: Iterable[Versions]) -> Iterator[Declaration]:
    return (declaration for several in versions for declaration in several if declaration is not None)


def _for_all(sidecar: Versions) -> bool:
    return all(isinstance(one, Sidecar) and one.selector is None and one.revision is None for one in sidecar)


def _service(declaration: Declaration | None, host: Host) -> Service | None:
    if not isinstance(declaration, Services):
        return None
    return next((service for service in declaration.services if service.host == host), None)
