"""Workloads in, pods out."""

from __future__ import annotations

from typing import Any

import yaml

from safeapply.sandbox.pods import (
    address,
    crashing,
    is_ready,
    outside_backends,
    owner_uid,
    pods_of_workload,
    ports_by_name,
    status_of_pod,
    status_of_workload,
)

WORKLOAD = """
apiVersion: apps/v1
kind: %s
metadata: {name: reviews, namespace: shop, uid: u-1, generation: 3}
spec:
  replicas: 2
  template:
    metadata: {labels: {app: reviews, version: v1}}
    spec: {containers: [{name: app, ports: [{name: web, containerPort: 8080}]}]}
"""


def _workload(kind: str = "Deployment") -> Any:
    return yaml.safe_load(WORKLOAD % kind)


def test_a_deployment_has_as_many_pods_as_replicas_with_the_labels_of_its_template() -> None:
    """Each pod carries the template's hash and names its owner."""
    pods = pods_of_workload(_workload())
    assert len({pod["metadata"]["name"] for pod in pods}) == 2
    for pod in pods:
        assert pod["metadata"]["labels"].items() >= {"app": "reviews", "version": "v1"}.items()
        assert owner_uid(pod) == "u-1"


def test_a_changed_template_means_other_pods() -> None:
    """Old and new pods of a Deployment can stand side by side while it rolls."""
    changed = _workload()
    changed["spec"]["template"]["metadata"]["labels"]["version"] = "v2"
    names = [{pod["metadata"]["name"] for pod in pods_of_workload(one)} for one in (_workload(), changed)]
    assert names[0].isdisjoint(names[1])


def test_stateful_pods_keep_their_names_and_one_node_has_one_daemon() -> None:
    """Names and counts are those of Kubernetes."""
    assert [pod["metadata"]["name"] for pod in pods_of_workload(_workload("StatefulSet"))] == [
        "reviews-0",
        "reviews-1",
    ]
    assert len(pods_of_workload(_workload("DaemonSet"))) == 1


def test_a_pod_listens_where_its_containers_and_services_say() -> None:
    """A Service's target port may be a number, a container port's name, or be left out."""
    pod = pods_of_workload(_workload())[0]
    services = list(
        yaml.safe_load_all("""
metadata: {namespace: shop}
spec: {selector: {app: reviews}, ports: [{port: 80, targetPort: web}, {port: 81, targetPort: 9090}, {port: 82}]}
---
metadata: {namespace: shop}
spec: {selector: {app: reviews, version: v2}, ports: [{port: 1}]}
---
metadata: {namespace: elsewhere}
spec: {selector: {app: reviews}, ports: [{port: 2}]}
---
metadata: {namespace: shop}
spec: {selector: {app: reviews}, ports: [{port: 3, targetPort: nobody}]}
""")
    )
    assert set(ports_by_name(pod, services).values()) == {8080, 9090, 82}


def test_a_deployment_reports_what_rollout_status_waits_for() -> None:
    """Ready pods of the newest template count as updated and available."""
    workload = _workload()
    pods = [{**pod, "status": status_of_pod("10.64.0.1", ready=True)} for pod in pods_of_workload(workload)]
    assert all(map(is_ready, pods))
    status = dict(status_of_workload(workload, pods))
    assert [one["reason"] for one in status.pop("conditions")] == ["NewReplicaSetAvailable"]
    assert status == {
        "observedGeneration": 3,
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
    }


def test_a_container_whose_command_is_false_is_never_ready() -> None:
    """Its Deployment says so when its deadline is over, in the words of Kubernetes."""
    workload = _workload()
    pod = {**pods_of_workload(workload)[0], "status": status_of_pod("10.64.0.1", ready=False, ended=["app"])}
    assert crashing({"spec": {"containers": [{"name": "app", "command": ["false"]}]}}) == ("app",)
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    reasons = [status_of_workload(workload, [pod], late=late)["conditions"][0]["reason"] for late in (False, True)]
    assert reasons == ["ReplicaSetUpdated", "ProgressDeadlineExceeded"]


def test_addresses_differ() -> None:
    """Ten thousand pods have ten thousand addresses, all of them well-formed."""
    addresses = {address(number) for number in range(1, 10_001)}
    assert len(addresses) == 10_000
    assert all(0 <= int(part) <= 255 for one in addresses for part in one.split("."))


def test_what_entries_name_beside_pods() -> None:
    """Static endpoints answer on their own ports; a host without endpoints is resolved by its name."""
    entries = list(
        yaml.safe_load_all("""
spec:
  hosts: [db.example]
  ports: [{number: 3306, name: tcp, protocol: TCP}, {number: 80, name: http, targetPort: 8080}]
  endpoints: [{address: 10.1.1.1}, {address: 10.1.1.2, ports: {tcp: 13306}}]
---
spec: {hosts: [api.example], ports: [{number: 443, name: tls}]}
---
spec: {address: 10.1.1.3, ports: {http: 8080}}
""")
    )
    assert outside_backends(entries) == {
        ("10.1.1.1", 3306), ("10.1.1.1", 8080), ("10.1.1.2", 13306), ("10.1.1.2", 8080),
        ("api.example", 443), ("10.1.1.3", 8080),
    }  # fmt: skip
