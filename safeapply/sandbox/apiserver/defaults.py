"""What the API server itself writes into objects: defaults that clients read back, and first states. Pure.

Only what a mesh, its clients or ``kubectl`` look at; the rest of an object is as it was sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final, TypeAlias

from safeapply.resources.objects import GroupKind
from safeapply.sandbox.apiserver.kinds import CRD, NAMESPACE, POD, SERVICE

__all__ = ["with_defaults"]

_Filler: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]


def with_defaults(kind: GroupKind, document: dict[str, Any], *, is_free: Callable[[str], bool]) -> dict[str, Any]:
    """Return the document with what the server fills in where nothing is said.

    Args:
        kind: what the document is.
        document: an object as it was sent, or merged.
        is_free: tells whether no other Service has an address.
    """
    if kind == SERVICE:
        return _service(document, is_free)
    filler = _FILLERS.get(kind)
    return filler(document) if filler is not None else document


def _cluster_ip(metadata: Mapping[str, Any], is_free: Callable[[str], bool]) -> str:
    """Return a free address, drawn from the name, so that a mesh with the same objects is the same mesh."""
    name = f"{metadata['namespace']}/{metadata['name']}"
    digests = (hashlib.blake2b(f"{name}{'~' * turn}".encode(), digest_size=2).digest() for turn in count())
    addresses = (f"10.96.{digest[0]}.{digest[1]}" for digest in digests)
    return next(address for address in addresses if is_free(address))


def _service(document: dict[str, Any], is_free: Callable[[str], bool]) -> dict[str, Any]:
    filled = {"type": "ClusterIP", "sessionAffinity": "None", **(document.get("spec") or {})}
    if filled["type"] != "ExternalName":
        filled["clusterIP"] = filled.get("clusterIP") or _cluster_ip(document["metadata"], is_free)
        filled["clusterIPs"] = [filled["clusterIP"]]
    if isinstance(filled.get("ports"), list):
        filled["ports"] = [_port(port) for port in filled["ports"]]
    return {**document, "spec": filled, "status": document.get("status") or {"loadBalancer": {}}}


def _port(port: object) -> object:
    if not isinstance(port, Mapping) or "port" not in port:
        return port
    return {"protocol": "TCP", "targetPort": port["port"], **port}


def _namespace(document: dict[str, Any]) -> dict[str, Any]:
    metadata = document["metadata"]
    labels = {**metadata.get("labels", {}), "kubernetes.io/metadata.name": metadata["name"]}
    return {
        **document,
        "metadata": {**metadata, "labels": labels},
        "spec": {"finalizers": ["kubernetes"], **(document.get("spec") or {})},
        "status": {"phase": "Active", **(document.get("status") or {})},
    }


def _pod(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "status": {"phase": "Pending", **(document.get("status") or {})}}


def _definition(document: dict[str, Any]) -> dict[str, Any]:
    conditions = [
        {"type": kind, "status": "True", "reason": reason, "message": ""}
        for kind, reason in (("NamesAccepted", "NoConflicts"), ("Established", "InitialNamesAccepted"))
    ]
    status = {"conditions": conditions, "acceptedNames": document["spec"]["names"]}
    return {**document, "status": {**status, **(document.get("status") or {})}}


_FILLERS: Final[Mapping[GroupKind, _Filler]] = {
    NAMESPACE: _namespace,
    POD: _pod,
    CRD: _definition,
}
