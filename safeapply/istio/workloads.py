"""Pods, and what makes them: which labels and ports they have, and whether an Envoy stands before them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safeapply.istio.kinds import POD, WORKLOAD_KINDS, Workload
from safeapply.istio.proxies import TLS_MODE, has_sidecar, is_marked
from safeapply.istio.route_rules import Pairs
from safeapply.resources.objects import Document, Resource

__all__ = ["declare_workload", "pairs"]

INJECT = "sidecar.istio.io/inject"


def declare_workload(resource: Resource) -> Workload | None:
    """Return what Istio reads of something that runs, or makes pods; None where nothing of it gets requests."""
    kind = resource.id.group_kind
    if kind in WORKLOAD_KINDS and resource.spec.get("replicas") != 0:
        template = resource.spec.get("template") or {}
        labels = (template.get("metadata") or {}).get("labels") or {}
        # Whether its pods will get a sidecar is the injector's to say; the label is all that a template shows.
        injected = labels.get(INJECT) != "false"
        marked = labels.get(TLS_MODE, "istio" if injected else "") == "istio"
        return Workload(resource.id, pairs(labels), injected, marked, _named_ports(template.get("spec") or {}))
    if kind == POD and _ready(resource):
        shown = (has_sidecar(resource), is_marked(resource))
        return Workload(resource.id, pairs(resource.labels), *shown, _named_ports(resource.spec))
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
