"""What proxies and clusters are called in a mesh of one cluster, or of several. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from safeapply.resources.objects import Document

__all__ = [
    "CERTIFICATE",
    "HOME",
    "PROXY_CONTAINER",
    "ROOT_CERTIFICATE",
    "SDS_CLUSTER",
    "TLS_MODE",
    "TRUST_DOMAIN",
    "cluster_id",
    "cluster_of_id",
    "injected",
    "proxy_name",
    "service_account",
]

PROXY_CONTAINER: Final = "istio-proxy"
CLUSTER_ID: Final = "ISTIO_META_CLUSTER_ID"
"""The variable by which Istio's injector tells a proxy which cluster it is in."""
HOME: Final = "Kubernetes"
"""Istio's name of a cluster that was given none (``global.multiCluster.clusterName``): here, the first."""

INJECT: Final = "sidecar.istio.io/inject"
TLS_MODE: Final = "security.istio.io/tlsMode"
"""The label by which the injector lets clients send a pod mutual TLS."""
NOT_INJECTED: Final = frozenset({"istio-system", "kube-system", "kube-public", "kube-node-lease"})
"""Namespaces whose pods the injector leaves alone."""
TRUST_DOMAIN: Final = "cluster.local"
"""Istio's default."""
SDS_CLUSTER: Final = "sds-grpc"
"""The static cluster by which an Envoy asks for its certificates."""
CERTIFICATE: Final = "default"
ROOT_CERTIFICATE: Final = "ROOTCA"
"""Istio's names of the certificates that it serves by SDS: the workload's own, and whom it believes."""


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


def injected(document: Document, cluster: str, *, sidecars: bool = False) -> Document:
    """Return a pod as Istio's injector leaves it; any other object as it is.

    Args:
        document: the object.
        cluster: which cluster its proxy is told that it is in; empty for the first.
        sidecars: whether a pod without a proxy gets one, unless it says otherwise or belongs to the mesh itself.
    """
    if document["kind"] != "Pod":
        return document
    if sidecars and _wants_sidecar(document):
        spec = document.get("spec") or {}
        proxy = {"name": PROXY_CONTAINER, "image": "istio/proxyv2", "args": ["proxy", "sidecar"]}
        metadata = document["metadata"]
        labels = {TLS_MODE: "istio", **(metadata.get("labels") or {})}
        document = {
            **document,
            "metadata": {**metadata, "labels": labels},
            "spec": {**spec, "containers": [*(spec.get("containers") or ()), proxy]},
        }
    return _placed(document, cluster) if cluster else document


def _placed(document: Document, cluster: str) -> Document:
    spec = document.get("spec") or {}
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


def service_account(pod: Document) -> str:
    """Return the account that a pod runs as."""
    return str((pod.get("spec") or {}).get("serviceAccountName") or "default")


def _wants_sidecar(pod: Document) -> bool:
    metadata = pod["metadata"]
    said = (metadata.get("labels") or {}).get(INJECT, "true")
    there = any(one.get("name") == PROXY_CONTAINER for one in _containers(pod))
    return not there and str(said).lower() != "false" and metadata.get("namespace") not in NOT_INJECTED


def _containers(pod: Document) -> Iterator[Document]:
    spec = pod.get("spec") or {}
    yield from spec.get("containers") or ()
    yield from spec.get("initContainers") or ()
