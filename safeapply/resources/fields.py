"""What the typed fields of every kind have in common.

Whatever is not listed passes unread: the API server judges it. What is listed and of the wrong type would make us
misjudge the mesh, so it is a fault. ``resources.shapes`` holds documents against these.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

import msgspec

__all__ = ["Manifest", "Metadata", "Model", "PortKey"]

PortKey: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[0-9]{1,5}$", title="port number")]
"""A port as the key of a mapping: JSON has only texts there, and istiod reads a decimal number from it."""


class Model(msgspec.Struct, rename="camel", gc=False):
    """A mapping: fields without default are required, null is as good as absent, unknown fields are ignored."""


class _Ownership(Model):
    manager: str | None = None
    operation: str | None = None
    subresource: str | None = None
    fields: dict[str, Any] | None = msgspec.field(default=None, name="fieldsV1")


class Metadata(Model):
    """Whose object it is, and who wrote it."""

    name: str | None = None
    generate_name: str | None = None
    namespace: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    uid: str | None = None
    resource_version: str | None = None
    managed_fields: list[_Ownership] | None = None
    owner_references: list[dict[str, Any]] | None = None


class Manifest(Model):
    """What every object has."""

    api_version: str | None = None
    kind: str | None = None
    metadata: Metadata | None = None
