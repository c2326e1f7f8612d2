"""What is read from the metadata of any object, and how Envoy's resources name the object they came from. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeAlias

from safeapply.resources.objects import Document

__all__ = [
    "ROOT_NAMESPACE",
    "Json",
    "age",
    "exported",
    "labels_match",
    "name_of",
    "namespace_of",
    "origin",
    "texts",
]

Json: TypeAlias = dict[str, Any]
"""One xDS resource, or a part of one, in protobuf's JSON form."""

ROOT_NAMESPACE = "istio-system"
"""Istio's default ``rootNamespace``."""

RESOURCES = {"VirtualService": "virtual-service", "DestinationRule": "destination-rule"}


def namespace_of(document: Document) -> str:
    """Return its namespace."""
    return str(document["metadata"].get("namespace") or "")


def name_of(document: Document) -> str:
    """Return its name."""
    return str(document["metadata"]["name"])


def age(document: Document) -> tuple[str, str, str]:
    """Return a key that sorts the oldest first, then by name and namespace (ISTIO.md 4.1)."""
    return str(document["metadata"].get("creationTimestamp") or ""), name_of(document), namespace_of(document)


def exported(export_to: Collection[str], owner: str, client: str) -> bool:
    """Tell whether something with this ``exportTo`` is visible from a namespace; unset means everywhere."""
    meant = {"*", client, "."} if owner == client else {"*", client}
    return not export_to or not meant.isdisjoint(export_to)


def texts(values: Iterable[object] | None) -> tuple[str, ...]:
    """Return a list of texts, empty where there is none."""
    return tuple(str(value) for value in values or ())


def labels_match(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Tell whether the labels carry every pair of the selector."""
    return all(labels.get(key) == value for key, value in selector.items())


def origin(document: Document, **more: str) -> Json:
    """Return the ``filter_metadata`` with which istiod marks what came from an object (ISTIO.md 1.1)."""
    kind = RESOURCES[document["kind"]]
    path = f"/apis/networking.istio.io/v1/namespaces/{namespace_of(document)}/{kind}/{name_of(document)}"
    return {"filter_metadata": {"istio": {"config": path, **more}}}
