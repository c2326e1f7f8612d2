"""Rules that hand over to nobody, or to rules that do not fit: istiod drops both without a word (ISTIO.md 4.6)."""

from __future__ import annotations

from collections.abc import Iterator

from safeapply.checks import catalogue
from safeapply.checks.findings import Finding, Severity
from safeapply.checks.requests import listed, named, wanted
from safeapply.checks.scene import Scene
from safeapply.istio.delegation import merged
from safeapply.istio.kinds import VirtualService
from safeapply.istio.route_rules import Rule, Traffic
from safeapply.istio.visibility import exported_to
from safeapply.resources.objects import FieldPath, ResourceId

__all__ = ["broken_delegates"]


def broken_delegates(scene: Scene) -> Iterator[Finding]:
    """Yield the rules whose delegate is missing, hidden, or none."""
    for route in scene.routes():
        for rule in route.rules:
            if rule.delegate is not None and not _is_elsewhere(scene, rule.delegate):
                why = _trouble(scene, route, rule.delegate)
                if why:
                    yield _finding(route, rule, rule.delegate, why)
                else:
                    yield from _unfitting(scene, route, rule, rule.delegate)


def _is_elsewhere(scene: Scene, one: ResourceId) -> bool:
    """Tell whether a delegate may stand with another team's files: these hold nothing of its namespace."""
    return scene.sight.offline and not any(one.namespace == other.namespace for other in scene.resources)


def _trouble(scene: Scene, root: VirtualService, one: ResourceId) -> str:
    delegate = scene.route(one)
    if not root.hosts:
        return "a delegate cannot delegate"
    if delegate is None:
        return "it does not exist"
    if delegate.hosts:
        return "it has hosts of its own, so it is no delegate"
    if not exported_to(delegate.export_to, owner=one.namespace, viewer=root.id.namespace):
        return f"it is not exported to namespace {root.id.namespace}"
    return ""


def _unfitting(scene: Scene, root: VirtualService, rule: Rule, one: ResourceId) -> Iterator[Finding]:
    """Yield the delegate's rules that want more than they are handed."""
    delegate = scene.route(one)
    for inner in delegate.rules if delegate else ():
        if inner.traffic is Traffic.HTTP and merged(rule.matches, inner.matches) is None:
            yield Finding(
                code=catalogue.UNREACHABLE_RULE,
                severity=Severity.WARNING,
                object=one,
                field=inner.path,
                effect=f"istiod drops this rule where {named(root.id)} hands over to it{wanted(rule)}, because "
                f"it has a match that reaches beyond that{wanted(inner)}: such requests to {listed(root.hosts)} "
                "fall to a later rule, to the whole service, or to 404.",
                remedy="Let each match of this rule want a part of what is handed over, or want less there.",
                about=f"what delegate {one} wants{wanted(inner)} below {root.id}{wanted(rule)}",
            )


def _finding(route: VirtualService, rule: Rule, delegate: ResourceId, why: str) -> Finding:
    requests = f"Requests to {listed(route.hosts)}" if route.hosts else "Requests that are handed over"
    return Finding(
        code=catalogue.DELEGATE_NOT_FOUND,
        severity=Severity.ERROR,
        object=route.id,
        field=FieldPath(f"{rule.path}.delegate"),
        effect=f"{requests}{wanted(rule)} fall to a later rule, to the whole service, or to 404: "
        f"istiod drops this rule, because {named(delegate)} is to answer and {why}.",
        remedy="Add the delegate: a VirtualService without hosts, exported here; or take the rule out.",
        about=f"delegate {delegate}: {why}",
    )
