"""Changed objects that can matter to each other: what one group does, no other one notices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping

from safeapply.istio.hosts import covers, is_wild
from safeapply.istio.kinds import Declaration, DestinationRule, Gateway, Services, Sidecar, VirtualService, Workload
from safeapply.istio.snapshot import Index
from safeapply.plans.transition import Transition
from safeapply.resources.objects import ResourceId
from safeapply.xds.names import Host

__all__ = ["groups_of"]


def groups_of(transition: Transition) -> tuple[tuple[ResourceId, ...], ...]:
    """Return the changed objects that Istio routes by, in groups."""
    versions = {
        one: [v for v in stages.values() if v is not None and not isinstance(v, Workload)]
        for one, stages in transition.stages.items()
    }
    index = transition.mesh.index
    provided = {host for several in versions.values() for v in several for host in _provided(index, v)}
    subjects = {
        one: {subject for v in several for subject in _subjects(index, v, provided)}
        for one, several in versions.items()
        if several
    }
    return tuple(_connected(subjects))


def _provided(index: Index, one: Declaration) -> Iterator[Host]:
    """Yield the hosts of whose clusters a version decides."""
    match one:
        case DestinationRule(host=host):
            yield from index.hosts_under(host)
        case Services(services=services):
            yield from (service.host for service in services)
        case VirtualService() if index.sidecars:
            # A scope takes in what its routes name (ISTIO.md 9.1).
            yield from _named(one)
        case _:
            pass


def _subjects(index: Index, one: Declaration, provided: set[Host]) -> Iterator[Hashable]:
    """Yield what two versions have to share for one to matter to the other."""
    yield from (("clusters", host) for host in _provided(index, one))
    match one:
        case VirtualService():
            yield from (("clusters", host) for host in _named(one) if host in provided)
            yield from (("routes", host) for host in _called(index, one.hosts))
            yield from (("gateway", name) for name in one.gateways if name in _gateways(index))
            yield from (("delegate", rule.delegate) for rule in one.rules if rule.delegate)
            yield ("delegate", one.id)
        case Services(services=services):
            yield from (("routes", service.host) for service in services)
        case Gateway(name=name):
            yield ("gateway", name)
        case Sidecar():
            yield from (("clusters", host) for host in index.registry)
            yield from (("routes", host) for host in index.registry)
        case _:
            pass


def _called(index: Index, hosts: Iterable[Host]) -> Iterator[Host]:
    for host in hosts:
        yield host
        if is_wild(host):
            yield from (other for other in (*index.registry, *index.routes) if covers(host, other))


def _gateways(index: Index) -> set[str]:
    return {f"{one.namespace}/{one.name}" for one in index.gateways}


def _named(route: VirtualService) -> Iterator[Host]:
    for rule in route.rules:
        yield from (destination.host for destination in (*rule.named, *rule.mirrors))


def _connected(subjects: Mapping[ResourceId, set[Hashable]]) -> Iterator[tuple[ResourceId, ...]]:
    by_subject: dict[Hashable, list[ResourceId]] = defaultdict(list)
    for one, several in subjects.items():
        for subject in several:
            by_subject[subject].append(one)
    left = dict.fromkeys(subjects)
    while left:
        first = next(iter(left))
        found, waiting = {first}, [first]
        while waiting:
            beside = {other for subject in subjects[waiting.pop()] for other in by_subject[subject]} - found
            found |= beside
            waiting.extend(beside)
        for one in found:
            del left[one]
        yield tuple(sorted(found))
