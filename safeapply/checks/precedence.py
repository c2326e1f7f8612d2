"""Two VirtualServices for one host: sidecars take one of them and nothing of the other (ISTIO.md 4.2)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from safeapply.checks import catalogue
from safeapply.checks.findings import Finding, Severity
from safeapply.checks.requests import named, who
from safeapply.checks.scene import Scene
from safeapply.istio.kinds import MESH, VirtualService
from safeapply.istio.localities import Locality
from safeapply.istio.proxies import ProxyClass, Role
from safeapply.istio.visibility import publicity
from safeapply.resources.objects import FieldPath, ResourceId
from safeapply.xds.names import Host

__all__ = ["inert"]


def inert(scene: Scene) -> Iterator[Finding]:
    """Yield each host of a VirtualService whose rules no sidecar takes, because another's come first."""
    for part in scene.localities():
        contested = _contested(scene, part)
        if contested:
            yield from _inert(scene, part, contested)


def _contested(scene: Scene, part: Locality) -> dict[Host, list[VirtualService]]:
    """Return the hosts that several VirtualServices claim on sidecars, by the same name."""
    claims: dict[Host, list[VirtualService]] = defaultdict(list)
    for one in part.routes:
        route = scene.route(one)
        if route is not None and MESH in route.gateways:
            for host in dict.fromkeys(route.hosts):
                claims[host].append(route)
    return {host: several for host, several in claims.items() if len(several) > 1}


def _inert(scene: Scene, part: Locality, contested: dict[Host, list[VirtualService]]) -> Iterator[Finding]:
    serving: dict[tuple[Host, ResourceId], set[ProxyClass]] = defaultdict(set)
    for one, crowd in part.crowds.items():
        if one.role is not Role.GATEWAY:
            for route in {claim.id for several in contested.values() for claim in several}:
                for reference in scene.views.references(one, route):
                    if reference.domain in contested:
                        serving[reference.domain, route].update(crowd)
    for host, several in contested.items():
        for loser in several:
            winners = [one for one in several if _precedes(one, loser, serving[host, one.id])]
            if winners and not serving[host, loser.id] and any(rule.destinations for rule in loser.rules):
                yield _finding(host, loser, winners[0], serving[host, winners[0].id])


def _precedes(one: VirtualService, other: VirtualService, served: set[ProxyClass]) -> bool:
    """Tell whether a route comes before another one somewhere that it serves: private first, then the oldest."""

    def rank(route: VirtualService, viewer: ProxyClass) -> tuple[int, object]:
        return publicity(route.export_to, owner=route.id.namespace, viewer=viewer.namespace), route.age

    return any(rank(one, viewer) < rank(other, viewer) for viewer in served)


def _finding(host: Host, loser: VirtualService, winner: VirtualService, classes: set[ProxyClass]) -> Finding:
    if loser.created == winner.created:
        why = f"{named(winner.id)} serves it, too, and only the older of the two counts"
    else:
        why = f"{named(winner.id)} serves it, too, and comes first"
    index = loser.hosts.index(host)
    return Finding(
        code=catalogue.CONFLICTING_HOSTS,
        severity=Severity.WARNING,
        object=loser.id,
        field=FieldPath(f"spec.hosts[{index}]"),
        effect=f"Requests to {host} never take the rules of this VirtualService: {why}.",
        remedy=f"Move the rules into {named(winner.id)}, or give the host to one of them only.",
        about=f"host {host} of {winner.id}",
        proxies=who(classes),
    )
