"""The kinds that the API server knows from the start: those that a mesh and its workloads are made of. Pure.

Names, versions, columns and mergeable lists are those of Kubernetes 1.36, Istio 1.31 and Gateway API 1.6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from safeapply.sandbox.apiserver.kinds import META_LISTS, Column, Kind, ListKeys

__all__ = ["BUILT_IN"]

_CONDITIONS: Final[ListKeys] = {**META_LISTS, "conditions": ("type",)}
_POD: Final[ListKeys] = {
    **_CONDITIONS,
    "containers": ("name",),
    "env": ("name",),
    "ephemeralContainers": ("name",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "podIPs": ("ip",),
    "ports": ("containerPort", "protocol"),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
_SERVICE: Final[ListKeys] = {**_CONDITIONS, "ports": ("port", "protocol")}
_SECRETS: Final[ListKeys] = {**META_LISTS, "secrets": ("name",), "imagePullSecrets": ("name",)}
_NAMED_PORTS: Final[ListKeys] = {**META_LISTS, "ports": ("name",)}
_NAMED_VARIABLES: Final[ListKeys] = {**META_LISTS, "env": ("name",)}
_LISTENERS: Final[ListKeys] = {**_CONDITIONS, "listeners": ("name",)}

_ALL: Final = ("all",)
_GATEWAY_API: Final = ("gateway-api",)

_PHASE: Final[tuple[Column, ...]] = (("Status", "status.phase"),)
_POD_COLUMNS: Final[tuple[Column, ...]] = (*_PHASE, ("IP", "status.podIP"))
_SERVICE_COLUMNS: Final[tuple[Column, ...]] = (
    ("Type", "spec.type"),
    ("Cluster-IP", "spec.clusterIP"),
    ("Port(s)", "spec.ports.port"),
)
_REPLICAS: Final[tuple[Column, ...]] = (("Desired", "spec.replicas"), ("Ready", "status.readyReplicas"))
_HOSTS: Final[Column] = ("Hosts", "spec.hosts")
_HOSTNAMES: Final[tuple[Column, ...]] = (("Hostnames", "spec.hostnames"),)

_CORE: Final = (
    Kind("", ("v1",), "ConfigMap", "configmaps", ("cm",)),
    Kind("", ("v1",), "Endpoints", "endpoints", ("ep",)),
    Kind("", ("v1",), "Event", "events", ("ev",)),
    Kind("", ("v1",), "LimitRange", "limitranges", ("limits",)),
    Kind("", ("v1",), "Namespace", "namespaces", ("ns",), namespaced=False, lists=_CONDITIONS, columns=_PHASE),
    Kind("", ("v1",), "Node", "nodes", ("no",), namespaced=False, lists=_CONDITIONS),
    Kind("", ("v1",), "PersistentVolume", "persistentvolumes", ("pv",), namespaced=False),
    Kind("", ("v1",), "PersistentVolumeClaim", "persistentvolumeclaims", ("pvc",), lists=_CONDITIONS),
    Kind("", ("v1",), "Pod", "pods", ("po",), lists=_POD, columns=_POD_COLUMNS, categories=_ALL),
    Kind("", ("v1",), "ResourceQuota", "resourcequotas", ("quota",)),
    Kind("", ("v1",), "Secret", "secrets"),
    Kind("", ("v1",), "Service", "services", ("svc",), lists=_SERVICE, columns=_SERVICE_COLUMNS, categories=_ALL),
    Kind("", ("v1",), "ServiceAccount", "serviceaccounts", ("sa",), lists=_SECRETS),
)
_WORKLOADS: Final = (
    Kind(
        "apps",
        ("v1",),
        "ControllerRevision",
        "controllerrevisions",
        columns=(("Revision", "revision"),),
        atomic=frozenset({"data"}),
    ),
    Kind("apps", ("v1",), "DaemonSet", "daemonsets", ("ds",), lists=_POD),
    Kind("apps", ("v1",), "Deployment", "deployments", ("deploy",), lists=_POD, columns=_REPLICAS),
    Kind("apps", ("v1",), "ReplicaSet", "replicasets", ("rs",), lists=_POD, columns=_REPLICAS),
    Kind("apps", ("v1",), "StatefulSet", "statefulsets", ("sts",), lists=_POD, columns=_REPLICAS),
    Kind("autoscaling", ("v2", "v1"), "HorizontalPodAutoscaler", "horizontalpodautoscalers", ("hpa",)),
    Kind("batch", ("v1",), "CronJob", "cronjobs", ("cj",), lists=_POD),
    Kind("batch", ("v1",), "Job", "jobs", lists=_POD),
)
_OTHERS: Final = (
    Kind(
        "apiextensions.k8s.io",
        ("v1",),
        "CustomResourceDefinition",
        "customresourcedefinitions",
        ("crd", "crds"),
        namespaced=False,
        lists=_CONDITIONS,
    ),
    Kind("coordination.k8s.io", ("v1",), "Lease", "leases", columns=(("Holder", "spec.holderIdentity"),)),
    Kind("discovery.k8s.io", ("v1",), "EndpointSlice", "endpointslices"),
    Kind("events.k8s.io", ("v1",), "Event", "events", ("ev",)),
    Kind("networking.k8s.io", ("v1",), "Ingress", "ingresses", ("ing",)),
    Kind("networking.k8s.io", ("v1",), "IngressClass", "ingressclasses", namespaced=False),
    Kind("networking.k8s.io", ("v1",), "NetworkPolicy", "networkpolicies", ("netpol",)),
    Kind("policy", ("v1",), "PodDisruptionBudget", "poddisruptionbudgets", ("pdb",), lists=_CONDITIONS),
    Kind("rbac.authorization.k8s.io", ("v1",), "ClusterRole", "clusterroles", namespaced=False),
    Kind("rbac.authorization.k8s.io", ("v1",), "ClusterRoleBinding", "clusterrolebindings", namespaced=False),
    Kind("rbac.authorization.k8s.io", ("v1",), "Role", "roles"),
    Kind("rbac.authorization.k8s.io", ("v1",), "RoleBinding", "rolebindings"),
)


def _istio() -> Iterator[Kind]:
    group, all_three = "networking.istio.io", ("v1", "v1beta1", "v1alpha3")
    yield Kind(group, all_three, "DestinationRule", "destinationrules", ("dr",), columns=(("Host", "spec.host"),))
    yield Kind(group, ("v1alpha3",), "EnvoyFilter", "envoyfilters")
    yield Kind(group, all_three, "Gateway", "gateways", ("gw",))
    yield Kind(group, ("v1beta1",), "ProxyConfig", "proxyconfigs")
    yield Kind(
        group,
        all_three,
        "ServiceEntry",
        "serviceentries",
        ("se",),
        lists=_NAMED_PORTS,
        columns=(_HOSTS, ("Location", "spec.location"), ("Resolution", "spec.resolution")),
    )
    yield Kind(group, all_three, "Sidecar", "sidecars")
    routes = (("Gateways", "spec.gateways"), _HOSTS)
    yield Kind(group, all_three, "VirtualService", "virtualservices", ("vs",), columns=routes)
    yield Kind(
        group, all_three, "WorkloadEntry", "workloadentries", ("we",), columns=(("Address", "spec.address"),)
    )
    yield Kind(group, all_three, "WorkloadGroup", "workloadgroups", ("wg",))
    yield Kind("extensions.istio.io", ("v1alpha1",), "WasmPlugin", "wasmplugins", lists=_NAMED_VARIABLES)
    group, both = "security.istio.io", ("v1", "v1beta1")
    action, mode = ("Action", "spec.action"), ("Mode", "spec.mtls.mode")
    yield Kind(group, both, "AuthorizationPolicy", "authorizationpolicies", ("ap",), columns=(action,))
    yield Kind(group, both, "PeerAuthentication", "peerauthentications", ("pa",), columns=(mode,))
    yield Kind(group, both, "RequestAuthentication", "requestauthentications", ("ra",))
    yield Kind("telemetry.istio.io", ("v1", "v1alpha1"), "Telemetry", "telemetries", ("telemetry",))


def _gateway_api() -> Iterator[Kind]:
    group, both = "gateway.networking.k8s.io", ("v1", "v1beta1")
    yield Kind(group, both, "Gateway", "gateways", ("gtw",), lists=_LISTENERS)
    yield Kind(group, both, "GatewayClass", "gatewayclasses", ("gc",), namespaced=False, lists=_CONDITIONS)
    yield Kind(group, ("v1",), "GRPCRoute", "grpcroutes", lists=_CONDITIONS, columns=_HOSTNAMES)
    yield Kind(group, both, "HTTPRoute", "httproutes", lists=_CONDITIONS, columns=_HOSTNAMES)
    yield Kind(group, ("v1beta1",), "ReferenceGrant", "referencegrants", ("refgrant",))
    yield Kind(group, ("v1alpha2",), "TCPRoute", "tcproutes", lists=_CONDITIONS)
    yield Kind(group, ("v1alpha2",), "TLSRoute", "tlsroutes", lists=_CONDITIONS)


BUILT_IN: Final = (
    *_CORE,
    *(replace(kind, categories=_ALL) for kind in _WORKLOADS),
    *_OTHERS,
    *(replace(kind, custom=True, categories=("istio-io", kind.group.replace(".", "-"))) for kind in _istio()),
    *(replace(kind, custom=True, categories=_GATEWAY_API) for kind in _gateway_api()),
)
"""Every kind that needs no definition."""
