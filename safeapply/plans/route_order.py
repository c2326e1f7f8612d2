"""The order of VirtualServices among themselves, and delegates that nobody provides (ISTIO.md 4.6, 4.10).

No proxy shows that a delegate has arrived before its root names it, so there is nothing to wait for. Order is
enough: istiod sees the objects of one kind in the order in which they were written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from safeapply.istio.hosts import overlap
from safeapply.istio.kinds import VirtualService
from safeapply.istio.route_rules import Rule
from safeapply.plans.transition import Transition
from safeapply.plans.versions import Stage
from safeapply.plans.writes import Constraint, Part
from safeapply.resources.objects import FieldPath, ResourceId
from safeapply.xds.names import Host

__all__ = ["MissingDelegate", "missing_delegates", "route_order"]


@dataclass(frozen=True, slots=True)
class MissingDelegate:
    """A rule that hands over to a delegate which will not exist: istiod drops the rule."""

    root: ResourceId
    delegate: ResourceId
    path: FieldPath


def route_order(transition: Transition) -> Iterator[Constraint]:
    """Yield which VirtualService follows which.

    A delegate before the root that hands over to it, and after the root that lets go of it; of two that serve
    one host in turn, the new one before the old one goes.
    """
    routes = [one for one in transition.stages if _versions(transition, one)]
    gains = {one: hosts for one in routes if (hosts := _difference(transition, one))}
    losses = {one: hosts for one in routes if (hosts := _difference(transition, one, reverse=True))}
    for (one, gained), (other, lost) in product(gains.items(), losses.items()):
        if one != other and any(overlap(new, old) for new in gained for old in lost):
            yield Constraint((one, Part.WHOLE), (other, Part.WHOLE))
    for root in routes:
        before, after = (_delegates(transition, root, stage) for stage in (Stage.LIVE, Stage.DESIRED))
        yield from (
            Constraint((one, Part.WHOLE), (root, Part.WHOLE))
            for one in after - before
            if one in transition.stages and transition.stages[one][Stage.LIVE] is None
        )
        yield from (
            Constraint((root, Part.WHOLE), (one, Part.WHOLE))
            for one in before - after
            if one in transition.stages and transition.stages[one][Stage.DESIRED] is None
        )


def missing_delegates(transition: Transition) -> Iterator[MissingDelegate]:
    """Yield the rules that lose their delegate, or name one that will not exist."""
    desired = transition.desired
    for root in transition.routes:
        for version in desired.route_versions(root):
            for rule in version.rules if version else ():
                if (
                    rule.delegate
                    and desired.route_versions(rule.delegate) == (None,)
                    and _new(transition, root, rule)
                ):
                    yield MissingDelegate(root, rule.delegate, rule.path)


def _new(transition: Transition, root: ResourceId, rule: Rule) -> bool:
    """Tell whether a rule has its delegate today, or is new itself."""
    live = transition.live
    known = {r.delegate for version in live.route_versions(root) if version for r in version.rules}
    delegate = rule.delegate
    return delegate is not None and (delegate not in known or live.route_versions(delegate) != (None,))


def _versions(transition: Transition, one: ResourceId) -> list[VirtualService]:
    return [v for v in transition.stages[one].values() if isinstance(v, VirtualService)]


def _difference(transition: Transition, one: ResourceId, *, reverse: bool = False) -> set[Host]:
    live, desired = (_hosts(transition, one, stage) for stage in (Stage.LIVE, Stage.DESIRED))
    return live - desired if reverse else desired - live


def _hosts(transition: Transition, one: ResourceId, stage: Stage) -> set[Host]:
    version = transition.stages[one][stage]
    return set(version.hosts) if isinstance(version, VirtualService) else set()


def _delegates(transition: Transition, root: ResourceId, stage: Stage) -> set[ResourceId]:
    version = transition.stages[root][stage]
    rules = version.rules if isinstance(version, VirtualService) else ()
    return {rule.delegate for rule in rules if rule.delegate is not None}
