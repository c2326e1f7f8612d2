"""DestinationRules against what they are about: services, and the pods behind them (ISTIO.md 5 no. 10, 11)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from safeapply.checks import catalogue
from safeapply.checks.findings import Finding, Severity
from safeapply.checks.requests import listed, named
from safeapply.checks.scene import Scene
from safeapply.istio.kinds import DestinationRule, Service, Subset, Workload
from safeapply.istio.subsets import is_augmented
from safeapply.resources.objects import FieldPath, ResourceId
from safeapply.xds.names import Host

__all__ = ["empty_subsets", "pods_outside", "unknown_hosts"]


def unknown_hosts(scene: Scene) -> Iterator[Finding]:
    """Yield the DestinationRules whose host is nothing."""
    for rule in scene.rules():
        if not any(scene.snapshot.index.hosts_under(rule.host)):
            full = scene.meant(rule.host)
            yield Finding(
                code=catalogue.UNKNOWN_RULE_HOST,
                severity=Severity.WARNING,
                object=rule.id,
                field=FieldPath("spec.host"),
                effect=f"No request meets this rule, and none finds its subsets: {rule.host} is no host of the mesh"
                + (", because a name with a dot in it is taken to the letter." if full else "."),
                remedy=f"Write {full}."
                if full
                else "Declare the host as a Service or ServiceEntry, or correct the name.",
                about=f"host {rule.host}",
            )


def empty_subsets(scene: Scene) -> Iterator[Finding]:
    """Yield the subsets that select no pod of a service that has some."""
    for rule in scene.rules():
        service = scene.service(rule.host)
        if service is None or not scene.workloads(service.namespace, service.selector):
            continue
        empty = [(index, one) for index, one in enumerate(rule.subsets) if _is_empty(scene, service, one)]
        routed = _routed(scene, rule.host) if empty else {}
        unused = [(index, one) for index, one in empty if one.name not in routed]
        for index, one in empty:
            if one.name in routed:
                yield _routed_to(rule, service, index, one, routed[one.name])
        if unused:
            yield _unused(rule, service, unused)


def pods_outside(scene: Scene) -> Iterator[Finding]:
    """Yield the workloads without a label by which all subsets of their service go, where routes name subsets."""
    for host in dict.fromkeys(rule.host for rule in scene.rules()):
        service = scene.service(host)
        subsets = [subset for rule in _rules(scene, host) for subset in rule.subsets]
        if service is None or not all(subset.labels for subset in subsets) or not _routed(scene, host):
            continue
        keys = (
            frozenset.intersection(*(frozenset(dict(subset.labels)) for subset in subsets))
            if subsets
            else frozenset()
        )
        for one in scene.workloads(service.namespace, service.selector):
            lacking = sorted(key for key in keys - dict(one.labels).keys() if not is_augmented(key))
            if lacking:
                yield _outside(host, one, lacking)


def _is_empty(scene: Scene, service: Service, subset: Subset) -> bool:
    if any(map(is_augmented, dict(subset.labels))):
        return False
    return not scene.workloads(service.namespace, tuple({**dict(service.selector), **dict(subset.labels)}.items()))


def _rules(scene: Scene, host: Host) -> Iterator[DestinationRule]:
    for one in scene.snapshot.index.rules.get(host, ()):
        yield from filter(None, scene.snapshot.rule_versions(one))


def _routed(scene: Scene, host: Host) -> dict[str, list[ResourceId]]:
    """Return who sends requests, and not only copies, to which subset of a host."""
    found: dict[str, list[ResourceId]] = defaultdict(list)
    for one in scene.snapshot.index.referring.get(host, ()):
        route = scene.route(one)
        for destination in (d for rule in route.rules for d in rule.destinations) if route else ():
            if destination.host == host and destination.subset and one not in found[destination.subset]:
                found[destination.subset].append(one)
    return {subset: several for subset, several in found.items() if several}


def _routed_to(
    rule: DestinationRule, service: Service, index: int, subset: Subset, routes: list[ResourceId]
) -> Finding:
    return Finding(
        code=catalogue.SUBSET_WITHOUT_PODS,
        severity=Severity.ERROR,
        object=rule.id,
        field=FieldPath(f"spec.subsets[{index}]"),
        effect=f"Requests that {listed(list(map(named, routes)))} sends to subset {subset.name} of {service.host} "
        f"answer 503 UH: no ready pod of {named(service.id)} has {_said(subset)}.",
        remedy="Start pods with these labels first, or correct the labels.",
        about=f"subset {subset.name}",
    )


def _unused(rule: DestinationRule, service: Service, subsets: list[tuple[int, Subset]]) -> Finding:
    names = [subset.name for _, subset in subsets]
    noun = "subset" if len(names) == 1 else "subsets"
    return Finding(
        code=catalogue.SUBSET_WITHOUT_PODS,
        severity=Severity.INFO,
        object=rule.id,
        field=FieldPath(f"spec.subsets[{subsets[0][0]}]"),
        effect=f"A request to {noun} {listed(names)} of {service.host} would answer 503 UH: no ready pod has "
        "such labels. No route names it yet.",
        remedy="Start the pods before a route names the subset.",
        about=f"subsets {' '.join(names)}",
    )


def _said(subset: Subset) -> str:
    return ",".join(f"{key}={value}" for key, value in subset.labels)


def _outside(host: Host, one: Workload, lacking: list[str]) -> Finding:
    return Finding(
        code=catalogue.PODS_OUTSIDE_SUBSETS,
        severity=Severity.WARNING,
        object=one.id,
        field=FieldPath("metadata.labels" if one.id.kind == "Pod" else "spec.template.metadata.labels"),
        effect=f"Requests to {host} that a route sends to a subset never get to these pods: all its subsets go by "
        f"label {' and '.join(lacking)}, which they lack.",
        remedy=f"Give the pods label {' and '.join(lacking)}.",
        about=f"labels {' '.join(lacking)} of {host}",
    )
