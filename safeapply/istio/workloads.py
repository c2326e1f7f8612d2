"""Pods, and what makes them: which labels and ports they have, and whether an Envoy stands before them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safeapply.istio.kinds import POD, WORKLOAD_KINDS, Workload
from safeapply.istio.proxies import has_sidecar
from safeapply.istio.route_rules import Pairs
from safeapply.resources.objects import Document, Resource

__all__ = ["declare_workload", "pairs"]

INJECT = "sidecar.istio.io/inject"


def declare_workload(resource: Resource) -> Workload | None:
    """Return what Istio reads of something that runs, or makes pods; None where nothing of it gets requests."""
    kind = resource.id.group_kind
    if kind in WORKLOAD_KINDS and resource.spec.get("replicas") != 0:
        template = resource.spec.get("template") or {}
        labels = (template.get("metadata") or {}).get("labels")
        # Whether its pods will get a sidecar is the injector's to say; the label is all that a template shows.
        injected = (labels or {}).get(INJECT) != "false"
        return Workload(resource.id, pairs(labels), injected, _named_ports(template.get("spec") or {}))
    if kind == POD and _ready(resource):
        return Workload(resource.id, pairs(resource.labels), has_sidecar(resource), _named_ports(resource.spec))
    return None


def _named_ports(pod: Document) -> tuple[tuple[str, int], ...]:
    ports = (port for container in pod.get("containers") or () for port in container.get("ports") or ())
    return tuple((str(port["name"]), int(port["containerPort"])) for port in ports if port.get("name"))


def _ready(pod: Resource) -> bool:
    conditions = (pod.document.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def pairs(labels: Mapping[str, Any] | None) -> Pairs:
    """Return labels sorted by key."""
    return tuple(sorted((str(key), str(value)) for key, value in (labels or {}).items()))
