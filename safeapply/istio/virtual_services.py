"""From a VirtualService's manifest to what Istio reads of it (``istio.kinds``).

As in ``istio.declarations``, the manifest has been checked: fields may be missing, but none is of a wrong type.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from safeapply.istio.hosts import resolve
from safeapply.istio.kinds import MESH, VirtualService
from safeapply.istio.mesh_settings import MeshSettings
from safeapply.istio.route_rules import Condition, Destination, Match, Rule, Traffic
from safeapply.istio.visibility import export_to
from safeapply.istio.workloads import pairs
from safeapply.resources.objects import Document, FieldPath, Namespace, ResourceId
from safeapply.xds.names import Host

__all__ = ["VirtualServiceReader", "gateway_name"]

OF_PROXIES = frozenset({"name", "gateways", "port", "sourceLabels", "sourceNamespace"})
"""Fields of a match that no request decides."""
EVERY_PATH: Final[tuple[object, ...]] = (None, {}, {"prefix": "/"}, {"regex": ".*"})


def gateway_name(name: str, namespace: Namespace) -> str:
    """Return ``namespace/name`` for the name by which an object refers to a Gateway; or ``mesh`` (ISTIO.md 2.3)."""
    if name == MESH:
        return MESH
    owner, slash, rest = name.partition("/")
    if not slash:
        return f"{namespace}/{name}"
    return f"{namespace}/{rest}" if owner == "." else name


@dataclass(frozen=True, slots=True)
class VirtualServiceReader:
    """What the fields are read against: whose object it is, its age, and Istio's own settings."""

    id: ResourceId
    created: str
    mesh: MeshSettings

    def read(self, spec: Document) -> VirtualService:
        """Return what Istio reads of a spec."""
        gateways = spec.get("gateways") or (MESH,)
        return VirtualService(
            id=self.id,
            created=self.created,
            hosts=tuple(self._host(host) for host in spec.get("hosts") or ()),
            gateways=frozenset(self._gateway_name(name) for name in gateways),
            export_to=export_to(spec, self.mesh.virtual_services),
            rules=tuple(rule for traffic in Traffic for rule in self._rules(traffic, spec)),
        )

    def _rules(self, traffic: Traffic, spec: Document) -> Iterator[Rule]:
        for index, rule in enumerate(spec.get(traffic.value) or ()):
            yield self._rule(traffic, rule, FieldPath(f"spec.{traffic.value}[{index}]"))

    def _rule(self, traffic: Traffic, rule: Document, path: FieldPath) -> Rule:
        routes = [(self._destination(r["destination"], p), r.get("weight") or 0) for r, p in _routes(rule, path)]
        mirrors = tuple(self._mirrors(rule, path))
        return Rule(
            traffic=traffic,
            matches=tuple(self._match(traffic, match or {}) for match in rule.get("match") or ()),
            # Envoy gets a lone destination whatever its weight, and of several none of weight 0 (ISTIO.md 1.3).
            destinations=tuple(_shared(routes)) if len(routes) > 1 else tuple(d for d, _ in routes),
            mirrors=tuple(d for d, share in mirrors if share != 0),
            named=(*(d for d, _ in routes), *(d for d, _ in mirrors)),
            delegate=self._delegate(rule.get("delegate")),
            path=path,
        )

    def _match(self, traffic: Traffic, match: Document) -> Match:
        return Match(
            gateways=frozenset(self._gateway_name(name) for name in match.get("gateways") or ()),
            port=match.get("port"),
            source_labels=pairs(match.get("sourceLabels")),
            source_namespace=str(match.get("sourceNamespace") or ""),
            request=", ".join(f"{key} {_said(match[key])}" for key in sorted(match.keys() - OF_PROXIES)),
            all=_lets_all_through(traffic, match),
            conditions=tuple(_conditions(match)) if traffic is Traffic.HTTP else (),
            any_case=bool(match.get("ignoreUriCase")),
        )

    def _mirrors(self, rule: Document, path: FieldPath) -> Iterator[tuple[Destination, float | None]]:
        """Yield each mirror with its percentage; None is all."""
        if rule.get("mirror"):
            percentage = (rule.get("mirrorPercentage") or {}).get("value", rule.get("mirrorPercent"))
            yield self._destination(rule["mirror"], FieldPath(f"{path}.mirror")), percentage
        for index, entry in enumerate(rule.get("mirrors") or ()):
            where = FieldPath(f"{path}.mirrors[{index}].destination")
            yield self._destination(entry["destination"], where), (entry.get("percentage") or {}).get("value")

    def _destination(self, destination: Document, path: FieldPath) -> Destination:
        return Destination(
            host=self._host(str(destination.get("host") or "")),
            subset=str(destination.get("subset") or ""),
            port=(destination.get("port") or {}).get("number"),
            path=path,
        )

    def _delegate(self, delegate: Document | None) -> ResourceId | None:
        if not delegate:
            return None
        namespace = Namespace(str(delegate.get("namespace") or self.id.namespace))
        return ResourceId(self.id.group, self.id.kind, namespace, str(delegate.get("name") or ""))

    def _host(self, name: str) -> Host:
        return resolve(name, self.id.namespace, domain=self.mesh.domain)

    def _gateway_name(self, name: str) -> str:
        return gateway_name(name, self.id.namespace)


def _routes(rule: Document, path: FieldPath) -> Iterator[tuple[Document, FieldPath]]:
    for index, route in enumerate(rule.get("route") or ()):
        yield route, FieldPath(f"{path}.route[{index}].destination")


def _shared(routes: Sequence[tuple[Destination, float]]) -> Iterator[Destination]:
    """Yield the destinations that have a weight, with what Envoy draws for them: one after the other."""
    total, passed = sum(weight for _, weight in routes), 0.0
    for destination, weight in routes:
        if weight:
            yield replace(destination, share=(passed / total, (passed + weight) / total))
            passed += weight


def _lets_all_through(traffic: Traffic, match: Document) -> bool:
    """Tell what istio ``IsCatchAllRoute`` does of HTTP; of TCP only subnets tell connections apart."""
    wanted = {key for key in match.keys() - OF_PROXIES - {"ignoreUriCase", "statPrefix"} if match[key]}
    if traffic is Traffic.HTTP:
        return wanted <= {"uri"} and match.get("uri") in EVERY_PATH
    return traffic is Traffic.TCP and not wanted


def _conditions(match: Document) -> Iterator[Condition]:
    for name in ("uri", "scheme", "method", "authority"):
        if match.get(name) is not None:
            yield _condition(name, match[name])
    for name in ("headers", "withoutHeaders", "queryParams"):
        for key, wanted in (match.get(name) or {}).items():
            yield _condition(f"{name}.{key}", wanted or {})


def _condition(field: str, wanted: Document) -> Condition:
    kind = next((one for one in ("exact", "prefix", "regex") if wanted.get(one)), "")
    return Condition(field, kind, str(wanted.get(kind, "")))


def _said(value: object) -> str:
    """Return a value as an operator would say it, the same for equal values."""
    match value:
        case dict():
            return " ".join(f"{key} {_said(value[key])}" for key in sorted(value))
        case list():
            return ",".join(map(_said, value))
        case _:
            return str(value)
