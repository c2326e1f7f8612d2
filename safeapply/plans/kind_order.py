"""Which kinds go before which, where no route decides: the order that kubectl's users expect (DESIGN 4.3)."""

from __future__ import annotations

from collections.abc import Iterable

from safeapply.istio.kinds import VIRTUAL_SERVICE, WORKLOAD_KINDS
from safeapply.plans.transition import Transition
from safeapply.plans.writes import Constraint, Part
from safeapply.resources.objects import GroupKind, ResourceId

__all__ = ["kind_order"]

NAMESPACE = GroupKind("", "Namespace")
CUSTOM_RESOURCE_DEFINITION = GroupKind("apiextensions.k8s.io", "CustomResourceDefinition")


def kind_order(transition: Transition) -> Iterable[Constraint]:
    """Namespaces and definitions before what they hold; workloads end only after routes have moved."""
    for one, change in transition.changes.items():
        if one.group_kind in {NAMESPACE, CUSTOM_RESOURCE_DEFINITION} and change.live is None:
            yield from (_after(one, other) for other in transition.changes if _lives_in(other, one))
        if one.group_kind in WORKLOAD_KINDS and change.desired is None:
            yield from (_after(other, one) for other in transition.changes if other.group_kind == VIRTUAL_SERVICE)


def _after(first: ResourceId, then: ResourceId) -> Constraint:
    return Constraint((first, Part.WHOLE), (then, Part.WHOLE))


def _lives_in(one: ResourceId, holder: ResourceId) -> bool:
    if holder.group_kind == NAMESPACE:
        return one.namespace == holder.name
    return holder.name.partition(".")[2] == one.group
