"""Which kinds safeapply reads fields of, and which: of any other it reads the metadata alone."""

from __future__ import annotations

from safeapply.resources.fields import Manifest
from safeapply.resources.istio_fields import (
    DestinationRule,
    Gateway,
    PeerAuthentication,
    ServiceEntry,
    Sidecar,
    VirtualService,
)
from safeapply.resources.kubernetes_fields import Pod, Service, Workload
from safeapply.resources.objects import GroupKind

__all__ = ["Manifest", "model_of"]

_NETWORKING = "networking.istio.io"
_MODELS: dict[GroupKind, type[Manifest]] = {
    GroupKind(_NETWORKING, "VirtualService"): VirtualService,
    GroupKind(_NETWORKING, "DestinationRule"): DestinationRule,
    GroupKind(_NETWORKING, "Gateway"): Gateway,
    GroupKind(_NETWORKING, "ServiceEntry"): ServiceEntry,
    GroupKind(_NETWORKING, "Sidecar"): Sidecar,
    GroupKind("security.istio.io", "PeerAuthentication"): PeerAuthentication,
    GroupKind("", "Service"): Service,
    GroupKind("", "Pod"): Pod,
    GroupKind("apps", "Deployment"): Workload,
    GroupKind("apps", "StatefulSet"): Workload,
    GroupKind("apps", "DaemonSet"): Workload,
}


def model_of(kind: GroupKind) -> type[Manifest] | None:
    """Return the typed fields of a kind, or None where only its metadata is read."""
    return _MODELS.get(kind)
