"""Rules that no request reaches, because an earlier rule takes them all: Envoy takes the first that matches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from safeapply.checks import catalogue
from safeapply.checks.coverage import covers
from safeapply.checks.findings import Finding, Severity
from safeapply.checks.requests import listed
from safeapply.checks.scene import Scene
from safeapply.istio.kinds import MESH, VirtualService
from safeapply.istio.route_rules import Traffic
from safeapply.resources.objects import Document, FieldPath

__all__ = ["unreachable"]


@dataclass(frozen=True, slots=True)
class _Taken:
    """What an earlier rule takes away from later ones."""

    match: Document
    place: str
    """``http[1]``, with the rule's name where it has one."""


def unreachable(scene: Scene) -> Iterator[Finding]:
    """Yield the rules, and the matches of reachable rules, that an earlier rule leaves nothing for."""
    for route in scene.routes():
        for traffic in Traffic:
            rules = scene.spec_at(route.id, traffic.value)
            if isinstance(rules, list) and len(rules) > 1:
                gateways = scene.spec_at(route.id, "gateways") or [MESH]
                yield from _of(route, traffic, rules, gateways)


def _of(route: VirtualService, traffic: Traffic, rules: list[Document], gateways: object) -> Iterator[Finding]:
    taken: list[_Taken] = []
    for index, rule in enumerate(rules):
        conditions: list[Document] = list(rule.get("match") or [{}])
        matches = [_whole(match or {}, gateways) for match in conditions]
        before = [next((one for one in taken if covers(one.match, match)), None) for match in matches]
        path = f"spec.{traffic.value}[{index}]"
        if all(before):
            yield _rule(route, rule, path, [one for one in before if one])
        else:
            for number, one in enumerate(before):
                if one is not None:
                    yield _match(route, f"{path}.match[{number}]", one)
        # Of what it hands over, a delegate may take only a part.
        if not rule.get("delegate"):
            place = f"{traffic.value}[{index}]" + (f" ({rule['name']})" if rule.get("name") else "")
            taken += [_Taken(match, place) for match in matches]


def _whole(match: Document, gateways: object) -> Document:
    """Return a match with the gateways that it has where it names none."""
    return {**match, "gateways": match.get("gateways") or gateways}


def _rule(route: VirtualService, rule: Document, path: str, before: list[_Taken]) -> Finding:
    earlier = listed(list(dict.fromkeys(one.place for one in before)))
    name = rule.get("name") or path.removeprefix("spec.")
    return Finding(
        code=catalogue.UNREACHABLE_RULE,
        severity=Severity.WARNING,
        object=route.id,
        field=FieldPath(path),
        effect=f"No request to {_hosts(route)} reaches this rule: {earlier}, before it, takes all that it wants.",
        remedy="Move it up, in front of the wider rule, or remove it.",
        about=f"rule {name}",
    )


def _match(route: VirtualService, path: str, before: _Taken) -> Finding:
    return Finding(
        code=catalogue.INEFFECTIVE_MATCH,
        severity=Severity.INFO,
        object=route.id,
        field=FieldPath(path),
        effect=f"No request to {_hosts(route)} meets this match: {before.place}, before it, takes them all.",
        remedy="Remove the match, or move the rule up.",
        about=f"match {path}",
    )


def _hosts(route: VirtualService) -> str:
    return listed(route.hosts) if route.hosts else "what is handed over"
