"""What proxies and clusters are called in a mesh of one cluster, or of several. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from safeapply.resources.objects import Document

__all__ = ["HOME", "PROXY_CONTAINER", "cluster_id", "cluster_of_id", "injected", "proxy_name"]

PROXY_CONTAINER: Final = "istio-proxy"
CLUSTER_ID: Final = "ISTIO_META_CLUSTER_ID"
"""The variable by which Istio's injector tells a proxy which cluster it is in."""
HOME: Final = "Kubernetes"
"""Istio's name of a cluster that was given none (``global.multiCluster.clusterName``): here, the first."""


def proxy_name(cluster: str, namespace: str, pod: str) -> str:
    """Return ``pod.namespace``, and before it the cluster, if it is not the first: names come twice in a mesh."""
    return f"{cluster}/{pod}.{namespace}" if cluster else f"{pod}.{namespace}"


def cluster_id(pod: Document) -> str:
    """Return which cluster a pod's proxy says that it is in, as Istio calls it."""
    for container in _containers(pod):
        for variable in container.get("env") or () if container.get("name") == PROXY_CONTAINER else ():
            if variable.get("name") == CLUSTER_ID:
                return str(variable.get("value") or HOME)
    return HOME


def injected(document: Document, cluster: str) -> Document:
    """Return a pod as Istio's injector leaves it: told which cluster it is in; any other object as it is."""
    spec = document.get("spec") or {}
    if not cluster or document["kind"] != "Pod":
        return document
    variable = {"name": CLUSTER_ID, "value": cluster}
    told = {
        field: [
            {**one, "env": [*(one.get("env") or ()), variable]} if one.get("name") == PROXY_CONTAINER else one
            for one in spec[field]
        ]
        for field in ("containers", "initContainers")
        if spec.get(field)
    }
    return {**document, "spec": {**spec, **told}}


def cluster_of_id(told: str) -> str:
    """Return the cluster that Istio calls so; the first one has no name here."""
    return "" if told in {"", HOME} else told


def _containers(pod: Document) -> Iterator[Document]:
    spec = pod.get("spec") or {}
    yield from spec.get("containers") or ()
    yield from spec.get("initContainers") or ()
