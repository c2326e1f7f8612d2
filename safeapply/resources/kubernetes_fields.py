"""The fields of Kubernetes' own kinds that safeapply reads, and their types, as its API has them."""

from __future__ import annotations

import msgspec

from safeapply.resources.fields import Manifest, Metadata, Model

__all__ = ["Pod", "Service", "Workload"]


class _ServicePort(Model):
    port: int
    name: str | None = None
    protocol: str | None = None
    app_protocol: str | None = None
    target_port: int | str | None = None


class _ServiceSpec(Model):
    type: str | None = None
    external_name: str | None = None
    cluster_ip: str | None = msgspec.field(name="clusterIP", default=None)
    ports: list[_ServicePort] | None = None
    selector: dict[str, str] | None = None


class Service(Manifest):
    """A host of the cluster."""

    spec: _ServiceSpec | None = None


class _Container(Model):
    name: str | None = None
    args: list[str] | None = None


class _PodSpec(Model):
    containers: list[_Container] | None = None
    init_containers: list[_Container] | None = None


class Pod(Manifest):
    """A workload itself."""

    spec: _PodSpec | None = None


class _PodTemplate(Model):
    metadata: Metadata | None = None
    spec: _PodSpec | None = None


class _WorkloadSpec(Model):
    replicas: int | None = None
    template: _PodTemplate | None = None


class Workload(Manifest):
    """What makes pods: Deployment, StatefulSet and DaemonSet."""

    spec: _WorkloadSpec | None = None
