"""Istio's MeshConfig: who sees what does not say so, and which namespaces count (ISTIO.md 3.5, 4.7). Pure.

Written from istiod's own rules (``initDefaultExportMaps``, ``discoveryNamespacesFilter``), apart
from the planner's reading of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import yaml

from safeapply.resources.objects import Document
from safeapply.sandbox.controlplane.translation.metadata import labels_match, texts

__all__ = ["Defaults", "defaults_of"]


@dataclass(frozen=True, slots=True)
class Defaults:
    """What an absent ``exportTo`` means, by kind; empty for everybody. And which namespaces are read."""

    services: tuple[str, ...] = ()
    virtual_services: tuple[str, ...] = ()
    destination_rules: tuple[str, ...] = ()
    discovery: tuple[Document, ...] = ()
    """Label selectors, any of which chooses a namespace; empty for all."""

    def reads(self, labels: Mapping[str, str]) -> bool:
        """Tell whether istiod reads what stands in a namespace with these labels (ISTIO.md 3.5)."""
        return not self.discovery or any(_chosen(one, labels) for one in self.discovery)


def defaults_of(config_maps: Iterable[Document]) -> Defaults:
    """Return what the MeshConfig says, if there is one."""
    for document in config_maps:
        mesh = yaml.safe_load((document.get("data") or {}).get("mesh", "")) or {}
        return Defaults(
            texts(mesh.get("defaultServiceExportTo")),
            texts(mesh.get("defaultVirtualServiceExportTo")),
            texts(mesh.get("defaultDestinationRuleExportTo")),
            tuple(mesh.get("discoverySelectors") or ()),
        )
    return Defaults()


def _chosen(selector: Document, labels: Mapping[str, str]) -> bool:
    asked = selector.get("matchExpressions") or ()
    return labels_match(selector.get("matchLabels") or {}, labels) and all(_meets(one, labels) for one in asked)


def _meets(asked: Document, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(asked["key"]), asked.get("values") or ()
    met = {"Exists": value is not None, "DoesNotExist": value is None, "In": value in values}
    return met.get(asked["operator"], value not in values)
