"""What a controller manager makes of workloads, and a kubelet of pods: names, labels, ports, status. Pure.

Only what a mesh can see is made: labels, addresses, readiness. There are no images and no resources.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from safeapply.resources.objects import Document, GroupKind

__all__ = [
    "WORKLOAD_KINDS",
    "address",
    "is_ready",
    "istiod_pod",
    "outside_backends",
    "owner_uid",
    "pods_of_workload",
    "ports_of_pod",
    "scheduled",
    "status_of_pod",
    "status_of_workload",
]

DEPLOYMENT = GroupKind("apps", "Deployment")
WORKLOAD_KINDS = (
    DEPLOYMENT,
    GroupKind("apps", "ReplicaSet"),
    GroupKind("apps", "StatefulSet"),
    GroupKind("apps", "DaemonSet"),
)
NODE = "sandbox"
ROOT_NAMESPACE = "istio-system"
HASH_LABEL = "pod-template-hash"
HASH_BYTES = 5


def pods_of_workload(workload: Document) -> tuple[Document, ...]:
    """Return the pods that a Deployment, ReplicaSet, StatefulSet or DaemonSet wants; one node has one daemon."""
    spec, metadata = workload.get("spec") or {}, workload["metadata"]
    template = spec.get("template") or {}
    count = 1 if workload["kind"] == "DaemonSet" else spec.get("replicas", 1)
    digest = _digest(template)
    stem = metadata["name"] if workload["kind"] == "StatefulSet" else f"{metadata['name']}-{digest}"
    labels = dict((template.get("metadata") or {}).get("labels") or {})
    if workload["kind"] == "Deployment":
        labels[HASH_LABEL] = digest
    return tuple(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{stem}-{number}",
                "namespace": metadata["namespace"],
                "labels": labels,
                "ownerReferences": [_reference(workload)],
            },
            "spec": {"nodeName": NODE, **(template.get("spec") or {})},
        }
        for number in range(count)
    )


def istiod_pod(number: int) -> Document:
    """Return the pod of one replica of the control plane; nothing runs in it, but its ports lead to the replica."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"istiod-{number}",
            "namespace": ROOT_NAMESPACE,
            "labels": {"app": "istiod", "istio.io/rev": "default"},
        },
        "spec": {"containers": [{"name": "discovery", "image": "istio/pilot"}]},
    }


def scheduled(document: Document) -> Document:
    """Return a pod with the one node that there is; any other object as it is."""
    if document["kind"] != "Pod":
        return document
    return {**document, "spec": {"nodeName": NODE, **(document.get("spec") or {})}}


def owner_uid(pod: Document) -> str | None:
    """Return the uid of the workload that a pod belongs to, or None for a bare pod."""
    for reference in pod["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return str(reference["uid"])
    return None


def ports_of_pod(pod: Document, services: Iterable[Document]) -> frozenset[int]:
    """Return where the pod has to listen: on its containers' ports, and where a Service sends what it selects."""
    named = dict(_container_ports(pod))
    return frozenset((*named.values(), *_targets(pod, services, named)))


def outside_backends(entries: Iterable[Document]) -> frozenset[tuple[str, int]]:
    """Return the addresses and ports of what ServiceEntries and WorkloadEntries name beside pods."""
    return frozenset(pair for entry in entries for pair in _outside(entry.get("spec") or {}))


def address(number: int) -> str:
    """Return the pod address with this number: data, never a real interface."""
    return f"10.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def status_of_pod(pod_ip: str, *, ready: bool) -> Mapping[str, Any]:
    """Return the status of a running pod."""
    word, now = ("True" if ready else "False"), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "phase": "Running",
        "podIP": pod_ip,
        "podIPs": [{"ip": pod_ip}],
        "conditions": [
            {"type": kind, "status": word, "lastTransitionTime": now} for kind in ("ContainersReady", "Ready")
        ],
    }


def status_of_workload(workload: Document, pods: Sequence[Document]) -> Mapping[str, Any]:
    """Return what ``kubectl rollout status`` waits for."""
    ready = sum(map(is_ready, pods))
    kept = {pod["metadata"]["name"] for pod in pods_of_workload(workload)}
    updated = sum(pod["metadata"]["name"] in kept for pod in pods)
    status = {
        "observedGeneration": workload["metadata"].get("generation", 1),
        "replicas": len(pods),
        "updatedReplicas": updated,
        "readyReplicas": ready,
        "availableReplicas": ready,
    }
    if workload["kind"] == "DaemonSet":
        return {
            "observedGeneration": status["observedGeneration"],
            "numberReady": ready,
            "desiredNumberScheduled": 1,
        }
    return status


def is_ready(pod: Document) -> bool:
    """Tell whether the pod's Ready condition is true."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def _container_ports(pod: Document) -> Iterator[tuple[str, int]]:
    for container in (pod.get("spec") or {}).get("containers") or ():
        for port in container.get("ports") or ():
            number = int(port["containerPort"])
            yield str(port.get("name", number)), number


def _targets(pod: Document, services: Iterable[Document], named: Mapping[str, int]) -> Iterator[int]:
    labels = (pod["metadata"].get("labels") or {}).items()
    for service in services:
        spec = service.get("spec") or {}
        selector = spec.get("selector") or {}
        beside = service["metadata"]["namespace"] == pod["metadata"]["namespace"]
        if selector and beside and selector.items() <= labels:
            for port in spec.get("ports") or ():
                target = port.get("targetPort", port["port"])
                if isinstance(target, int) or target in named:
                    yield target if isinstance(target, int) else named[target]


def _outside(spec: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield where an entry's endpoints answer; one without any is resolved by its host's name."""
    if "address" in spec:
        yield from ((str(spec["address"]), int(port)) for port in (spec.get("ports") or {}).values())
    endpoints = spec.get("endpoints") or [{"address": host} for host in spec.get("hosts") or ()]
    for endpoint in endpoints:
        for port in spec.get("ports") or ():
            own = (endpoint.get("ports") or {}).get(port.get("name"))
            yield str(endpoint.get("address", "")), int(own or port.get("targetPort") or port["number"])


def _reference(workload: Document) -> Document:
    return {
        "apiVersion": workload["apiVersion"],
        "kind": workload["kind"],
        "name": workload["metadata"]["name"],
        "uid": workload["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _digest(template: Document) -> str:
    text = json.dumps(template, sort_keys=True, default=str).encode()
    return hashlib.blake2b(text, digest_size=HASH_BYTES).hexdigest()
