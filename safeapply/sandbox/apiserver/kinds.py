"""What a kind of object is to an API server: how it is called, served and merged. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, TypeAlias

from safeapply.resources.objects import GroupKind, Namespace, ResourceId

__all__ = ["CRD", "META_LISTS", "NAMESPACE", "POD", "SERVICE", "Column", "Kind", "ListKeys"]

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


_RETURNED: Final = frozenset(
    {"PersistentVolume", "PersistentVolumeClaim", "Pod", "ResourceQuota", "Service", "ServiceAccount"}
)
"""Core kinds with ``ReturnDeletedObject`` in their strategy; clients parse the answer as such."""


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
    custom: bool = False
    """Defined by a CustomResourceDefinition: patches merge plainly, and a PUT has to carry a resourceVersion."""

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
        return bool(self.group)

    @property
    def returns_deleted(self) -> bool:
        """Tell whether a deletion is answered with the object that is gone, and not with a ``Status``."""
        return not self.group and self.name in _RETURNED

    def api_version(self, version: str = "") -> str:
        """Return ``group/version``, by default of the preferred version."""
        version = version or self.versions[0]
        return f"{self.group}/{version}" if self.group else version

    def id_of(self, name: str, namespace: str = "") -> ResourceId:
        """Return the identity of an object of this kind."""
        return ResourceId(self.group, self.name, Namespace(namespace if self.namespaced else ""), name)
