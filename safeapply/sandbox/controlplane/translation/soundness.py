"""Whether anything can be made of an object at all. Pure.

Istio's webhook refuses what has not the shape of its kind, and istiod skips it where there is no webhook. The
embedded API server validates lightly, so the control plane finds out here, by trying each part of the object once:
whatever the rest of the mesh is, the translation will not stumble over it later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from safeapply.resources.objects import Document, Namespace, ResourceId
from safeapply.sandbox.controlplane.snapshots import Snapshot
from safeapply.sandbox.controlplane.translation.actions import envoy_route
from safeapply.sandbox.controlplane.translation.configuration import Translation
from safeapply.sandbox.controlplane.translation.filters import tcp_filter
from safeapply.sandbox.controlplane.translation.hosts import fqdn
from safeapply.sandbox.controlplane.translation.http_routes import cluster_at
from safeapply.sandbox.controlplane.translation.matches import Client, applies, envoy_match, l4_applies
from safeapply.sandbox.controlplane.translation.metadata import Json, name_of, namespace_of
from safeapply.sandbox.controlplane.translation.virtualservices import virtual_services_of

__all__ = ["fault_of"]

UNREADABLE = (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError)
"""How Python says that a document does not have the shape that its kind has."""

PORTS = [
    {"number": number, "name": "p", "protocol": said} for number, said in ((80, "HTTP"), (443, "TLS"), (1, "TCP"))
]


def fault_of(document: Document) -> str | None:
    """Return why nothing can be made of an object, or None where it is sound."""
    try:
        if document["kind"] == "VirtualService":
            _try_routes(document)
        _try_alone(document)
    except UNREADABLE as error:
        return f"{type(error).__name__}: {error}"
    return None


def _try_routes(document: Document) -> None:
    """Make every route, for whichever proxy it may be."""
    spec = {**(document.get("spec") or {}), "hosts": (document.get("spec") or {}).get("hosts") or ["delegate"]}
    cluster_of = cluster_at(80, lambda _: None)
    for service in virtual_services_of([{**document, "spec": spec}]):
        for route in service.http:
            matches: Sequence[Json] = route.get("match") or ({},)
            for match in matches:
                envoy_route(route, envoy_match(match), {}, cluster_of)
        for route in (*service.tcp, *service.tls):
            if route.get("route"):
                tcp_filter(route["route"], cluster_of)
        for route in (*service.http, *service.tcp, *service.tls):
            for match in route.get("match") or ():
                _try_match(match)


def _try_match(match: Json) -> None:
    """Look at each condition alone: together, one that is not met hides the rest."""
    client = Client("default", {"app": "x"}, {"mesh"}, 80)
    for key, value in match.items():
        applies({key: value}, client)
        l4_applies({key: value}, client)
    tuple(match.get("sniHosts") or ())


def _try_alone(document: Document) -> None:
    """Make the configuration of a mesh of this object, and of a host and its routes that have to do with it."""
    spec, namespace, kind = document.get("spec") or {}, namespace_of(document), document["kind"]
    labels = (document["metadata"].get("labels") or {}) | (spec.get("labels") or {})
    host = fqdn(spec["host"], namespace) if kind == "DestinationRule" else "host.example.com"
    objects = (
        document,
        _entry(host, namespace, labels),
        _routes(host, namespace, f"{namespace}/{name_of(document)}"),
    )
    mesh = Translation(Snapshot({_id(each): each for each in objects}), mutual_tls=True)
    selector = (
        spec.get("workloadSelector") or (spec.get("selector") if kind == "PeerAuthentication" else None) or {}
    )
    selected = selector.get("matchLabels") or selector.get("labels") or {}
    mesh.configuration("sidecar", namespace, selected, {"web": 80})
    mesh.configuration("router", namespace, (spec.get("selector") or {}) if kind == "Gateway" else {})


def _entry(host: str, namespace: str, labels: Mapping[str, str]) -> Document:
    selector = {"workloadSelector": {"labels": labels}} if labels else {}
    spec = {"hosts": [host], "location": "MESH_INTERNAL", "resolution": "STATIC", "ports": PORTS, **selector}
    return {"kind": "ServiceEntry", "metadata": {"name": "-", "namespace": namespace}, "spec": spec}


def _routes(host: str, namespace: str, gateway: str) -> Document:
    routes = [{"route": [{"destination": {"host": host}}], "match": [{"sniHosts": [host]}]}]
    spec = {"hosts": [host], "gateways": ["mesh", gateway], "http": routes, "tcp": routes, "tls": routes}
    return {"kind": "VirtualService", "metadata": {"name": "-", "namespace": namespace}, "spec": spec}


def _id(document: Document) -> ResourceId:
    return ResourceId("", document["kind"], Namespace(namespace_of(document)), name_of(document))
