"""The fields that safeapply reads, and their types, as the CRDs of Istio and Kubernetes have them.

Whatever is not listed here passes unread: the API server judges it. What is listed and of the wrong type would
make us misjudge the mesh, so it is a fault. ``resources.shapes`` holds documents against these.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from safeapply.resources.objects import GroupKind

__all__ = ["Manifest", "model_of"]


class _Model(msgspec.Struct, rename="camel", gc=False):
    """A mapping: fields without default are required, null is as good as absent, unknown fields are ignored."""


class _Ownership(_Model):
    manager: str | None = None
    operation: str | None = None
    subresource: str | None = None
    fields: dict[str, Any] | None = msgspec.field(default=None, name="fieldsV1")


class _Metadata(_Model):
    name: str | None = None
    generate_name: str | None = None
    namespace: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    uid: str | None = None
    resource_version: str | None = None
    managed_fields: list[_Ownership] | None = None
    owner_references: list[dict[str, Any]] | None = None


class Manifest(_Model):
    """What every object has."""

    api_version: str | None = None
    kind: str | None = None
    metadata: _Metadata | None = None


class _Number(_Model):
    number: int | None = None


class _Percent(_Model):
    value: float | None = None


class _Destination(_Model):
    host: str
    subset: str | None = None
    port: _Number | None = None


class _Weighted(_Model):
    destination: _Destination
    weight: int | None = None


class _Mirror(_Model):
    destination: _Destination
    percentage: _Percent | None = None


class _Delegate(_Model):
    name: str | None = None
    namespace: str | None = None


class _Match(_Model):
    gateways: list[str] | None = None
    port: int | None = None
    source_labels: dict[str, str] | None = None
    source_namespace: str | None = None
    sni_hosts: list[str] | None = None


class _HttpRoute(_Model):
    name: str | None = None
    match: list[_Match] | None = None
    route: list[_Weighted] | None = None
    delegate: _Delegate | None = None
    mirror: _Destination | None = None
    mirrors: list[_Mirror] | None = None
    mirror_percent: int | None = None
    mirror_percentage: _Percent | None = None


class _StreamRoute(_Model):
    match: list[_Match] | None = None
    route: list[_Weighted] | None = None


class _VirtualServiceSpec(_Model):
    hosts: list[str] | None = None
    gateways: list[str] | None = None
    export_to: list[str] | None = None
    http: list[_HttpRoute] | None = None
    tls: list[_StreamRoute] | None = None
    tcp: list[_StreamRoute] | None = None


class _VirtualService(Manifest):
    spec: _VirtualServiceSpec | None = None


class _MatchLabels(_Model):
    match_labels: dict[str, str] | None = None


class _ClientTls(_Model):
    mode: Literal["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"] | None = None


class _PortPolicy(_Model):
    port: _Number | None = None
    tls: _ClientTls | None = None


class _TrafficPolicy(_Model):
    tls: _ClientTls | None = None
    port_level_settings: list[_PortPolicy] | None = None


class _Subset(_Model):
    name: str
    labels: dict[str, str] | None = None
    traffic_policy: _TrafficPolicy | None = None


class _DestinationRuleSpec(_Model):
    host: str
    export_to: list[str] | None = None
    workload_selector: _MatchLabels | None = None
    subsets: list[_Subset] | None = None
    traffic_policy: _TrafficPolicy | None = None


class _DestinationRule(Manifest):
    spec: _DestinationRuleSpec | None = None


class _GatewayPort(_Model):
    number: int
    protocol: str | None = None
    name: str | None = None


class _ServerTls(_Model):
    mode: str | None = None


class _Server(_Model):
    port: _GatewayPort
    hosts: list[str]
    tls: _ServerTls | None = None


class _GatewaySpec(_Model):
    selector: dict[str, str] | None = None
    servers: list[_Server] | None = None


class _Gateway(Manifest):
    spec: _GatewaySpec | None = None


class _EntryPort(_Model):
    number: int
    name: str | None = None
    protocol: str | None = None
    target_port: int | None = None


class _Endpoint(_Model):
    address: str | None = None
    ports: dict[str, int] | None = None
    labels: dict[str, str] | None = None


class _LabelSelector(_Model):
    labels: dict[str, str] | None = None


class _ServiceEntrySpec(_Model):
    hosts: list[str]
    addresses: list[str] | None = None
    ports: list[_EntryPort] | None = None
    location: str | None = None
    resolution: str | None = None
    endpoints: list[_Endpoint] | None = None
    workload_selector: _LabelSelector | None = None
    export_to: list[str] | None = None


class _ServiceEntry(Manifest):
    spec: _ServiceEntrySpec | None = None


class _Egress(_Model):
    hosts: list[str]
    port: _Number | None = None


class _SidecarSpec(_Model):
    workload_selector: _LabelSelector | None = None
    egress: list[_Egress] | None = None


class _Sidecar(Manifest):
    spec: _SidecarSpec | None = None


class _ServerMtls(_Model):
    mode: Literal["UNSET", "DISABLE", "PERMISSIVE", "STRICT"] | None = None


class _PeerAuthenticationSpec(_Model):
    selector: _MatchLabels | None = None
    mtls: _ServerMtls | None = None
    port_level_mtls: dict[str | int, _ServerMtls] | None = None


class _PeerAuthentication(Manifest):
    spec: _PeerAuthenticationSpec | None = None


class _ServicePort(_Model):
    port: int
    name: str | None = None
    protocol: str | None = None
    app_protocol: str | None = None
    target_port: int | str | None = None


class _ServiceSpec(_Model):
    type: str | None = None
    external_name: str | None = None
    cluster_ip: str | None = msgspec.field(name="clusterIP", default=None)
    ports: list[_ServicePort] | None = None
    selector: dict[str, str] | None = None


class _Service(Manifest):
    spec: _ServiceSpec | None = None


class _Container(_Model):
    name: str | None = None
    args: list[str] | None = None


class _PodSpec(_Model):
    containers: list[_Container] | None = None
    init_containers: list[_Container] | None = None


class _Pod(Manifest):
    spec: _PodSpec | None = None


class _PodTemplate(_Model):
    metadata: _Metadata | None = None
    spec: _PodSpec | None = None


class _WorkloadSpec(_Model):
    replicas: int | None = None
    template: _PodTemplate | None = None


class _Workload(Manifest):
    spec: _WorkloadSpec | None = None


_NETWORKING = "networking.istio.io"
_MODELS: dict[GroupKind, type[Manifest]] = {
    GroupKind(_NETWORKING, "VirtualService"): _VirtualService,
    GroupKind(_NETWORKING, "DestinationRule"): _DestinationRule,
    GroupKind(_NETWORKING, "Gateway"): _Gateway,
    GroupKind(_NETWORKING, "ServiceEntry"): _ServiceEntry,
    GroupKind(_NETWORKING, "Sidecar"): _Sidecar,
    GroupKind("security.istio.io", "PeerAuthentication"): _PeerAuthentication,
    GroupKind("", "Service"): _Service,
    GroupKind("", "Pod"): _Pod,
    GroupKind("apps", "Deployment"): _Workload,
    GroupKind("apps", "StatefulSet"): _Workload,
    GroupKind("apps", "DaemonSet"): _Workload,
}


def model_of(kind: GroupKind) -> type[Manifest] | None:
    """Return the typed fields of a kind, or None where only its metadata is read."""
    return _MODELS.get(kind)
