"""All that planning evaluates: every version of every object, the classes, and the routes that can be touched.

The index is built once over all versions; a state of the rollout only chooses among them, so asking what the
mesh looks like in some state costs a look-up, not a copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from safeapply.istio.assumptions import assumed
from safeapply.istio.classes import classes_of, traits_of
from safeapply.istio.declarations import declare
from safeapply.istio.kinds import NEWEST, Declaration
from safeapply.istio.localities import Locality, localities
from safeapply.istio.mesh_settings import MeshSettings
from safeapply.istio.proxies import Proxy, ProxyClass, Traits
from safeapply.istio.reach import hosts_in_reach, hosts_met, routes_in_reach
from safeapply.istio.snapshot import Snapshot, snapshot_of
from safeapply.plans.changes import Change
from safeapply.plans.pinning import possible_pins
from safeapply.plans.versions import Stage, bridges
from safeapply.resources.objects import Resource, ResourceId
from safeapply.xds.names import Host

__all__ = ["Transition", "transition_of"]


@dataclass(frozen=True, slots=True)
class Transition:
    """From live to desired, ready to be asked about any state in between."""

    changes: Mapping[ResourceId, Change]
    bridges: Mapping[ResourceId, Mapping[Stage, Resource]]
    """The versions in between of every object that can be live and desired at once.

    An object that is neither live nor desired may be there for a while, to pin the clients of a host."""
    stages: Mapping[ResourceId, Mapping[Stage, Declaration | None]]
    """What Istio reads of each version of each changed object."""
    mesh: Snapshot
    """Every object with all its versions."""
    live: Snapshot
    desired: Snapshot
    classes: tuple[ProxyClass, ...]
    traits: Traits
    routes: tuple[ResourceId, ...]
    """The VirtualServices whose references, or whose clusters, the rollout can touch."""
    hosts: tuple[Host, ...]
    """The hosts whose clusters the rollout can touch."""
    met: tuple[Host, ...]
    """The hosts whose servers may accept, or whose clients may send, something else."""
    assumed: tuple[ResourceId, ...]
    """Objects that nobody declared and that are taken to exist, because the plan is made offline."""
    on_their_way: frozenset[ResourceId] = frozenset()
    """Objects of which all bridges are written, because a search found that way."""

    def state(self, chosen: Mapping[ResourceId, Stage]) -> Snapshot:
        """Return the mesh with these objects at these stages, and every other one live."""
        return self.mixture({one: (stage,) for one, stage in chosen.items()})

    def mixture(self, chosen: Mapping[ResourceId, tuple[Stage, ...]]) -> Snapshot:
        """Return the mesh in which a proxy may see any of these stages of each object; others are live."""
        return self.live.where(
            {one: tuple(self.stages[one][stage] for stage in several) for one, several in chosen.items()}
        )

    def localities(self) -> Iterator[Locality]:
        """Yield the parts of the mesh that the rollout can touch, each on its own."""
        return localities(self.mesh, self.classes, self.routes, self.hosts)


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
    by_id, running = {change.id: change for change in changes}, tuple(proxies)
    between = {one: bridges(change, mesh) for one, change in by_id.items()}
    made = _transition(live, by_id, between, running, mesh=mesh, offline=offline)
    extra = possible_pins(made.mesh, by_id, live)
    if not extra:
        return made
    added = {one: Change(one, None, None, None) for one in extra if one not in by_id}
    pinned = {one: {**between.get(one, {}), **stages} for one, stages in extra.items()}
    return _transition(live, {**by_id, **added}, {**between, **pinned}, running, mesh=mesh, offline=offline)


def _transition(
    live: Mapping[ResourceId, Resource],
    by_id: Mapping[ResourceId, Change],
    between: Mapping[ResourceId, Mapping[Stage, Resource]],
    proxies: Iterable[Proxy],
    *,
    mesh: MeshSettings,
    offline: bool,
) -> Transition:
    stages = {one: _stages(change, between[one], mesh) for one, change in by_id.items()}
    versions: dict[ResourceId, tuple[Declaration | None, ...]] = {
        one: (declare(resource, created=resource.created, mesh=mesh),)
        for one, resource in live.items()
        if one not in by_id
    }
    versions.update({one: tuple(dict.fromkeys(several.values())) for one, several in stages.items()})
    extra = assumed(versions, mesh) if offline else {}
    versions.update({one: (declaration,) for one, declaration in extra.items()})
    everything = snapshot_of({one: v for one, v in versions.items() if any(v)}, mesh)
    traits = traits_of(everything)
    declared = [one for several in stages.values() for one in several.values() if one is not None]
    return Transition(
        changes=by_id,
        bridges=between,
        stages=stages,
        mesh=everything,
        live=everything.where({one: (several[Stage.LIVE],) for one, several in stages.items()}),
        desired=everything.where({one: (several[Stage.DESIRED],) for one, several in stages.items()}),
        classes=classes_of(everything, proxies, traits),
        traits=traits,
        routes=routes_in_reach(everything.index, declared),
        hosts=hosts_in_reach(everything.index, declared),
        met=hosts_met(everything.index, declared, mesh.root_namespace),
        assumed=tuple(extra),
    )


def _stages(
    change: Change, between: Mapping[Stage, Resource], mesh: MeshSettings
) -> Mapping[Stage, Declaration | None]:
    # An update keeps its age, and age is semantics (ISTIO.md 4.10).
    created = change.live.created if change.live else NEWEST
    several = {Stage.LIVE: change.live, **between, Stage.DESIRED: change.desired}
    return {
        stage: declare(resource, created=created, mesh=mesh) if resource else None
        for stage, resource in several.items()
    }
