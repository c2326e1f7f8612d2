"""Statements about one Envoy that can be read from its config dump (DESIGN 5).

A plan carries them as preconditions of its steps; ``xds.verdicts`` judges them. ``classes`` tells which proxies
a statement is about: those that never see the cluster are exempt by computation, not by patience. ``None``
means every proxy, which is right for removals: a proxy that never had the cluster agrees at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from safeapply.istio.proxies import ProxyClass
from safeapply.istio.tls import Mode, Sent
from safeapply.xds.names import ClusterName, Host, Origin, inbound_cluster

__all__ = [
    "ClusterAbsent",
    "ClusterActive",
    "ClusterSends",
    "ClusterUnreferenced",
    "Expectation",
    "Firm",
    "InboundAccepts",
    "OriginGone",
    "Removal",
    "RouteRefers",
    "RouteReleased",
    "concerns",
]


@dataclass(frozen=True, slots=True)
class ClusterActive:
    """The cluster takes traffic: active, with no newer copy warming (ENVOY.md 2)."""

    cluster: ClusterName
    classes: frozenset[ProxyClass] | None = None
    ready_endpoint: bool = False
    """Also require a healthy host, because the desired state has ready pods for it."""


@dataclass(frozen=True, slots=True)
class ClusterUnreferenced:
    """No route, mirror or listener names the cluster, draining and warming listeners included.

    Not counted are the routes of a host to its own default cluster: istiod makes and takes them with it.
    """

    cluster: ClusterName
    classes: frozenset[ProxyClass] | None = None


@dataclass(frozen=True, slots=True)
class ClusterAbsent:
    """The cluster is gone: neither active nor warming."""

    cluster: ClusterName
    classes: frozenset[ProxyClass] | None = None


@dataclass(frozen=True, slots=True)
class RouteRefers:
    """The virtual host with this domain (any port) names the cluster; for TCP, some listener does."""

    host: Host | None
    """The domain; None for TCP and TLS routes, which live in listeners (ISTIO.md 1.4)."""
    cluster: ClusterName
    classes: frozenset[ProxyClass] | None = None


@dataclass(frozen=True, slots=True)
class RouteReleased:
    """No virtual host with this domain (any port) names the cluster any more; for TCP, no listener does.

    Other domains may go on naming it. That is what shows that a route has let go of a cluster which, say, a mirror
    keeps naming elsewhere.
    """

    host: Host | None
    """The domain; None for TCP and TLS routes, which live in listeners (ISTIO.md 1.4)."""
    cluster: ClusterName
    classes: frozenset[ProxyClass] | None = None


@dataclass(frozen=True, slots=True)
class ClusterSends:
    """Connections through the cluster begin like this, and no newer copy of it is warming (ISTIO.md 6.2)."""

    cluster: ClusterName
    sent: frozenset[Sent]
    """More than one only where its endpoints differ."""
    automatic: bool
    """Whether each endpoint says for itself if it gets mTLS."""
    classes: frozenset[ProxyClass] | None = None


@dataclass(frozen=True, slots=True)
class InboundAccepts:
    """The inbound listener takes on this port of the workload what the mode says, and no newer one is warming."""

    port: int
    mode: Mode
    classes: frozenset[ProxyClass] | None = None

    @property
    def cluster(self) -> ClusterName:
        """The cluster behind the port."""
        return inbound_cluster(self.port)


@dataclass(frozen=True, slots=True)
class OriginGone:
    """Nothing comes from a VirtualService or a DestinationRule any more, by the mark that istiod puts on it.

    A script may ask for it when the object itself is gone, and nobody can tell what it has said.
    """

    origin: Origin
    classes: frozenset[ProxyClass] | None = None

    @property
    def cluster(self) -> ClusterName:
        """What stands for it among the names of clusters, where it is the name of none."""
        return ClusterName(str(self.origin))


Removal: TypeAlias = ClusterUnreferenced | ClusterAbsent | RouteReleased | OriginGone
"""That something is gone. One empty answer proves nothing, so it takes two readings that agree (DESIGN 5)."""
Firm: TypeAlias = Removal | ClusterSends | InboundAccepts
"""What has to hold on proxies that are not ready too, and on those that come back to another replica of istiod."""
Expectation: TypeAlias = ClusterActive | RouteRefers | Firm


def concerns(expected: Expectation, one: ProxyClass) -> bool:
    """Tell whether proxies of a class have to show something: all do, or those of the class, of any revision."""
    classes = expected.classes
    return classes is None or one in classes or (one.revision is not None and one.of_any_revision in classes)
