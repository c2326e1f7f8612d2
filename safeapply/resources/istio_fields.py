"""The fields of Istio's kinds that safeapply reads, and their types, as Istio's CRDs have them."""

from __future__ import annotations

from typing import Literal

from safeapply.resources.fields import Manifest, Model, PortKey

__all__ = [
    "DestinationRule",
    "Gateway",
    "PeerAuthentication",
    "ServiceEntry",
    "Sidecar",
    "VirtualService",
]


class _Number(Model):
    number: int | None = None


class _Percent(Model):
    value: float | None = None


class _Destination(Model):
    host: str
    subset: str | None = None
    port: _Number | None = None


class _Weighted(Model):
    destination: _Destination
    weight: int | None = None


class _Mirror(Model):
    destination: _Destination
    percentage: _Percent | None = None


class _Delegate(Model):
    name: str | None = None
    namespace: str | None = None


class _Match(Model):
    gateways: list[str] | None = None
    port: int | None = None
    source_labels: dict[str, str] | None = None
    source_namespace: str | None = None
    sni_hosts: list[str] | None = None


class _HttpRoute(Model):
    name: str | None = None
    match: list[_Match] | None = None
    route: list[_Weighted] | None = None
    delegate: _Delegate | None = None
    mirror: _Destination | None = None
    mirrors: list[_Mirror] | None = None
    mirror_percent: int | None = None
    mirror_percentage: _Percent | None = None


class _StreamRoute(Model):
    match: list[_Match] | None = None
    route: list[_Weighted] | None = None


class _VirtualServiceSpec(Model):
    hosts: list[str] | None = None
    gateways: list[str] | None = None
    export_to: list[str] | None = None
    http: list[_HttpRoute] | None = None
    tls: list[_StreamRoute] | None = None
    tcp: list[_StreamRoute] | None = None


class VirtualService(Manifest):
    """Where requests go."""

    spec: _VirtualServiceSpec | None = None


class _MatchLabels(Model):
    match_labels: dict[str, str] | None = None


class _ClientTls(Model):
    mode: Literal["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"] | None = None


class _PortPolicy(Model):
    port: _Number | None = None
    tls: _ClientTls | None = None


class _TrafficPolicy(Model):
    tls: _ClientTls | None = None
    port_level_settings: list[_PortPolicy] | None = None


class _Subset(Model):
    name: str
    labels: dict[str, str] | None = None
    traffic_policy: _TrafficPolicy | None = None


class _DestinationRuleSpec(Model):
    host: str
    export_to: list[str] | None = None
    workload_selector: _MatchLabels | None = None
    subsets: list[_Subset] | None = None
    traffic_policy: _TrafficPolicy | None = None


class DestinationRule(Manifest):
    """The subsets of a host, and how they are called."""

    spec: _DestinationRuleSpec | None = None


class _GatewayPort(Model):
    number: int
    protocol: str | None = None
    name: str | None = None


class _ServerTls(Model):
    mode: str | None = None


class _Server(Model):
    port: _GatewayPort
    hosts: list[str]
    tls: _ServerTls | None = None


class _GatewaySpec(Model):
    selector: dict[str, str] | None = None
    servers: list[_Server] | None = None


class Gateway(Manifest):
    """What a gateway listens for."""

    spec: _GatewaySpec | None = None


class _EntryPort(Model):
    number: int
    name: str | None = None
    protocol: str | None = None
    target_port: int | None = None


class _Endpoint(Model):
    address: str | None = None
    ports: dict[str, int] | None = None
    labels: dict[str, str] | None = None


class _LabelSelector(Model):
    labels: dict[str, str] | None = None


class _ServiceEntrySpec(Model):
    hosts: list[str]
    addresses: list[str] | None = None
    ports: list[_EntryPort] | None = None
    location: str | None = None
    resolution: str | None = None
    endpoints: list[_Endpoint] | None = None
    workload_selector: _LabelSelector | None = None
    export_to: list[str] | None = None


class ServiceEntry(Manifest):
    """Hosts that are no Services."""

    spec: _ServiceEntrySpec | None = None


class _Egress(Model):
    hosts: list[str]
    port: _Number | None = None


class _SidecarSpec(Model):
    workload_selector: _LabelSelector | None = None
    egress: list[_Egress] | None = None


class Sidecar(Manifest):
    """What the proxies of a namespace know of."""

    spec: _SidecarSpec | None = None


class _ServerMtls(Model):
    mode: Literal["UNSET", "DISABLE", "PERMISSIVE", "STRICT"] | None = None


class _PeerAuthenticationSpec(Model):
    selector: _MatchLabels | None = None
    mtls: _ServerMtls | None = None
    port_level_mtls: dict[PortKey, _ServerMtls] | None = None


class PeerAuthentication(Manifest):
    """Whether servers want mutual TLS."""

    spec: _PeerAuthenticationSpec | None = None
