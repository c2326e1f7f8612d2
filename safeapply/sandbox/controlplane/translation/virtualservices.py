"""VirtualServices in the order in which istiod asks them, with every host in full. Pure.

Destinations are resolved in the namespace of the object that names them, a delegate's in the delegate's, before
anything is merged (ISTIO.md 2.1, 2.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from safeapply.resources.objects import Document
from safeapply.sandbox.controlplane.translation.delegates import merge_delegates
from safeapply.sandbox.controlplane.translation.hosts import fqdn
from safeapply.sandbox.controlplane.translation.metadata import Json, age, exported, name_of, namespace_of, texts

__all__ = ["MESH", "VirtualService", "applicable", "destinations_from", "virtual_services_of"]

MESH = "mesh"


@dataclass(frozen=True, slots=True, eq=False)
class VirtualService:
    """One VirtualService that has hosts, with its delegates' routes in place."""

    document: Document
    namespace: str
    hosts: tuple[str, ...]
    gateways: frozenset[str]
    """``namespace/name``, or ``mesh``."""
    export_to: tuple[str, ...]
    http: tuple[Json, ...]
    tcp: tuple[Json, ...]
    tls: tuple[Json, ...]


def virtual_services_of(documents: Iterable[Document], unsaid: tuple[str, ...] = ()) -> tuple[VirtualService, ...]:
    """Return all that have hosts, oldest first; for whom they are that do not say so is told."""
    resolved = {(namespace_of(each), name_of(each)): _resolve(each, unsaid) for each in sorted(documents, key=age)}
    delegates = {key: each for key, each in resolved.items() if not each.hosts}
    return tuple(_with_delegates(each, delegates) for each in resolved.values() if each.hosts)


def applicable(services: Sequence[VirtualService], client: str, gateway: str) -> tuple[VirtualService, ...]:
    """Return those bound to a gateway, or to ``mesh``, that a namespace sees, in order of precedence.

    Its own private ones first, then those exported to it by name, then the public ones; each group oldest first
    (ISTIO.md 4.1, 4.2).
    """
    bound = [each for each in services if gateway in each.gateways]
    visible = [each for each in bound if exported(each.export_to, each.namespace, client)]
    return tuple(sorted(visible, key=lambda each: _rank(each, client)))


def destinations_from(service: VirtualService, client: str) -> Iterator[Json]:
    """Yield every destination that it names, mirrors and weight 0 included (ISTIO.md 9.3).

    Left out are HTTP routes that are for other source namespaces alone.
    """
    http = (route for route in service.http if _may_start_in(route, client))
    for route in (*http, *service.tcp, *service.tls):
        yield from _destinations_of(route)


def _may_start_in(route: Json, client: str) -> bool:
    """Follow istio ``virtualServiceDestinationsFilteredBySourceNamespace``."""
    sources = [match["sourceNamespace"] for match in route.get("match") or () if match.get("sourceNamespace")]
    return not sources or client in sources


def _rank(service: VirtualService, client: str) -> int:
    if not service.export_to or "*" in service.export_to:
        return 2
    # One that is exported to its own namespace is private there, whoever else sees it (istio initVirtualServices).
    return 0 if client == service.namespace else 1


def _with_delegates(service: VirtualService, delegates: Mapping[tuple[str, str], VirtualService]) -> VirtualService:
    def find(namespace: str, name: str) -> Sequence[Json] | None:
        found = delegates.get((namespace, name))
        if found is None or not exported(found.export_to, found.namespace, service.namespace):
            return None
        return found.http

    http = tuple(merge_delegates(service.http, service.namespace, find))
    return replace(service, http=http)


def _resolve(document: Document, unsaid: tuple[str, ...]) -> VirtualService:
    spec, namespace = document.get("spec") or {}, namespace_of(document)
    return VirtualService(
        document=document,
        namespace=namespace,
        hosts=tuple(fqdn(str(host), namespace) for host in spec.get("hosts") or ()),
        gateways=frozenset(_gateway(str(each), namespace) for each in spec.get("gateways") or (MESH,)),
        export_to=texts(spec.get("exportTo")) or unsaid,
        http=tuple(_resolve_route(route, namespace) for route in spec.get("http") or ()),
        tcp=tuple(_resolve_route(route, namespace) for route in spec.get("tcp") or ()),
        tls=tuple(_resolve_route(route, namespace) for route in spec.get("tls") or ()),
    )


def _gateway(name: str, namespace: str) -> str:
    """Return ``namespace/name`` (ISTIO.md 2.3)."""
    if name == MESH:
        return name
    if "/" in name:
        owner, _, own = name.partition("/")
        return f"{namespace if owner == '.' else owner}/{own}"
    own, found, rest = name.partition(".")
    return f"{rest.partition('.')[0]}/{own}" if found else f"{namespace}/{name}"


def _resolve_route(route: Document, namespace: str) -> Json:
    """Return a copy of a route with its hosts and its matches' gateways in full."""
    copy = dict(route)
    if copy.get("match"):
        copy["match"] = [_resolve_match(match, namespace) for match in copy["match"]]
    for field in ("route", "mirrors"):
        if copy.get(field):
            copy[field] = [_resolve_weighted(each, namespace) for each in copy[field]]
    if copy.get("mirror"):
        copy["mirror"] = _resolve_destination(copy["mirror"], namespace)
    return copy


def _resolve_match(match: Document | None, namespace: str) -> Json:
    copy = dict(match or {})
    if copy.get("gateways"):
        copy["gateways"] = [_gateway(str(each), namespace) for each in copy["gateways"]]
    return copy


def _resolve_weighted(weighted: Document, namespace: str) -> Json:
    return {**weighted, "destination": _resolve_destination(weighted.get("destination") or {}, namespace)}


def _resolve_destination(destination: Mapping[str, Any], namespace: str) -> Json:
    return {**destination, "host": fqdn(str(destination.get("host", "")), namespace)}


def _destinations_of(route: Json) -> Iterator[Json]:
    for field in ("route", "mirrors"):
        yield from (each["destination"] for each in route.get(field) or ())
    if route.get("mirror"):
        yield route["mirror"]
