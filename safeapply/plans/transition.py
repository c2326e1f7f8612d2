"""All that planning evaluates: every version of every object, the classes, and the routes that can be touched.

The index is built once over all versions; a state of the rollout only chooses among them, so asking what the
mesh looks like in some state costs a look-up, not a copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from safeapply.istio.declarations import declare
from safeapply.istio.hosts import covers, overlap
from safeapply.istio.kinds import (
    NEWEST,
    Declaration,
    DestinationRule,
    Gateway,
    Services,
    VirtualService,
)
from safeapply.istio.proxies import Proxy, ProxyClass
from safeapply.istio.snapshot import MeshSettings, Snapshot, snapshot_of
from safeapply.plans.assumptions import assumed
from safeapply.plans.changes import Change
from safeapply.plans.classes import classes_of, label_keys
from safeapply.plans.versions import can_join, join
from safeapply.resources.objects import Resource, ResourceId
from safeapply.xds.names import Host

__all__ = ["Stage", "Transition", "transition_of"]


class Stage(Enum):
    """The versions of a changed object."""

    LIVE = "live"
    BRIDGE = "bridge"
    DESIRED = "desired"


@dataclass(frozen=True, slots=True)
class Transition:
    """From live to desired, ready to be asked about any state in between."""

    changes: Mapping[ResourceId, Change]
    bridges: Mapping[ResourceId, Resource]
    """The superset of every object that can be live and desired at once."""
    stages: Mapping[ResourceId, Mapping[Stage, Declaration | None]]
    """What Istio reads of each version of each changed object."""
    index: Snapshot
    classes: tuple[ProxyClass, ...]
    label_keys: frozenset[str]
    routes: tuple[ResourceId, ...]
    """The VirtualServices whose references, or whose clusters, the rollout can touch."""
    hosts: tuple[Host, ...]
    """The hosts whose clusters the rollout can touch."""
    assumed: tuple[ResourceId, ...]
    """Objects that nobody declared and that are taken to exist, because the plan is made offline."""

    def state(self, chosen: Mapping[ResourceId, Stage]) -> Snapshot:
        """Return the mesh with these objects at these stages, and every other one live."""
        return self.mixture({one: (stage,) for one, stage in chosen.items()})

    def mixture(self, chosen: Mapping[ResourceId, tuple[Stage, ...]]) -> Snapshot:
        """Return the mesh in which a proxy may see any of these stages of each object; others are live."""
        return self.index.where(
            {
                one: tuple(stages[stage] for stage in chosen.get(one, (Stage.LIVE,)))
                for one, stages in self.stages.items()
            }
        )

    def all_at(self, stage: Stage) -> Snapshot:
        """Return the mesh with every changed object at one stage."""
        return self.state(dict.fromkeys(self.stages, stage))


def transition_of(
    live: Mapping[ResourceId, Resource],
    changes: Iterable[Change],
    proxies: Iterable[Proxy],
    *,
    mesh: MeshSettings,
    offline: bool,
) -> Transition:
    """Read every object once and index all versions.

    Args:
        live: every live object that decides where requests go, in all namespaces.
        changes: the objects to be written or deleted.
        proxies: the Envoys that run.
        mesh: Istio's own settings.
        offline: take hosts and gateways that nobody declares to exist.
    """
    by_id = {change.id: change for change in changes}
    bridges = dict(_bridges(by_id.values()))
    stages = {one: _stages(change, bridges.get(one), mesh) for one, change in by_id.items()}
    versions: dict[ResourceId, tuple[Declaration | None, ...]] = {
        one: (declare(resource, created=resource.created, domain=mesh.domain),)
        for one, resource in live.items()
        if one not in by_id
    }
    versions.update({one: tuple(dict.fromkeys(several.values())) for one, several in stages.items()})
    extra = assumed(versions, mesh) if offline else {}
    versions.update({one: (declaration,) for one, declaration in extra.items()})
    index = snapshot_of({one: v for one, v in versions.items() if any(v)}, mesh)
    keys = label_keys(index)
    hosts = tuple(_touched_hosts(stages, index))
    return Transition(
        changes=by_id,
        bridges=bridges,
        stages=stages,
        index=index,
        classes=classes_of(index, proxies, keys),
        label_keys=keys,
        routes=tuple(_touched_routes(stages, frozenset(hosts), index)),
        hosts=hosts,
        assumed=tuple(extra),
    )


def _bridges(changes: Iterable[Change]) -> Iterator[tuple[ResourceId, Resource]]:
    for change in changes:
        if change.live and change.manifest and can_join(change.live, change.manifest):
            yield change.id, join(change.live, change.manifest)


def _stages(change: Change, bridge: Resource | None, mesh: MeshSettings) -> Mapping[Stage, Declaration | None]:
    # An update keeps its age, and age is semantics (ISTIO.md 4.10).
    created = change.live.created if change.live else NEWEST
    several = {Stage.LIVE: change.live, Stage.BRIDGE: bridge, Stage.DESIRED: change.desired}
    return {
        stage: declare(resource, created=created, domain=mesh.domain) if resource else None
        for stage, resource in several.items()
        if resource or stage is not Stage.BRIDGE
    }


def _declared(stages: Mapping[ResourceId, Mapping[Stage, Declaration | None]]) -> Iterator[Declaration]:
    return (one for several in stages.values() for one in several.values() if one is not None)


def _touched_hosts(
    stages: Mapping[ResourceId, Mapping[Stage, Declaration | None]], index: Snapshot
) -> Iterator[Host]:
    """Yield the registered hosts whose clusters a changed object can add, change or remove."""
    patterns: dict[Host, None] = {}
    for declaration in _declared(stages):
        match declaration:
            case DestinationRule():
                patterns[declaration.host] = None
            case Services():
                patterns.update({service.host: None for service in declaration.services})
            case _:
                pass
    yield from (host for host in index.registry if any(covers(pattern, host) for pattern in patterns))


def _touched_routes(
    stages: Mapping[ResourceId, Mapping[Stage, Declaration | None]], hosts: frozenset[Host], index: Snapshot
) -> Iterator[ResourceId]:
    """Yield the VirtualServices that changed, rival a changed one, bind a changed Gateway, or name such a host."""
    changed = list(_declared(stages))
    delegates = {one.id for one in changed if isinstance(one, VirtualService) and not one.hosts}
    domains = [host for one in changed if isinstance(one, VirtualService) for host in one.hosts]
    gateways = {one.name for one in changed if isinstance(one, Gateway)}
    delegates |= {one for one in index.versions if _names(index.route_versions(one), hosts, delegates)}
    for one in index.versions:
        for version in index.route_versions(one):
            if version is None or not version.hosts:
                continue
            if (
                one in stages
                or bool(version.gateways & gateways)
                or _names((version,), hosts, delegates)
                or any(overlap(host, domain) for host in version.hosts for domain in (*domains, *hosts))
            ):
                yield one
                break


def _names(versions: Iterable[VirtualService | None], hosts: frozenset[Host], delegates: set[ResourceId]) -> bool:
    """Tell whether a rule of some version sends requests to one of the hosts, or hands over to a delegate."""
    return any(
        rule.delegate in delegates or any(d.host in hosts for d in (*rule.destinations, *rule.mirrors))
        for version in versions
        if version is not None
        for rule in version.rules
    )
