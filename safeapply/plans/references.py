"""What an object names, read from its fields: ``serviceAccountName``, ``credentialName``, any ``{kind, name}``.

Who names whom decides the order of all kinds that no route is evaluated for. A table says which field of a kind
holds a name and of what; whatever looks like an ObjectReference is one, in any kind. No field is believed to have
its type, for only Istio's own kinds have been checked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from safeapply.istio.kinds import DESTINATION_RULE, GATEWAY, POD, ROUTING_KINDS, SERVICE, WORKLOAD_KINDS
from safeapply.resources.objects import Document, GroupKind, Namespace, Resource, ResourceId

__all__ = ["CONFIG_MAP", "KUBERNETES_GATEWAY", "ROUTE_KINDS", "SECRET", "Directory", "Named", "named_by", "values"]

GATEWAY_API = "gateway.networking.k8s.io"
KUBERNETES_GATEWAY = GroupKind(GATEWAY_API, "Gateway")
ROUTE_KINDS = tuple(
    GroupKind(GATEWAY_API, kind) for kind in ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute")
)
SECRET = GroupKind("", "Secret")
CONFIG_MAP = GroupKind("", "ConfigMap")
SERVICE_ACCOUNT = GroupKind("", "ServiceAccount")
CLAIM = GroupKind("", "PersistentVolumeClaim")
STORAGE_CLASS = GroupKind("storage.k8s.io", "StorageClass")


@dataclass(frozen=True, slots=True)
class Named:
    """Another object, as far as the one that names it says which."""

    kind: str
    name: str
    namespace: Namespace | None
    """None where it may be any: a Gateway's Secret is looked for where its pods run."""
    group: str | None = None
    """None where it is not said."""


class Directory:
    """The objects that can be named, found by what is said of them."""

    def __init__(self, objects: Iterable[ResourceId]) -> None:
        self._named: dict[tuple[str, str], list[ResourceId]] = defaultdict(list)
        for one in objects:
            self._named[one.kind, one.name].append(one)

    def find(self, named: Named) -> Iterator[ResourceId]:
        """Yield the objects that this can mean."""
        for one in self._named.get((named.kind, named.name), ()):
            near = not one.namespace or named.namespace in {None, one.namespace}
            if near and named.group in {None, one.group}:
                yield one


Path: TypeAlias = tuple[str, ...]
"""Names of fields; ``[]`` stands for every item of a list."""


@dataclass(frozen=True, slots=True)
class _Field:
    """A field that holds a name, or a mapping with ``name`` and perhaps ``namespace``, ``kind`` and ``group``."""

    path: Path
    kind: GroupKind


def named_by(resource: Resource) -> frozenset[Named]:
    """Return all that an object names; never itself."""
    kind, own = resource.id.group_kind, resource.id.namespace
    found = {n for field in _FIELDS.get(kind, ()) for n in _read(field, resource.document, own)}
    found.update(n for path in _CREDENTIALS.get(kind, ()) for n in _credentials(resource, path))
    if kind not in _SILENT:
        found.update(_references(resource))
    return frozenset(one for one in found if (one.kind, one.name) != (resource.id.kind, resource.id.name))


def values(document: object, path: Path) -> list[Any]:
    """Return whatever stands at a path; nothing where the document has another shape."""
    found: list[Any] = [document]
    for part in path:
        if part == "[]":
            found = [item for one in found if isinstance(one, list) for item in one]
        else:
            found = [one[part] for one in found if isinstance(one, Mapping) and part in one]
    return found


def _read(field: _Field, document: Document, own: Namespace) -> Iterator[Named]:
    for value in values(document, field.path):
        if isinstance(value, Mapping) and isinstance(value.get("name"), str):
            group, kind = value.get("group", field.kind.group), value.get("kind", field.kind.kind)
            yield Named(str(kind), value["name"], _namespace(value, own), str(group))
        elif isinstance(value, str):
            yield Named(field.kind.kind, value, own, field.kind.group)


def _credentials(resource: Resource, path: Path) -> Iterator[Named]:
    """Read ``credentialName``: a Secret or ConfigMap where the proxy runs, and the CA beside it (ISTIO.md 5.6)."""
    for value in values(resource.document, path):
        scheme, _, rest = str(value).rpartition("://")
        namespace, _, name = rest.rpartition("/")
        where = Namespace(namespace) if scheme and namespace else None
        for kind, full in ((SECRET, name), (SECRET, f"{name}-cacert"), (CONFIG_MAP, name)):
            yield Named(kind.kind, full, where, kind.group)


def _references(resource: Resource) -> Iterator[Named]:
    """Yield everything in an object that says a kind and a name."""
    waiting: list[Any] = [value for key, value in resource.document.items() if key != "status"]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, Mapping):
            waiting.extend(item for item in value.values() if isinstance(item, (list, Mapping)))
            if isinstance(value.get("kind"), str) and isinstance(value.get("name"), str):
                yield _reference(value, resource.id.namespace)


def _reference(value: Mapping[str, Any], own: Namespace) -> Named:
    group = value.get("group", value.get("apiGroup"))
    if group is None and "apiVersion" in value:
        group = str(value["apiVersion"]).rpartition("/")[0]
    said = group if isinstance(group, str) else None
    return Named(value["kind"], value["name"], _namespace(value, own), said)


