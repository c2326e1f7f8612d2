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
    "crashing",
    "finished_job",
    "is_ours",
    "is_ready",
    "istiod_pod",
    "outside_backends",
    "owner_uid",
    "pods_of_workload",
    "ports_by_name",
    "scheduled",
    "seconds_to_readiness",
    "status_of_pod",
    "status_of_workload",
]

JOB = GroupKind("batch", "Job")
DEPLOYMENT = GroupKind("apps", "Deployment")
WORKLOAD_KINDS = (
    DEPLOYMENT,
    GroupKind("apps", "ReplicaSet"),
    GroupKind("apps", "StatefulSet"),
    GroupKind("apps", "DaemonSet"),
)
FALSE = (["false"], ["/bin/false"])
BACKOFF_LIMIT = "Job has reached the specified backoff limit"
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
    annotations = (template.get("metadata") or {}).get("annotations")
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
                **({"annotations": annotations} if annotations else {}),
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


def ports_by_name(pod: Document, services: Iterable[Document]) -> Mapping[str, int]:
    """Return where the pod has to listen, by name: its containers' ports, and where Services send what they select.

    A port that has no name is named by its number.
    """
    named = dict(_container_ports(pod))
    return {str(number): number for number in _targets(pod, services, named)} | named


def outside_backends(entries: Iterable[Document]) -> frozenset[tuple[str, int]]:
    """Return the addresses and ports of what ServiceEntries and WorkloadEntries name beside pods."""
    return frozenset(pair for entry in entries for pair in _outside(entry.get("spec") or {}))


def address(number: int) -> str:
    """Return the pod address with this number: data, never a real interface."""
    return f"10.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def seconds_to_readiness(pod: Document) -> float:
    """Return how long no probe asks the pod's containers whether they are ready."""
    probes = (container.get("readinessProbe") or {} for container in _containers(pod))
    return max((float(probe.get("initialDelaySeconds") or 0) for probe in probes), default=0.0)


def status_of_pod(pod_ip: str, *, ready: bool, ended: Sequence[str] = ()) -> Mapping[str, Any]:
    """Return the status of a running pod; ``ended`` are those of its containers that end again and again."""
    word, now = ("True" if ready else "False"), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "phase": "Running",
        "podIP": pod_ip,
        "podIPs": [{"ip": pod_ip}],
        "conditions": [
            {"type": kind, "status": word, "lastTransitionTime": now} for kind in ("ContainersReady", "Ready")
        ],
        **({"containerStatuses": [_crashing(name) for name in ended]} if ended else {}),
    }


def _crashing(name: str) -> Mapping[str, Any]:
    message = f"back-off restarting failed container {name}"
    return {
        "name": name,
        "ready": False,
        "restartCount": 1,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": message}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
    }


def is_ours(job: Document) -> bool:
    """Tell whether a Job is the built-in controller's, and not another's, as ``managedBy`` says (KEP-4368)."""
    return (job.get("spec") or {}).get("managedBy") in {None, "kubernetes.io/job-controller"}


def finished_job(job: Document) -> Mapping[str, Any]:
    """Return the status of a Job whose containers have ended: nothing runs in the sandbox, so at once."""
    failed = bool(crashing((job.get("spec") or {}).get("template") or {}))
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    over = {"type": "Failed" if failed else "Complete", "status": "True", "lastTransitionTime": now}
    if failed:
        return {"failed": 1, "conditions": [over | {"reason": "BackoffLimitExceeded", "message": BACKOFF_LIMIT}]}
    return {"succeeded": (job.get("spec") or {}).get("completions", 1), "conditions": [over]}


def status_of_workload(workload: Document, pods: Sequence[Document], *, late: bool = False) -> Mapping[str, Any]:
    """Return what ``kubectl rollout status`` waits for; ``late`` is one whose progress deadline is over."""
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
            "numberAvailable": ready,
            "updatedNumberScheduled": updated,
            "desiredNumberScheduled": 1,
        }
    if workload["kind"] == "StatefulSet":
        revision = f"{workload['metadata']['name']}-{_digest((workload.get('spec') or {}).get('template') or {})}"
        return {**status, "currentRevision": revision, "updateRevision": revision}
    if workload["kind"] == "Deployment":
        done = ready >= len(kept)
        return {**status, "conditions": [_progressing(workload, late=late and not done, done=done)]}
    return status


def _progressing(deployment: Document, *, late: bool, done: bool) -> Mapping[str, Any]:
    name = f"{deployment['metadata']['name']}-{_digest((deployment.get('spec') or {}).get('template') or {})}"
    if late:
        message = f'ReplicaSet "{name}" has timed out progressing.'
        return {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": message}
    if done:
        message = f'ReplicaSet "{name}" has successfully progressed.'
        return {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "message": message}
    message = f'ReplicaSet "{name}" is progressing.'
    return {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "message": message}


def is_ready(pod: Document) -> bool:
    """Tell whether the pod's Ready condition is true."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def crashing(pod: Document) -> tuple[str, ...]:
    """Return the names of the containers that exit as soon as they are started: their command is ``false``."""
    return tuple(str(one.get("name", "")) for one in _containers(pod) if one.get("command") in FALSE)


def _containers(pod: Document) -> Iterator[Document]:
    yield from (pod.get("spec") or {}).get("containers") or ()


def _container_ports(pod: Document) -> Iterator[tuple[str, int]]:
    for container in _containers(pod):
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
