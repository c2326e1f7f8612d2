"""Which workloads stand behind the destinations of which routes (ISTIO.md 5.11).

A subset is worth nothing without pods: a new workload is written before the VirtualService that sends requests to
it, and an old one is deleted when the VirtualService has let go of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from safeapply.istio.kinds import VirtualService, Workload
from safeapply.istio.route_rules import Pairs
from safeapply.plans.transition import Transition
from safeapply.plans.versions import Stage
from safeapply.resources.objects import Namespace, ResourceId
from safeapply.xds.names import Host

__all__ = ["behind", "routed"]


def routed(transition: Transition, stage: Stage) -> Iterator[tuple[ResourceId, ResourceId]]:
    """Yield the pairs of a VirtualService and a workload that it reaches, of the objects that are written."""
    workloads: dict[Namespace, list[Workload]] = defaultdict(list)
    for stages in transition.stages.values():
        version = stages[stage]
        if isinstance(version, Workload):
            workloads[version.id.namespace].append(version)
    if not workloads:
        return
    behind = _Behind(transition, workloads)
    for one, stages in transition.stages.items():
        version = stages[stage]
        if isinstance(version, VirtualService):
            found = {w for target in _targets(transition, version, stage) for w in behind.workloads(*target)}
            yield from ((one, workload) for workload in found)


def behind(
    transition: Transition, wanted: Collection[ResourceId], targets: Iterable[tuple[Host, str]]
) -> frozenset[ResourceId]:
    """Return those of some workloads whose pods stand behind hosts or subsets, in any of their versions."""
    workloads: dict[Namespace, list[Workload]] = defaultdict(list)
    for one in transition.mesh.index.workloads:
        if one.id in wanted:
            workloads[one.id.namespace].append(one)
    known = _Behind(transition, workloads)
    return frozenset(one for target in targets for one in known.workloads(*target))


@dataclass(slots=True)
class _Behind:
    """The workloads of interest behind a host, or behind a subset of it."""

    transition: Transition
    written: Mapping[Namespace, list[Workload]]
    known: dict[tuple[Host, str], frozenset[ResourceId]] = field(default_factory=dict)

    def workloads(self, host: Host, subset: str) -> frozenset[ResourceId]:
        if (host, subset) not in self.known:
            self.known[host, subset] = frozenset(self._found(host, subset))
        return self.known[host, subset]

    def _found(self, host: Host, subset: str) -> Iterator[ResourceId]:
        labels = self._labels(host, subset)
        for namespace, selector in self._selectors(host):
            for one in self.written.get(namespace, ()):
                own = {*one.labels}
                if own.issuperset(selector) and any(own.issuperset(pairs) for pairs in labels):
                    yield one.id

    def _selectors(self, host: Host) -> Iterator[tuple[Namespace, Pairs]]:
        mesh = self.transition.mesh
        for declaring in mesh.index.registry.get(host, ()):
            for service in mesh.service_versions(declaring, host):
                if service is not None and service.selector:
                    yield service.namespace, service.selector

    def _labels(self, host: Host, subset: str) -> set[Pairs]:
        """Return what each rule that has the subset makes of it; without a subset all pods will do."""
        mesh = self.transition.mesh
        rules = (version for rule in mesh.index.rules_for(host) for version in mesh.rule_versions(rule))
        named = {known.labels for rule in rules if rule for known in rule.subsets if known.name == subset}
        return named if subset else {()}


def _targets(transition: Transition, route: VirtualService, stage: Stage) -> set[tuple[Host, str]]:
    """Return the hosts and subsets that get requests, those of the delegates among them."""
    rules = [*route.rules]
    for delegate in {rule.delegate for rule in route.rules if rule.delegate}:
        several = transition.stages.get(delegate)
        known = (several[stage],) if several else transition.mesh.route_versions(delegate)
        rules += [rule for version in known if isinstance(version, VirtualService) for rule in version.rules]
    return {(target.host, target.subset) for rule in rules for target in rule.destinations}
