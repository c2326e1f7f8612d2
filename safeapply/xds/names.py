"""The names that Istio gives to Envoy's clusters (ISTIO.md 1.1; istio ``model.BuildSubsetKey``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NewType

__all__ = [
    "CONTROL_CLUSTER",
    "INBOUND_LISTENER",
    "ClusterName",
    "Host",
    "Origin",
    "OutboundCluster",
    "inbound_cluster",
    "is_port",
    "outbound_cluster",
    "parse_cluster",
]

Host = NewType("Host", str)
"""A fully qualified host of the mesh: ``reviews.default.svc.cluster.local``."""

ClusterName = NewType("ClusterName", str)
"""The name of an Envoy cluster: ``outbound|9080|v1|reviews.default.svc.cluster.local``."""

CONTROL_CLUSTER = ClusterName("BlackHoleCluster")
"""A cluster that istiod sends to every sidecar and gateway by CDS: an answer without it proves nothing."""

PORT_DIGITS = 5

INBOUND_LISTENER = "virtualInbound"
"""The listener that takes everything that comes to a workload."""


@dataclass(frozen=True, slots=True, order=True)
class OutboundCluster:
    """The parts of an outbound cluster's name."""

    host: Host
    port: int
    subset: str
    """Empty for the cluster of the whole service."""


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """A VirtualService or DestinationRule, as istiod marks what comes from it (``util.AddConfigInfoMetadata``)."""

    kind: Literal["virtual-service", "destination-rule"]
    namespace: str
    name: str

    @property
    def path(self) -> str:
        """The end of the mark; before it come the group and the version that this istiod speaks."""
        return f"/namespaces/{self.namespace}/{self.kind}/{self.name}"

    def __str__(self) -> str:
        """Return ``virtualservice default/reviews``."""
        return f"{self.kind.replace('-', '')} {self.namespace}/{self.name}"


def outbound_cluster(host: Host, port: int, subset: str = "") -> ClusterName:
    """Return Istio's name for the cluster of a service port, or of one subset of it."""
    return ClusterName(f"outbound|{port}|{subset}|{host}")


def inbound_cluster(port: int) -> ClusterName:
    """Return Istio's name for the cluster by which a sidecar reaches a port of its own workload."""
    return ClusterName(f"inbound|{port}||")


def is_port(text: str) -> bool:
    """Tell whether a text, which a pod or a manifest may have made up, is a port in decimal."""
    return len(text) <= PORT_DIGITS and text.isascii() and text.isdecimal()


def parse_cluster(name: ClusterName) -> OutboundCluster | None:
    """Return the parts of an outbound cluster's name, or None for any other cluster."""
    match name.split("|"):
        case ["outbound", port, subset, host] if is_port(port):
            return OutboundCluster(Host(host), int(port), subset)
        case _:
            return None
