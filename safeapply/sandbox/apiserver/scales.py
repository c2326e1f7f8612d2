"""The ``scale`` subresource: the replicas of whatever has any, in the same form for all. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from safeapply.resources.objects import Document
from safeapply.sandbox.apiserver.kinds import Kind
from safeapply.sandbox.apiserver.statuses import invalid
from safeapply.sandbox.apiserver.validation.faults import invalid_value

__all__ = ["SCALE", "scale_of", "scaled"]

SCALE: Final = "scale"
_API_VERSION: Final = "autoscaling/v1"
_KIND: Final = Kind("autoscaling", ("v1",), "Scale", "scales")
_KEPT: Final = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(kind: Kind, document: Document) -> Document:
    """Return the scale of an object."""
    metadata = {key: document["metadata"][key] for key in _KEPT if key in document["metadata"]}
    status: dict[str, Any] = {"replicas": (document.get("status") or {}).get("replicas", 0)}
    labels = ((document.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    if labels and not kind.custom:
        status["selector"] = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    replicas = _at(document, kind.scale_path)
    spec = {} if replicas in {None, 0} else {"replicas": replicas}
    return {"kind": "Scale", "apiVersion": _API_VERSION, "metadata": metadata, "spec": spec, "status": status}


def scaled(kind: Kind, document: Document, scale: Mapping[str, Any]) -> Document:
    """Return an object with the replicas that a scale asks for.

    Raises:
        StatusError: 422, where they are fewer than none.
    """
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or replicas < 0:
        fault = invalid_value("spec.replicas", replicas, "must be greater than or equal to 0")
        raise invalid(_KIND, document["metadata"]["name"], [fault])
    metadata = dict(document["metadata"])
    if sent := (scale.get("metadata") or {}).get("resourceVersion"):
        metadata["resourceVersion"] = sent
    return _with({**document, "metadata": metadata}, kind.scale_path, replicas)


def _at(document: Mapping[str, Any], path: tuple[str, ...]) -> Any:  # noqa: ANN401 - any JSON value
    node: Any = document
    for key in path:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node


def _with(document: Mapping[str, Any], path: tuple[str, ...], value: int) -> dict[str, Any]:
    key, *rest = path
    inner = _with(document.get(key) or {}, tuple(rest), value) if rest else value
    return {**document, key: inner}
