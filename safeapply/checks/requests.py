"""The words for the requests that a finding is about."""

from __future__ import annotations

import re
from collections.abc import Collection

from safeapply.checks.scene import Scene
from safeapply.istio.proxies import ProxyClass
from safeapply.istio.route_rules import Rule
from safeapply.istio.routes import Reference
from safeapply.resources.objects import FieldPath, ResourceId

__all__ = ["called", "listed", "named", "wanted", "who"]

_DESTINATION = re.compile(r"spec\.(\w+)\[(\d+)\]\.route\[(\d+)\]\.destination$")
_MOST = 4


def called(scene: Scene, reference: Reference) -> str:
    """Return which requests follow a reference: those that a rule takes, or the share of one destination."""
    share = _share(scene, reference.chain[-1], reference.path)
    every = f"{share} % of the " if share else ""
    if reference.domain is None:
        return f"{every}connections to port {reference.port}"
    services = list(scene.services(reference.domain))
    known = not services or any(one.id not in scene.assumed for one in services)
    port = f":{reference.port}" if known else ""
    return f"{every}requests to {reference.domain}{port}{wanted(_rule(scene, reference))}"


def wanted(rule: Rule | None) -> str:
    """Return what a rule wants of a request, in brackets and after a blank; nothing where it takes all."""
    several = [match.request for match in rule.matches] if rule else []
    return f" ({' or '.join(several)})" if several and all(several) else ""


def who(classes: Collection[ProxyClass]) -> str:
    """Return the names of classes, the first few."""
    return listed(sorted(map(str, classes)))


def listed(names: Collection[str]) -> str:
    """Return ``a, b and c``; of many the first four, and how many more."""
    several = list(names)
    if len(several) > _MOST:
        several = [*several[:_MOST], f"{len(several) - _MOST} more"]
    return " and ".join(filter(None, (", ".join(several[:-1]), *several[-1:])))


def named(one: ResourceId) -> str:
    """Return ``VirtualService default/reviews``."""
    return f"{one.kind} {one.namespace}/{one.name}"


def _rule(scene: Scene, reference: Reference) -> Rule | None:
    route = scene.route(reference.chain[-1])
    place = _DESTINATION.match(reference.path)
    if route is None or place is None:
        return None
    path = f"spec.{place[1]}[{place[2]}]"
    return next((rule for rule in route.rules if rule.path == path), None)


def _share(scene: Scene, owner: ResourceId, path: FieldPath) -> int:
    """Return the percentage of one among several destinations; 0 where there is but one."""
    place = _DESTINATION.match(path)
    if place is None:
        return 0
    traffic, rule, chosen = place[1], int(place[2]), int(place[3])
    routes = scene.spec_at(owner, traffic, rule, "route")
    weights: list[int] = [int(one.get("weight") or 0) for one in routes] if isinstance(routes, list) else []
    total = sum(weights)
    return round(100 * weights[chosen] / total) if len(weights) > 1 and total else 0
