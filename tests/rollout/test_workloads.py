"""A workload is rolled out when ``kubectl rollout status`` would say so; what it lacks is told in its words."""

from __future__ import annotations

import asyncio

import pytest
import yaml

from safeapply.errors import BarrierTimeoutError, WorkloadFailedError
from safeapply.resources.objects import Namespace, Resource, ResourceId
from safeapply.rollout.events import Event, WorkloadsAwaited
from safeapply.rollout.readiness import Readiness
from safeapply.rollout.workloads import Failed, Lacking, RolledOut, Standing, lament, standing_of
from tests.rollout.memory import JumpingClock, MemoryCluster

SHOP = Namespace("shop")


def made(kind: str, spec: str, status: str, name: str = "reviews-v2") -> Resource:
    """Return a workload of generation 2."""
    group, version = (
        ("batch", "batch/v1") if kind == "Job" else ("", "v1") if kind == "Pod" else ("apps", "apps/v1")
    )
    metadata = {"name": name, "namespace": SHOP, "generation": 2, "labels": {"app": "reviews"}}
    document = {"apiVersion": version, "kind": kind, "metadata": metadata}
    parts = {"spec": yaml.safe_load(spec), "status": yaml.safe_load(status)}
    return Resource(ResourceId(group, kind, SHOP, name), {**document, **parts})


LATE = "{type: Progressing, reason: ProgressDeadlineExceeded, message: m}"
DEPLOYMENT = {
    "{}": Lacking("its new spec is still to be observed"),
    "{observedGeneration: 1, replicas: 3, updatedReplicas: 3, availableReplicas: 3}": Lacking(
        "its new spec is still to be observed"
    ),
    "{observedGeneration: 2, replicas: 3, updatedReplicas: 1, availableReplicas: 3}": Lacking(
        "1 out of 3 new replicas have been updated"
    ),
    "{observedGeneration: 2, replicas: 4, updatedReplicas: 3, availableReplicas: 3}": Lacking(
        "1 old replicas are pending termination"
    ),
    "{observedGeneration: 2, replicas: 3, updatedReplicas: 3, availableReplicas: 1}": Lacking(
        "1 of 3 updated replicas are available"
    ),
    "{observedGeneration: 2, replicas: 3, updatedReplicas: 3, availableReplicas: 3}": RolledOut(),
    f"{{observedGeneration: 2, conditions: [{LATE}]}}": Failed("exceeded its progress deadline: m"),
}


@pytest.mark.parametrize(("status", "standing"), DEPLOYMENT.items(), ids=str)
def test_deployments(status: str, standing: Standing) -> None:
    """The rules of kubectl, one by one."""
    assert standing_of(made("Deployment", "{replicas: 3}", status)) == standing


@pytest.mark.parametrize(
    ("kind", "spec", "status", "standing"),
    [
        (
            "StatefulSet",
            "{replicas: 2}",
            "{observedGeneration: 2, readyReplicas: 1}",
            Lacking("1 of 2 pods are ready"),
        ),
        (
            "StatefulSet",
            "{replicas: 2}",
            "{observedGeneration: 2, readyReplicas: 2, updatedReplicas: 1, updateRevision: b, currentRevision: a}",
            Lacking("1 of 2 pods are at revision b"),
        ),
        (
            "StatefulSet",
            "{replicas: 3, updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 2}}}",
            "{observedGeneration: 2, readyReplicas: 3, updatedReplicas: 1, updateRevision: b, currentRevision: a}",
            RolledOut(),
        ),
        ("StatefulSet", "{replicas: 2, updateStrategy: {type: OnDelete}}", "{}", RolledOut()),
        (
            "DaemonSet",
            "{}",
            "{observedGeneration: 2, desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 2}",
            Lacking("2 of 3 updated pods are available"),
        ),
        ("Job", "{completions: 2}", "{succeeded: 1}", Lacking("1 of 2 pods have succeeded")),
        ("Job", "{}", "{conditions: [{type: Complete, status: 'True'}]}", RolledOut()),
        (
            "Job",
            "{}",
            "{conditions: [{type: Failed, status: 'True', reason: BackoffLimitExceeded, message: too often}]}",
            Failed("failed: BackoffLimitExceeded: too often"),
        ),
        ("Job", "{suspend: true}", "{}", RolledOut()),
    ],
)
def test_other_workloads(kind: str, spec: str, status: str, standing: Standing) -> None:
    """StatefulSets by partition and revision, DaemonSets by node, Jobs by their conditions."""
    assert standing_of(made(kind, spec, status)) == standing


CRASHING = """
conditions: [{type: Ready, status: "False", reason: ContainersNotReady}]
containerStatuses: [{name: app, ready: false, state: {waiting: {reason: CrashLoopBackOff, message: back-off 10s}}}]
"""


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (CRASHING, "CrashLoopBackOff: back-off 10s"),
        (
            "{conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: 0/3 nodes}]}",
            "Unschedulable: 0/3 nodes",
        ),
        ("{conditions: [{type: Ready, status: 'True'}]}", ""),
        ("{}", "it is not ready"),
    ],
)
def test_a_pod_says_why_it_is_not_ready(status: str, why: str) -> None:
    """In the words of the scheduler or the kubelet."""
    assert lament(made("Pod", "{}", status)) == why


SELECTING = "{replicas: 3, selector: {matchLabels: {app: reviews}}}"
BEHIND = "{observedGeneration: 2, replicas: 3, updatedReplicas: 3, availableReplicas: 1}"
UP = "{observedGeneration: 2, replicas: 3, updatedReplicas: 3, availableReplicas: 3}"


async def test_a_workload_is_waited_for_and_named_with_the_reason_of_its_pod() -> None:
    """Who looks at the rollout need not look for the pod."""
    behind, pod = made("Deployment", SELECTING, BEHIND), made("Pod", "{}", CRASHING, "reviews-v2-abc")
    clock, cluster, events = JumpingClock(), MemoryCluster([], [behind]), list[Event]()
    cluster.objects[pod.id] = pod
    readiness = Readiness(cluster, clock, events.append)
    told = (
        "deployment shop/reviews-v2: 1 of 3 updated replicas are available: "
        "pod reviews-v2-abc: CrashLoopBackOff: back-off 10s"
    )
    with pytest.raises(BarrierTimeoutError, match="1 of 1 workloads is not rolled out") as caught:
        await readiness.wait(2, [behind.id], patience=5.0)
    assert caught.value.stragglers == (told,)
    waiting = asyncio.create_task(readiness.wait(2, [behind.id], patience=60.0))
    await clock.sleep(2.0)
    cluster.objects[behind.id] = made("Deployment", SELECTING, UP)
    await waiting
    assert [(e.ready, e.total) for e in events if isinstance(e, WorkloadsAwaited)] == [(0, 1), (0, 1), (1, 1)]


async def test_a_deployment_past_its_deadline_is_a_failure_at_once() -> None:
    """In the server's words, and long before the barrier's own patience ends."""
    failed = made("Deployment", SELECTING, f"{{observedGeneration: 2, conditions: [{LATE}]}}")
    clock = JumpingClock()
    with pytest.raises(WorkloadFailedError, match="exceeded its progress deadline: m"):
        await Readiness(MemoryCluster([], [failed]), clock, lambda _: None).wait(1, [failed.id], patience=300.0)
    assert clock.now() < 1.0
