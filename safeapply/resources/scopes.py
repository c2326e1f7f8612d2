"""Which kinds stand outside namespaces, as far as one can know without a cluster."""

from __future__ import annotations

from typing import Final

from safeapply.resources.objects import GroupKind

__all__ = ["is_namespaced"]

_KINDS_BY_GROUP: Final[dict[str, tuple[str, ...]]] = {
    "": ("ComponentStatus", "Namespace", "Node", "PersistentVolume"),
    "admissionregistration.k8s.io": (
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
    ),
    "apiextensions.k8s.io": ("CustomResourceDefinition",),
    "apiregistration.k8s.io": ("APIService",),
    "cert-manager.io": ("ClusterIssuer",),
    "certificates.k8s.io": ("CertificateSigningRequest", "ClusterTrustBundle"),
    "flowcontrol.apiserver.k8s.io": ("FlowSchema", "PriorityLevelConfiguration"),
    "gateway.networking.k8s.io": ("GatewayClass",),
    "networking.k8s.io": ("IPAddress", "IngressClass", "ServiceCIDR"),
    "node.k8s.io": ("RuntimeClass",),
    "rbac.authorization.k8s.io": ("ClusterRole", "ClusterRoleBinding"),
    "resource.k8s.io": ("DeviceClass", "ResourceSlice"),
    "scheduling.k8s.io": ("PriorityClass",),
    "storage.k8s.io": ("CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"),
}
_CLUSTER_SCOPED: Final = frozenset(
    GroupKind(group, kind) for group, kinds in _KINDS_BY_GROUP.items() for kind in kinds
)


def is_namespaced(kind: GroupKind) -> bool:
    """Tell whether objects of a kind stand in namespaces; kinds that are not built in are taken to."""
    return kind not in _CLUSTER_SCOPED
