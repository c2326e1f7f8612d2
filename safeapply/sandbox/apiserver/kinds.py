"""What a kind of object is to an API server: how it is called, served and merged. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from safeapply.resources.objects import GroupKind, Namespace, ResourceId

__all__ = ["CRD", "META_LISTS", "NAMESPACE", "POD", "SERVICE", "Column", "Kind", "Layout", "ListKeys"]

ListKeys: TypeAlias = Mapping[str, tuple[str, ...]]
"""Lists whose items are merged one by one, by field name: the fields that tell items apart.

Without such fields the items themselves are a set. Every list that is not named here is atomic: replaced whole.
"""

Column: TypeAlias = tuple[str, str]
"""A column of ``kubectl get``: its heading, and the field below the object, with dots."""

NAMESPACE: Final = GroupKind("", "Namespace")
POD: Final = GroupKind("", "Pod")
SERVICE: Final = GroupKind("", "Service")
CRD: Final = GroupKind("apiextensions.k8s.io", "CustomResourceDefinition")

META_LISTS: Final[ListKeys] = MappingProxyType({"ownerReferences": ("uid",), "finalizers": ()})
"""Lists in the metadata of every kind."""


_ATOMIC: Final = frozenset(
    {
        "configMapKeyRef",
        "fieldRef",
        "involvedObject",
        "labelSelector",
        "nodeSelector",
        "podSelector",
        "regarding",
        "related",
        "resourceFieldRef",
        "roleRef",
        "secretKeyRef",
        "selector",
        "targetRef",
    }
)
"""Maps of the built-in kinds that one manager owns whole (``+structType=atomic``, ``+mapType=atomic``)."""
_STRUCTS: Final = frozenset(
    {
        "containers",
        "loadBalancer",
        "metadata",
        "podSelector",
        "source",
        "spec",
        "status",
        "strategy",
        "template",
        "updateStrategy",
    }
)
"""Fields of the built-in kinds that are always there (Go's structs without pointers): nobody brings them in."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the fields of a kind are owned and merged; as a mapping it is that of its lists."""

    lists: ListKeys
    atomic: frozenset[str] = frozenset()
    """Maps that are owned and replaced whole."""
    structs: frozenset[str] = frozenset({"metadata"})
    """Maps that are nobody's, because they are always there."""

    @property
    def whole_items(self) -> frozenset[str]:
        """Lists whose items are owned whole."""
        return _WHOLE_ITEMS

    def __contains__(self, name: str) -> bool:
        """Tell whether the items of a list are merged one by one."""
        return name in self.lists

    def __getitem__(self, name: str) -> tuple[str, ...]:
        """Return what tells the items of a list apart."""
        return self.lists[name]


_WHOLE_ITEMS: Final = frozenset({"ownerReferences"})
_RETURNED: Final = frozenset(
    {"PersistentVolume", "PersistentVolumeClaim", "Pod", "ResourceQuota", "Service", "ServiceAccount"}
)
"""Core kinds with ``ReturnDeletedObject`` in their strategy; clients parse the answer as such."""


_WITHOUT_STATUS: Final = frozenset(
    {
        "ConfigMap",
        "ControllerRevision",
        "EndpointSlice",
        "Endpoints",
        "Event",
        "IngressClass",
        "Lease",
        "LimitRange",
        "NetworkPolicy",
        "Secret",
        "ServiceAccount",
    }
)
_SCALED: Final = frozenset({"Deployment", "ReplicaSet", "StatefulSet"})
_COUNTED: Final = frozenset(
    {
        "CronJob",
        "CustomResourceDefinition",
        "DaemonSet",
        "Deployment",
        "EndpointSlice",
        "Ingress",
        "IngressClass",
        "Job",
        "NetworkPolicy",
        "Pod",
        "PodDisruptionBudget",
        "ReplicaSet",
        "StatefulSet",
    }
)
"""Built-in kinds that have a generation."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object."""

    group: str
    versions: tuple[str, ...]
    """Served ones, the preferred one first."""
    name: str
    plural: str
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    lists: ListKeys = field(default_factory=lambda: META_LISTS, hash=False)
    columns: tuple[Column, ...] = ()
    categories: tuple[str, ...] = ()
    """Names for several kinds at once, as ``all`` in ``kubectl get all``."""
    atomic: frozenset[str] = frozenset()
    """Maps of this kind alone that are owned whole."""
    schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    """OpenAPI v3, by version, where a definition brought it."""
    subresources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, hash=False)
    """``status`` and ``scale``, by version, where a definition brought it."""
    custom: bool = False
    """Defined by a CustomResourceDefinition: patches merge plainly, and a PUT has to carry a resourceVersion."""

    @property
    def layout(self) -> Layout:
        """How its fields are owned and merged."""
        return Layout(self.lists) if self.custom else Layout(self.lists, _ATOMIC | self.atomic, _STRUCTS)

    @property
    def group_kind(self) -> GroupKind:
        """What identities are made of."""
        return GroupKind(self.group, self.name)

    @property
    def resource(self) -> str:
        """``destinationrules.networking.istio.io``, as error messages say it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def singular(self) -> str:
        """``destinationrule``."""
        return self.name.lower()

    @property
    def has_generation(self) -> bool:
        """Tell whether ``metadata.generation`` counts the changes of the desired state."""
        return self.custom or self.name in _COUNTED

    @property
    def has_status(self) -> bool:
        """Tell whether its status is written apart; without a definition, every custom kind's is."""
        if self.custom:
            return all("status" in (one or {}) for one in self.subresources.values())
        return self.name not in _WITHOUT_STATUS and self.group != "rbac.authorization.k8s.io"

    @property
    def scale_path(self) -> tuple[str, ...]:
        """Where a scale has its replicas; nothing where the kind has no scale."""
        if not self.custom:
            return ("spec", "replicas") if self.name in _SCALED else ()
        for one in self.subresources.values():
            if "scale" in (one or {}):
                return tuple(one["scale"]["specReplicasPath"].strip(".").split("."))
        return ()

    @property
    def returns_deleted(self) -> bool:
        """Tell whether a deletion is answered with the object that is gone, and not with a ``Status``."""
        return (not self.group and self.name in _RETURNED) or self.group_kind == CRD

    def api_version(self, version: str = "") -> str:
        """Return ``group/version``, by default of the preferred version."""
        version = version or self.versions[0]
        return f"{self.group}/{version}" if self.group else version

    def called(self, name: str) -> Kind:
        """Return a kind of another name in the same group, for messages."""
        return replace(self, name=name)

    def id_of(self, name: str, namespace: str = "") -> ResourceId:
        """Return the identity of an object of this kind."""
        return ResourceId(self.group, self.name, Namespace(namespace if self.namespaced else ""), name)