def _namespace(reference: Mapping[str, Any], own: Namespace) -> Namespace:
    return Namespace(str(reference.get("namespace") or own))


def _path(text: str) -> Path:
    return tuple(text.replace("[]", ".[]").split("."))


def _fields(prefix: str, paths: Mapping[str, GroupKind]) -> tuple[_Field, ...]:
    return tuple(_Field(_path(f"{prefix}.{path}"), kind) for path, kind in paths.items())


_CONTAINER: Final = {
    "env[].valueFrom.configMapKeyRef": CONFIG_MAP,
    "env[].valueFrom.secretKeyRef": SECRET,
    "envFrom[].configMapRef": CONFIG_MAP,
    "envFrom[].secretRef": SECRET,
}
_POD: Final = {
    "serviceAccountName": SERVICE_ACCOUNT,
    "imagePullSecrets[]": SECRET,
    "priorityClassName": GroupKind("scheduling.k8s.io", "PriorityClass"),
    "runtimeClassName": GroupKind("node.k8s.io", "RuntimeClass"),
    "volumes[].configMap": CONFIG_MAP,
    "volumes[].secret.secretName": SECRET,
    "volumes[].persistentVolumeClaim.claimName": CLAIM,
    "volumes[].projected.sources[].configMap": CONFIG_MAP,
    "volumes[].projected.sources[].secret": SECRET,
    **{f"containers[].{path}": kind for path, kind in _CONTAINER.items()},
    **{f"initContainers[].{path}": kind for path, kind in _CONTAINER.items()},
}
_TEMPLATED: Final = (
    *WORKLOAD_KINDS,
    GroupKind("apps", "ReplicaSet"),
    GroupKind("batch", "Job"),
    GroupKind("argoproj.io", "Rollout"),
)
_ROUTE: Final = _fields(
    "spec",
    {
        "parentRefs[]": KUBERNETES_GATEWAY,
        "rules[].backendRefs[]": SERVICE,
        "rules[].filters[].requestMirror.backendRef": SERVICE,
        "rules[].backendRefs[].filters[].requestMirror.backendRef": SERVICE,
    },
)
_HOOKS: Final = _fields("webhooks[]", {"clientConfig.service": SERVICE})
_BACKENDS: Final = {"defaultBackend.service": SERVICE, "rules[].http.paths[].backend.service": SERVICE}

_FIELDS: Final[Mapping[GroupKind, tuple[_Field, ...]]] = {
    POD: _fields("spec", _POD),
    GroupKind("batch", "CronJob"): _fields("spec.jobTemplate.spec.template.spec", _POD),
    **{kind: _fields("spec.template.spec", _POD) for kind in _TEMPLATED},
    GroupKind("apps", "StatefulSet"): (
        *_fields("spec.template.spec", _POD),
        *_fields("spec", {"serviceName": SERVICE, "volumeClaimTemplates[].spec.storageClassName": STORAGE_CLASS}),
    ),
    CLAIM: _fields("spec", {"storageClassName": STORAGE_CLASS, "volumeName": GroupKind("", "PersistentVolume")}),
    SERVICE_ACCOUNT: (_Field(_path("imagePullSecrets[]"), SECRET),),
    SECRET: (_Field(("metadata", "annotations", "kubernetes.io/service-account.name"), SERVICE_ACCOUNT),),
    # ISTIO.md 5.26 to 5.28.
    **dict.fromkeys(ROUTE_KINDS, _ROUTE),
    KUBERNETES_GATEWAY: _fields(
        "spec",
        {
            "gatewayClassName": GroupKind(GATEWAY_API, "GatewayClass"),
            "listeners[].tls.certificateRefs[]": SECRET,
        },
    ),
    # ISTIO.md 5.23.
    GroupKind("extensions.istio.io", "WasmPlugin"): _fields("spec", {"imagePullSecret": SECRET}),
    GroupKind("networking.k8s.io", "Ingress"): _fields(
        "spec",
        {
            **_BACKENDS,
            "tls[].secretName": SECRET,
            "ingressClassName": GroupKind("networking.k8s.io", "IngressClass"),
        },
    ),
    GroupKind("apiregistration.k8s.io", "APIService"): _fields("spec", {"service": SERVICE}),
    GroupKind("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _HOOKS,
    GroupKind("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _HOOKS,
}

# ISTIO.md 5.6 and 5.12.
_SERVER_TLS: Final = ("credentialName", "credentialNames[]", "caCertCredentialName")
_CLIENT_TLS: Final = ("trafficPolicy", "trafficPolicy.portLevelSettings[]")
_CREDENTIALS: Final[Mapping[GroupKind, tuple[Path, ...]]] = {
    GATEWAY: tuple(_path(f"spec.servers[].tls.{field}") for field in _SERVER_TLS),
    DESTINATION_RULE: tuple(
        _path(f"spec.{where}{policy}.tls.credentialName") for where in ("", "subsets[].") for policy in _CLIENT_TLS
    ),
}

_SILENT: Final = frozenset(
    {*ROUTING_KINDS, SECRET, CONFIG_MAP, GroupKind("apiextensions.k8s.io", "CustomResourceDefinition")}
)
"""Kinds that hold no ObjectReference, so that they need not be searched for one."""
