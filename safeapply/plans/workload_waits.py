"""Which workloads have to run before routes send requests to them (ISTIO.md 5.11).

Envoy shows one healthy host and is content; a Deployment of ten replicas of which one is up is not. So a step that
moves requests to a cluster also waits for the workloads of the set behind it, as ``kubectl rollout status`` would,
whether this run writes them or the one that was killed has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from safeapply.istio.kinds import WORKLOAD_KINDS
from safeapply.plans.plan import Action, Step
from safeapply.plans.transition import Transition
from safeapply.plans.workload_routes import behind
from safeapply.resources.objects import GroupKind, ResourceId
from safeapply.xds.expectations import ClusterActive, Expectation
from safeapply.xds.names import parse_cluster

__all__ = ["AWAITED_KINDS", "awaited", "written"]

AWAITED_KINDS = frozenset({*WORKLOAD_KINDS, GroupKind("batch", "Job")})
"""The kinds that come to their end, or to stand, after they have been written."""


def awaited(
    transition: Transition,
    own: Collection[ResourceId],
    expectations: Iterable[Expectation],
    later: Collection[ResourceId],
) -> tuple[ResourceId, ...]:
    """Return the workloads of the set that stand behind the clusters that a step moves requests to.

    Args:
        transition: from live to desired.
        own: the objects that the rollout is about, those among them that are live as desired.
        expectations: what the step waits for.
        later: what is not written before the step.
    """
    targets = {
        (parts.host, parts.subset)
        for one in expectations
        if isinstance(one, ClusterActive) and (parts := parse_cluster(one.cluster)) is not None
    }
    wanted = {one for one in own if one.group_kind in AWAITED_KINDS and one not in later}
    found = behind(transition, wanted, targets) if wanted and targets else ()
    return tuple(sorted(found))


def written(steps: Iterable[Step]) -> tuple[ResourceId, ...]:
    """Return the workloads that steps write and no step waits for: they run before the rollout is done."""
    found: set[ResourceId] = set()
    for step in steps:
        found.difference_update(step.workloads)
        applied = (one.resource.id for one in step.operations if one.action is Action.APPLY)
        found.update(one for one in applied if one.group_kind in AWAITED_KINDS)
    return tuple(sorted(found))
