"""Istio's own configuration, as its ConfigMap holds it: a document within a document."""

from __future__ import annotations

from typing import Final

import msgspec

from safeapply.errors import Fault, MeshConfigError
from safeapply.resources.documents import parse
from safeapply.resources.objects import Resource
from safeapply.resources.selectors import LabelSelector

__all__ = ["MeshConfig", "mesh_config"]

KEY: Final = "mesh"
"""Of the ConfigMap's data (istio ``pilot/pkg/bootstrap/mesh.go``)."""


class MeshConfig(msgspec.Struct, frozen=True, rename="camel"):
    """What safeapply reads of a MeshConfig; None where it says nothing."""

    default_service_export_to: tuple[str, ...] | None = None
    default_virtual_service_export_to: tuple[str, ...] | None = None
    default_destination_rule_export_to: tuple[str, ...] | None = None
    root_namespace: str | None = None
    enable_auto_mtls: bool | None = None
    discovery_selectors: tuple[LabelSelector, ...] | None = None


def mesh_config(resource: Resource) -> MeshConfig | None:
    """Return the MeshConfig that a ConfigMap holds, or None where it holds none.

    Raises:
        MeshConfigError: it holds one that cannot be read.
    """
    text = (resource.document.get("data") or {}).get(KEY)
    if text is None:
        return None
    origin = resource.origin
    place = f"{origin.file}:{origin.line}: data.{KEY}" if origin else f"{resource.id} data.{KEY}"
    read = next(parse(place, str(text)), None)
    if isinstance(read, Fault):
        raise MeshConfigError(str(read))
    try:
        return msgspec.convert(read.value if read else {}, MeshConfig)
    except msgspec.ValidationError as error:
        raise MeshConfigError(f"{place}: {error}") from error
