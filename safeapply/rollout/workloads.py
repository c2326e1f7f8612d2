"""Whether a workload is rolled out, judged as ``kubectl rollout status`` does, and what keeps its pods. Pure.

Rules and words are those of kubectl's ``pkg/polymorphichelpers/rollout_status.go``; those of Jobs are the
conditions that ``kubectl wait`` reads. A workload that nobody rolls out (``OnDelete``) is not waited for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from safeapply.resources.objects import Document, Resource

__all__ = ["Failed", "Lacking", "RolledOut", "Standing", "lament", "selector_of", "standing_of"]

ON_DELETE = "OnDelete"


@dataclass(frozen=True, slots=True)
class RolledOut:
    """All its replicas are up to date and available; a Job is complete."""


@dataclass(frozen=True, slots=True)
class Lacking:
    """It is on its way, and this is what it lacks."""

    why: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Its controller has given up."""

    why: str


Standing: TypeAlias = RolledOut | Lacking | Failed


def standing_of(workload: Resource | None) -> Standing:
    """Return where a workload stands; None is one that is not there."""
    if workload is None:
        return Lacking("it does not exist")
    status = workload.document.get("status") or {}
    match workload.id.kind:
        case "Deployment":
            return _deployment(workload, status)
        case "StatefulSet":
            return _stateful_set(workload, status)
        case "DaemonSet":
            return _daemon_set(workload, status)
        case "Job":
            return _job(workload, status)
        case _:
            return RolledOut()


def selector_of(workload: Resource) -> str:
    """Return what finds its pods, as a label selector; empty where it is not equality-based."""
    selector = workload.spec.get("selector") or {}
    if selector.get("matchExpressions"):
        return ""
    return ",".join(f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items()))


def lament(pod: Resource) -> str:
    """Return why a pod is not ready, in the words of scheduler and kubelet; empty where it is."""
    status = pod.document.get("status") or {}
    conditions = {one.get("type"): one for one in status.get("conditions") or ()}
    if (conditions.get("Ready") or {}).get("status") == "True" or status.get("phase") == "Succeeded":
        return ""
    return next(_reasons(status, conditions), "it is not ready")


def _reasons(status: Document, conditions: Mapping[object, Document]) -> Iterator[str]:
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state = container.get("state") or {}
        for one in (state.get("waiting"), state.get("terminated")):
            if one and not container.get("ready") and one.get("reason") != "Completed":
                yield _said(one)
    for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready"):
        one = conditions.get(kind)
        if one is not None and one.get("status") != "True" and (one.get("reason") or one.get("message")):
            yield _said(one)


def _said(one: Document) -> str:
    return ": ".join(str(one[key]) for key in ("reason", "message") if one.get(key))


def _deployment(workload: Resource, status: Document) -> Standing:
    if _generation(workload) > int(status.get("observedGeneration") or 0):
        return Lacking("its new spec is still to be observed")
    progressing = _condition(status, "Progressing")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return Failed(f"exceeded its progress deadline: {progressing.get('message') or 'no message'}")
    wanted = workload.spec.get("replicas", 1)
    replicas, updated, available = (
        int(status.get(key) or 0) for key in ("replicas", "updatedReplicas", "availableReplicas")
    )
    if updated < wanted:
        return Lacking(f"{updated} out of {wanted} new replicas have been updated")
    if replicas > updated:
        return Lacking(f"{replicas - updated} old replicas are pending termination")
    if available < updated:
        return Lacking(f"{available} of {updated} updated replicas are available")
    return RolledOut()


def _stateful_set(workload: Resource, status: Document) -> Standing:
    strategy = workload.spec.get("updateStrategy") or {}
    if strategy.get("type") == ON_DELETE:
        return RolledOut()
    observed = int(status.get("observedGeneration") or 0)
    if observed == 0 or _generation(workload) > observed:
        return Lacking("its new spec is still to be observed")
    wanted = int(workload.spec.get("replicas", 1))
    ready, updated = int(status.get("readyReplicas") or 0), int(status.get("updatedReplicas") or 0)
    if ready < wanted:
        return Lacking(f"{ready} of {wanted} pods are ready")
    partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
    if partition:
        due = wanted - int(partition)
        return Lacking(f"{updated} out of {due} new pods have been updated") if updated < due else RolledOut()
    if status.get("updateRevision") != status.get("currentRevision"):
        return Lacking(f"{updated} of {wanted} pods are at revision {status.get('updateRevision')}")
    return RolledOut()


def _daemon_set(workload: Resource, status: Document) -> Standing:
    if (workload.spec.get("updateStrategy") or {}).get("type") == ON_DELETE:
        return RolledOut()
    if _generation(workload) > int(status.get("observedGeneration") or 0):
        return Lacking("its new spec is still to be observed")
    wanted = int(status.get("desiredNumberScheduled") or 0)
    updated, available = (int(status.get(key) or 0) for key in ("updatedNumberScheduled", "numberAvailable"))
    if updated < wanted:
        return Lacking(f"{updated} out of {wanted} new pods have been updated")
    if available < wanted:
        return Lacking(f"{available} of {wanted} updated pods are available")
    return RolledOut()


def _job(workload: Resource, status: Document) -> Standing:
    failed = _condition(status, "Failed")
    if failed.get("status") == "True":
        return Failed(f"failed: {_said(failed) or 'no reason'}")
    if _condition(status, "Complete").get("status") == "True" or workload.spec.get("suspend"):
        return RolledOut()
    return Lacking(
        f"{int(status.get('succeeded') or 0)} of {workload.spec.get('completions', 1)} pods have succeeded"
    )


def _generation(workload: Resource) -> int:
    return int(workload.metadata.get("generation") or 0)


def _condition(status: Document, kind: str) -> Mapping[str, Any]:
    return next((one for one in status.get("conditions") or () if one.get("type") == kind), {})
