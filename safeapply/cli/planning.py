"""From the command line to a plan: offline against a directory, or against a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from safeapply.cli.durations import seconds_of
from safeapply.cli.inputs import doomed_by_prune, manifests_of
from safeapply.istio.snapshot import MeshSettings
from safeapply.plans.changes import changes_between
from safeapply.plans.plan import Plan
from safeapply.plans.planner import PlanOptions, plan
from safeapply.ports import Cluster
from safeapply.resources.objects import GroupKind, Namespace, Resource, ResourceId
from safeapply.rollout.survey import survey

__all__ = ["Files", "Planned", "Wanted", "plan_against", "plan_offline"]


@dataclass(frozen=True, slots=True)
class Files:
    """What ``-f`` and its company name, not yet read."""

    filenames: Sequence[str] | None
    recursive: bool
    namespace: str | None

    def read(self, default: Namespace) -> tuple[Resource, ...]:
        """Return the objects; those that name no namespace go to ``-n``, or to the context's.

        Raises:
            UsageError: no file was named.
            ManifestsError: every fault of every file.
        """
        return manifests_of(self.filenames, recursive=self.recursive, namespace=self.namespace, default=default)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the operator asks for."""

    manifests: tuple[Resource, ...]
    doomed: Callable[[Resource], bool]
    """Tells which live objects shall go."""
    root_namespace: Namespace
    soak_seconds: float
    kinds: frozenset[GroupKind] = frozenset()
    """Kinds to look at beside those of the manifests and those that route."""
    explain: bool = False

    @classmethod
    def applied(
        cls, files: Files, default: Namespace, *, prune: bool, selector: str | None, root: str, soak: str
    ) -> Wanted:
        """Return what ``apply`` and ``plan`` want: the objects of the files, and nothing that is pruned."""
        manifests = files.read(default)
        doomed = doomed_by_prune(manifests, prune=prune, selector=selector)
        return cls(manifests, doomed, Namespace(root), seconds_of(soak, option="--soak"))

    @classmethod
    def deleted(cls, files: Files, default: Namespace, *, root: str, soak: str) -> Wanted:
        """Return what ``delete`` wants: nothing of the files."""
        named = {one.id for one in files.read(default)}
        kinds = frozenset(one.group_kind for one in named)
        return cls((), lambda one: one.id in named, Namespace(root), seconds_of(soak, option="--soak"), kinds)

    def options(self, *, offline: bool) -> PlanOptions:
        """Return the planner's part of it."""
        mesh = MeshSettings(self.root_namespace)
        return PlanOptions(mesh, self.soak_seconds, offline=offline, explain=self.explain)


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and what it was made for."""

    plan: Plan
    live: Mapping[ResourceId, Resource]
    desired: Mapping[ResourceId, Resource]
    """What the API server would make of each manifest; empty offline."""


def plan_offline(wanted: Wanted, directory: str, *, recursive: bool, default: Namespace) -> Planned:
    """Plan against the manifests of a directory as if they were live.

    Raises:
        ManifestsError: the directory's faults.
    """
    found = manifests_of([directory], recursive=recursive, namespace=None, default=default)
    live = {one.id: one for one in found}
    deleted = [one.id for one in found if wanted.doomed(one)]
    changes, unchanged = changes_between(live, wanted.manifests, {}, deleted)
    return Planned(plan(live, changes, unchanged=unchanged, options=wanted.options(offline=True)), live, {})


async def plan_against(wanted: Wanted, cluster: Cluster) -> Planned:
    """Look at the cluster, let it dry-run every manifest, and plan.

    Raises:
        ClusterError: the server cannot be reached, or refuses a manifest.
    """
    seen = await survey(cluster, wanted.manifests, doomed=wanted.doomed, kinds=wanted.kinds)
    made = plan(
        seen.live,
        seen.changes,
        unchanged=seen.unchanged,
        proxies=seen.proxies,
        options=wanted.options(offline=False),
    )
    return Planned(made, seen.live, {one.id: one.desired for one in seen.changes if one.desired})
