"""From what is wanted to a plan: offline against a directory, or against a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from safeapply import __version__
from safeapply.commands.inputs import Files, Pruning, manifests_of
from safeapply.istio.mesh_settings import MeshSettings, namespaces, settings_of
from safeapply.plans.changes import Change, changes_between
from safeapply.plans.phases import in_phases
from safeapply.plans.plan import Phase, Plan, Refusal
from safeapply.plans.planner import PlanOptions, plan
from safeapply.plans.refusals import refuse_discovery, refuse_mesh_config
from safeapply.ports import Cluster
from safeapply.resources.objects import GroupKind, Namespace, Resource, ResourceId
from safeapply.rollout.membership import Lookup, Membership, Reference, check_parent, look_up
from safeapply.rollout.preflight import preflight
from safeapply.rollout.survey import settings, survey

__all__ = ["Planned", "Wanted", "plan_against", "plan_offline"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the operator asks for."""

    manifests: tuple[Resource, ...]
    doomed: Callable[[Resource], bool]
    """Tells which live objects shall go."""
    root_namespace: Namespace
    soak_seconds: float
    named: frozenset[ResourceId] = frozenset()
    """Objects to look at beside those of the manifests and those that route."""
    applyset: Reference | None = None
    """The parent of the set that the manifests are to be, and from which the rest goes."""
    explain: bool = False
    checked: bool = True
    """Whether the change is refused that would add an error at rest."""
    phases: frozenset[Phase] = frozenset()
    """The phases whose steps are to be taken; empty for all of them."""

    @classmethod
    def applied(
        cls, files: Files, default: Namespace, *, pruning: Pruning, root: str, soak: float, checked: bool = True
    ) -> Wanted:
        """Return what ``apply`` and ``plan`` want: the objects of the files, and nothing that is pruned."""
        applyset = pruning.reference(Namespace(files.namespace or ""))
        manifests = files.read(default)
        return cls(manifests, pruning.doomed(manifests), Namespace(root), soak, applyset=applyset, checked=checked)

    @classmethod
    def deleted(cls, files: Files, default: Namespace, *, root: str, soak: float) -> Wanted:
        """Return what ``delete`` wants: nothing of the files."""
        named = frozenset(one.id for one in files.read(default))
        return cls((), lambda one: one.id in named, Namespace(root), soak, named, checked=False)

    def options(self, mesh: MeshSettings, *, offline: bool) -> PlanOptions:
        """Return the planner's part of it."""
        return PlanOptions(mesh, self.soak_seconds, offline=offline, explain=self.explain)


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and what it was made for."""

    plan: Plan
    live: Mapping[ResourceId, Resource]
    desired: Mapping[ResourceId, Resource]
    """What the API server would make of each manifest; empty offline."""
    changes: tuple[Change, ...] = ()
    """What differs, whether or not a plan could be made; without what an apply set says of itself."""


def plan_offline(wanted: Wanted, directory: str, *, recursive: bool, default: Namespace) -> Planned:
    """Plan against the manifests of a directory as if they were live.

    Raises:
        ManifestsError: the directory's faults.
        MeshConfigError: it holds Istio's own settings, and they cannot be read.
    """
    found = manifests_of([directory], recursive=recursive, namespace=None, default=default)
    live = {one.id: one for one in found}
    membership = asyncio.run(_membership(wanted, _Directory(live)))
    wanted = _with(wanted, membership)
    deleted = [one.id for one in found if wanted.doomed(one)]
    changes, unchanged = changes_between(live, wanted.manifests, {}, deleted)
    mesh = settings_of({**namespaces(wanted.manifests), **live}, wanted.root_namespace)
    refused = _refused(membership, live, changes, mesh, wanted.root_namespace)
    made = refused or plan(live, changes, unchanged=unchanged, options=wanted.options(mesh, offline=True))
    made = _checked(made, wanted, live, changes, mesh, offline=True)
    return replace(_planned(wanted, made, live, {}, membership), changes=changes)


async def plan_against(wanted: Wanted, cluster: Cluster, *, dry_run: bool = True) -> Planned:
    """Look at the cluster, let it dry-run every manifest, and plan.

    Args:
        wanted: what is asked for.
        cluster: where.
        dry_run: whether the server may be asked what it would make of a write; else that is estimated.

    Raises:
        ClusterError: the server cannot be reached, or refuses a manifest.
        MeshConfigError: Istio's own settings cannot be read.
    """
    membership = await _membership(wanted, cluster)
    wanted = _with(wanted, membership)
    if membership is not None and dry_run and not membership.refusals:
        await check_parent(cluster, membership, version=__version__)
    known = membership.doomed if membership else ()
    seen = await survey(
        cluster,
        wanted.manifests,
        doomed=wanted.doomed,
        named=wanted.named,
        known=known,
        dry_run=dry_run,
    )
    mesh = await settings(cluster, seen.live.values(), wanted.root_namespace, coming=wanted.manifests)
    made = _refused(membership, seen.live, seen.changes, mesh, wanted.root_namespace) or plan(
        seen.live,
        seen.changes,
        unchanged=seen.unchanged,
        proxies=seen.proxies,
        options=wanted.options(mesh, offline=False),
    )
    made = _checked(made, wanted, seen.live, seen.changes, mesh, offline=False)
    desired = {one.id: one.desired for one in seen.changes if one.desired}
    return replace(_planned(wanted, made, seen.live, desired, membership), changes=seen.changes)


def _checked(
    made: Plan,
    wanted: Wanted,
    live: Mapping[ResourceId, Resource],
    changes: Sequence[Change],
    mesh: MeshSettings,
    *,
    offline: bool,
) -> Plan:
    if not wanted.checked:
        return made
    return preflight(made, live, changes, mesh=mesh, offline=offline)


async def _membership(wanted: Wanted, cluster: Lookup) -> Membership | None:
    return None if wanted.applyset is None else await look_up(cluster, wanted.applyset, wanted.manifests)


def _with(wanted: Wanted, membership: Membership | None) -> Wanted:
    """Return what is wanted of the members of a set."""
    if membership is None:
        return wanted
    doomed = {one.id for one in membership.doomed}
    return replace(wanted, manifests=membership.manifests, doomed=lambda one: one.id in doomed)


def _refused(
    membership: Membership | None,
    live: Mapping[ResourceId, Resource],
    changes: Sequence[Change],
    mesh: MeshSettings,
    root: Namespace,
) -> Plan | None:
    of_set: tuple[Refusal, ...] = () if membership is None else membership.refuse(live)
    refusals = (*of_set, *refuse_mesh_config(changes, root), *refuse_discovery(changes, mesh))
    return Plan(refusals=refusals) if refusals else None


def _planned(
    wanted: Wanted,
    made: Plan,
    live: Mapping[ResourceId, Resource],
    desired: Mapping[ResourceId, Resource],
    membership: Membership | None,
) -> Planned:
    if membership is None:
        return Planned(in_phases(made, wanted.phases), live, desired)
    parent = membership.parent
    return Planned(
        in_phases(membership.carried(made, version=__version__), wanted.phases),
        {**live, **({parent.id: parent} if parent else {})},
        {**desired, **membership.desired(version=__version__)},
    )


@dataclass(frozen=True, slots=True)
class _Directory:
    """Manifests that pass for a cluster, as far as the members of a set are to be found."""

    live: Mapping[ResourceId, Resource]

    async def get(self, resource_id: ResourceId) -> Resource | None:
        return self.live.get(resource_id)

    async def select(
        self, kinds: Collection[GroupKind], namespaces: Collection[Namespace], selector: str
    ) -> tuple[Resource, ...]:
        key, _, value = selector.partition("=")
        found = (one for one in self.live.values() if one.labels.get(key) == value)
        spaces = {"", *namespaces}
        return tuple(one for one in found if one.id.group_kind in kinds and one.id.namespace in spaces)
