"""The order of Gateways and the VirtualServices that bind to them: what goes wrong is a 404 (ISTIO.md 5 no. 4, 8).

Found by evaluation, as in ``constraints``: a request that gateways serve today and will serve must be served by
whoever takes it before whoever had it lets go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from safeapply.istio.kinds import GATEWAY, MESH, VIRTUAL_SERVICE
from safeapply.istio.proxies import ProxyClass, Role
from safeapply.istio.serving import Request, gateway_id, is_served, served
from safeapply.istio.snapshot import Snapshot
from safeapply.plans.transition import Transition
from safeapply.plans.versions import Stage
from safeapply.plans.writes import Constraint, Part
from safeapply.resources.objects import ResourceId
from safeapply.xds.names import Host

__all__ = ["Unbound", "gateway_order", "unbound"]


@dataclass(frozen=True, slots=True)
class Unbound:
    """A live route outside the applied set that loses its Gateway."""

    route: ResourceId
    gateway: ResourceId
    proxy_class: ProxyClass
    request: Request


def gateway_order(transition: Transition) -> Iterator[Constraint]:
    """Yield which Gateway or VirtualService follows which, so that no gateway answers 404 in between."""
    changed = _changed(transition)
    if not changed:
        return
    live, desired = transition.live, transition.desired
    either = transition.mixture(dict.fromkeys(changed, (Stage.LIVE, Stage.DESIRED)))
    for one in _gateways(transition):
        kept, always = _served(live, one), _served(either, one)
        after = _served(desired, one)
        torn = [r for r in sorted(kept - always) if is_served(r, after) and not is_served(r, always)]
        for request in torn:
            near = _near(transition, request.domain)
            giving = _deciding(transition, live, Stage.DESIRED, one, request, near)
            taking = _deciding(transition, desired, Stage.LIVE, one, request, near)
            yield from _handover(giving, taking)


def unbound(transition: Transition) -> Iterator[Unbound]:
    """Yield the routes outside the applied set whose Gateways go, or change so that they serve them no more."""
    gateways = {one for one in _changed(transition) if one.group_kind == GATEWAY}
    live, desired = transition.live, transition.desired
    for gateway in sorted(gateways):
        for one in _gateways(transition):
            after = _served(desired, one)
            for route in transition.mesh.index.bound.get(f"{gateway.namespace}/{gateway.name}", ()):
                lost = [r for r in sorted(served(live, one, (route,))) if not is_served(r, after)]
                if lost and route not in transition.changes:
                    yield Unbound(route, gateway, one, lost[0])


def _handover(givers: Iterable[ResourceId], takers: Sequence[ResourceId]) -> Iterator[Constraint]:
    """Whoever takes a request over comes before whoever lets go of it."""
    for giver in givers:
        for taker in takers:
            if taker != giver or taker.group_kind == GATEWAY:
                yield Constraint((taker, _adding(taker)), (giver, _removing(giver)))


def _deciding(
    transition: Transition,
    base: Snapshot,
    stage: Stage,
    one: ProxyClass,
    request: Request,
    near: Iterable[ResourceId],
) -> list[ResourceId]:
    """Return the objects that leave a request unserved if each alone is at another stage."""
    routes = [route for route in near if route.group_kind == VIRTUAL_SERVICE]
    others = ((o, transition.stages[o][stage]) for o in near if o in transition.stages)
    return [o for o, other in others if not is_served(request, served(base.where({o: (other,)}), one, routes))]


def _near(transition: Transition, domain: Host) -> Mapping[ResourceId, None]:
    """Return the routes that may serve a domain, and the Gateways that they may bind to."""
    found: dict[ResourceId, None] = {}
    for route in transition.mesh.index.routes_for(domain):
        found[route] = None
        for version in filter(None, transition.mesh.route_versions(route)):
            found.update((gateway_id(name), None) for name in version.gateways - {MESH})
    return found


def _served(snapshot: Snapshot, one: ProxyClass) -> frozenset[Request]:
    return served(snapshot, one, {route for several in snapshot.index.bound.values() for route in several})


def _changed(transition: Transition) -> list[ResourceId]:
    return [
        one
        for one in transition.stages
        if one.group_kind == GATEWAY or (one.group_kind == VIRTUAL_SERVICE and _binds(transition, one))
    ]


def _binds(transition: Transition, route: ResourceId) -> bool:
    return any(route in several for several in transition.mesh.index.bound.values())


def _gateways(transition: Transition) -> Iterator[ProxyClass]:
    return (one for one in transition.classes if one.role is Role.GATEWAY)


def _adding(one: ResourceId) -> Part:
    return Part.WIDENING if one.group_kind == GATEWAY else Part.WHOLE


def _removing(one: ResourceId) -> Part:
    return Part.NARROWING if one.group_kind == GATEWAY else Part.WHOLE
