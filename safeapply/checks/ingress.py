"""Rules for sidecars that the requests of a gateway never meet.

Istio's pages call it "Route rules have no effect on ingress gateway requests".
"""

from __future__ import annotations

from collections.abc import Iterator

from safeapply.checks import catalogue
from safeapply.checks.findings import Finding, Severity
from safeapply.checks.requests import listed, named
from safeapply.checks.scene import Scene
from safeapply.istio.kinds import MESH, VirtualService
from safeapply.istio.route_rules import Destination, Traffic
from safeapply.istio.visibility import exported_to
from safeapply.resources.objects import FieldPath
from safeapply.xds.names import Host

__all__ = ["unaffected"]


def unaffected(scene: Scene) -> Iterator[Finding]:
    """Yield the destinations of gateway routes that go to all versions of a host whose sidecar routes pick some."""
    for route in scene.routes():
        gateways = route.gateways - {MESH}
        for destination in _whole(route) if gateways else ():
            for other in _picking(scene, route, destination.host):
                if not gateways & other.gateways and _differs(scene, other, destination.host):
                    yield _finding(route, destination, other, gateways)


def _whole(route: VirtualService) -> Iterator[Destination]:
    seen: set[Host] = set()
    for rule in route.rules:
        for one in rule.destinations if rule.traffic is Traffic.HTTP else ():
            # A host that the route itself serves is meant as it is written.
            if not one.subset and one.host not in seen and one.host not in route.hosts:
                seen.add(one.host)
                yield one


def _picking(scene: Scene, route: VirtualService, host: Host) -> Iterator[VirtualService]:
    for one in scene.snapshot.index.routes.get(host, ()):
        other = scene.route(one)
        if other is None or one == route.id or MESH not in other.gateways:
            continue
        if exported_to(other.export_to, owner=one.namespace, viewer=route.id.namespace) and _subsets(other, host):
            yield other


def _subsets(route: VirtualService, host: Host) -> set[str]:
    named_ = (one for rule in route.rules for one in rule.destinations)
    return {one.subset for one in named_ if one.host == host and one.subset}


def _differs(scene: Scene, route: VirtualService, host: Host) -> bool:
    """Tell whether picking subsets makes a difference: not where each of them holds all pods there are."""
    service = scene.service(host)
    if service is None:
        return True
    everything = set(scene.workloads(service.namespace, service.selector))
    if not everything:
        return True
    labels = {
        subset.name: subset.labels
        for rule in scene.snapshot.index.rules_for(host)
        for version in filter(None, scene.snapshot.rule_versions(rule))
        for subset in version.subsets
    }
    picked = (labels.get(name) for name in _subsets(route, host))
    return any(pairs is None or not _all_have(everything, pairs) for pairs in picked)


def _all_have(workloads: object, pairs: tuple[tuple[str, str], ...]) -> bool:
    return all(set(pairs) <= set(one.labels) for one in workloads)  # type: ignore[attr-defined]


def _finding(
    route: VirtualService, destination: Destination, other: VirtualService, gateways: frozenset[str]
) -> Finding:
    names = listed(sorted(gateways))
    return Finding(
        code=catalogue.INGRESS_NOT_AFFECTED,
        severity=Severity.WARNING,
        object=route.id,
        field=FieldPath(f"{destination.path}.host"),
        effect=f"Requests that enter by Gateway {names} go to all versions of {destination.host}: "
        f"the subsets that {named(other.id)} picks are for sidecars alone.",
        remedy="Pick the subset here as well, or delegate both to one VirtualService.",
        about=f"host {destination.host} of {other.id}",
    )
