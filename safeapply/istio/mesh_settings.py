"""What Istio's MeshConfig decides for all objects: who reads what says nothing of it (ISTIO.md 3.5, 4.7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from safeapply.errors import MeshConfigError
from safeapply.istio.kinds import DESTINATION_RULE, SERVICE, SERVICE_ENTRY, VIRTUAL_SERVICE
from safeapply.resources.mesh_config import MeshConfig, mesh_config
from safeapply.resources.objects import Document, GroupKind, Namespace, Resource, ResourceId
from safeapply.resources.selectors import Requirements, selects

__all__ = [
    "CONFIG_MAP",
    "ISTIO_SYSTEM",
    "NAMESPACE",
    "MeshSettings",
    "config_of",
    "differing",
    "is_config",
    "namespaces",
    "settings_of",
]

CONFIG_MAP: Final = GroupKind("", "ConfigMap")
NAMESPACE: Final = GroupKind("", "Namespace")
ISTIO_SYSTEM: Final = Namespace("istio-system")
_NAME: Final = "istio"
_DEFAULT: Final = frozenset({"", "default"})
"""The revisions whose ConfigMap bears no suffix."""
_PRIVATE: Final = (".",)


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """The parts of Istio's MeshConfig that decide who sees what."""

    root_namespace: Namespace = ISTIO_SYSTEM
    domain: str = "cluster.local"
    auto_mtls: bool = True
    services: tuple[str, ...] = ()
    """Who sees Services and ServiceEntries that do not say so; empty for everybody."""
    virtual_services: tuple[str, ...] = ()
    """The same of VirtualServices."""
    discovery: tuple[Requirements, ...] = ()
    """Of the namespaces that istiod reads; empty for all (``discoverySelectors``)."""
    ignored: frozenset[Namespace] = frozenset()
    """The namespaces that it does not read: nothing in them counts."""
    private_rules: bool = False
    """Whether a DestinationRule that does not say so is for its own namespace: Istio knows ``.`` and ``*`` here."""

    def reads(self, namespace: Resource) -> bool:
        """Tell whether istiod reads what stands in a namespace, the root's own included."""
        return not self.discovery or any(selects(one, namespace.labels) for one in self.discovery)

    def unsaid(self, kind: GroupKind) -> tuple[str, ...]:
        """Return who sees an object of a kind that has no exportTo; empty for everybody."""
        if kind == VIRTUAL_SERVICE:
            return self.virtual_services
        if kind == DESTINATION_RULE:
            return _PRIVATE if self.private_rules else ()
        return self.services if kind in {SERVICE, SERVICE_ENTRY} else ()

    def said(self, kind: GroupKind, *specs: Document) -> tuple[Document, ...]:
        """Return specs of one object so that their exportTo can be compared: said by all of them, or by none.

        Where none says it, it stays so: DestinationRules are merged by what they say (ISTIO.md 3.3).
        """
        unsaid = list(self.unsaid(kind))
        if not unsaid or not any(spec.get("exportTo") for spec in specs):
            return specs
        return tuple(spec if spec.get("exportTo") else {**spec, "exportTo": unsaid} for spec in specs)


def config_of(root: Namespace, revision: str = "") -> ResourceId:
    """Return the ConfigMap in which an istiod finds the MeshConfig (istio ``getMeshConfigMapName``)."""
    name = _NAME if revision in _DEFAULT else f"{_NAME}-{revision}"
    return ResourceId(CONFIG_MAP.group, CONFIG_MAP.kind, root, name)


def is_config(one: ResourceId, root: Namespace) -> bool:
    """Tell whether an object may hold a MeshConfig, by its name."""
    ours = one.group_kind == CONFIG_MAP and one.namespace == root
    return ours and (one.name == _NAME or one.name.startswith(f"{_NAME}-"))


def namespaces(objects: Iterable[Resource]) -> Mapping[ResourceId, Resource]:
    """Return the Namespaces among some objects."""
    return {one.id: one for one in objects if one.id.group_kind == NAMESPACE}


def settings_of(objects: Mapping[ResourceId, Resource], root: Namespace) -> MeshSettings:
    """Return what the MeshConfig among some objects says; Istio's defaults where there is none.

    Args:
        objects: live objects, or the files of a directory; of namespaces that are not among them all is read.
        root: where istiod runs.

    Raises:
        MeshConfigError: it cannot be read, or those of two revisions differ.
    """
    found = {one: config for one in objects.values() if is_config(one.id, root) and (config := mesh_config(one))}
    several = {_read(config, root): one.id for one, config in found.items()}
    if len(several) > 1:
        raise MeshConfigError(_differing(several))
    made = next(iter(several), MeshSettings(root))
    unread = (one for one in namespaces(objects.values()).values() if not made.reads(one))
    return replace(made, ignored=frozenset(Namespace(one.id.name) for one in unread))


def _read(config: MeshConfig, root: Namespace) -> MeshSettings:
    return MeshSettings(
        root_namespace=Namespace(config.root_namespace or root),
        auto_mtls=config.enable_auto_mtls is not False,
        services=_narrow(config.default_service_export_to),
        virtual_services=_narrow(config.default_virtual_service_export_to),
        discovery=tuple(one.requirements for one in config.discovery_selectors or ()),
        # Any other namespace that it names is passed over (istio ``setDestinationRules``).
        private_rules="." in (config.default_destination_rule_export_to or ()),
    )


def _narrow(default: tuple[str, ...] | None) -> tuple[str, ...]:
    return () if default is None or "*" in default else tuple(sorted(default))


def differing(one: MeshSettings, other: MeshSettings) -> tuple[str, ...]:
    """Return the fields of MeshConfig in which they differ."""
    return tuple(field for each, field in _FIELDS.items() if getattr(one, each) != getattr(other, each))


def _differing(several: Mapping[MeshSettings, ResourceId]) -> str:
    (one, this), (other, that), *_ = several.items()
    fields = ", ".join(differing(one, other))
    return f"{this} and {that} differ in {fields}, and what is planned has to hold for both: let them say the same"


_FIELDS: Final = {
    "root_namespace": "rootNamespace",
    "auto_mtls": "enableAutoMtls",
    "services": "defaultServiceExportTo",
    "discovery": "discoverySelectors",
    "virtual_services": "defaultVirtualServiceExportTo",
    "private_rules": "defaultDestinationRuleExportTo",
}
