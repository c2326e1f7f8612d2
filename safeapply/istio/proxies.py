"""Which pods run an Envoy, and what Istio looks at to decide that Envoy's configuration.

Istio names the container ``istio-proxy``, in ``containers`` or, as a native sidecar, in ``initContainers``
(ISTIO.md 8.4). Gateways run it with the argument ``router``, waypoints with ``waypoint``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NewType

from safeapply.resources.objects import Document, Namespace, Resource

__all__ = ["Labels", "Proxy", "ProxyClass", "ProxyId", "Role", "proxy_of_pod"]

ProxyId = NewType("ProxyId", str)
"""``pod.namespace``, as istioctl prints it."""

PROXY_CONTAINER = "istio-proxy"


class Role(Enum):
    """What an Envoy is for; istiod builds its configuration accordingly."""

    SIDECAR = "sidecar"
    GATEWAY = "gateway"
    WAYPOINT = "waypoint"


@dataclass(frozen=True, slots=True, order=True)
class Labels:
    """The labels of a workload, hashable and in a fixed order."""

    pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> Labels:
        """Return the labels sorted by key."""
        return cls(tuple(sorted(labels.items())))

    def match(self, selector: Mapping[str, str]) -> bool:
        """Tell whether every pair of the selector is among these labels; an empty selector matches all."""
        return set(selector.items()) <= set(self.pairs)


@dataclass(frozen=True, slots=True)
class ProxyClass:
    """All proxies that get the same view from istiod (DESIGN 2)."""

    role: Role
    namespace: Namespace
    labels: Labels = Labels()
    """Only those labels that some selector in the mesh names; two pods that differ elsewhere are one class."""

    def __str__(self) -> str:
        """Return ``sidecars in default``, ``gateways in istio-system (istio=ingressgateway)``."""
        chosen = ",".join(f"{key}={value}" for key, value in self.labels.pairs)
        return f"{self.role.value}s in {self.namespace}" + (f" ({chosen})" if chosen else "")


@dataclass(frozen=True, slots=True)
class Proxy:
    """One running Envoy."""

    namespace: Namespace
    pod: str
    uid: str
    """The pod's uid: a new pod that took over a name or an address is another proxy."""
    role: Role
    labels: Labels
    ready: bool

    @property
    def id(self) -> ProxyId:
        """``pod.namespace``."""
        return ProxyId(f"{self.pod}.{self.namespace}")

    def class_by(self, label_keys: Collection[str]) -> ProxyClass:
        """Return the class of this proxy where only these labels can matter."""
        chosen = tuple(pair for pair in self.labels.pairs if pair[0] in label_keys)
        return ProxyClass(self.role, self.namespace, Labels(chosen))


def proxy_of_pod(pod: Resource) -> Proxy | None:
    """Return the Envoy that a pod runs, or None where none runs."""
    container = next((c for c in _containers(pod) if c.get("name") == PROXY_CONTAINER), None)
    status = pod.document.get("status") or {}
    if container is None or not _runs(status):
        return None
    return Proxy(
        namespace=pod.id.namespace,
        pod=pod.id.name,
        uid=str(pod.metadata.get("uid", "")),
        role=_role(container),
        labels=Labels.of(pod.labels),
        ready=any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ()),
    )


def _containers(pod: Resource) -> Iterator[Document]:
    yield from pod.spec.get("containers") or ()
    yield from pod.spec.get("initContainers") or ()


def _runs(status: Document) -> bool:
    """Tell whether the proxy's container runs: one that waits to start, or has ended, serves nothing."""
    reported = (*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ()))
    own = next((one for one in reported if one.get("name") == PROXY_CONTAINER), None)
    return status.get("phase") == "Running" if own is None else "running" in (own.get("state") or {})


def _role(container: Document) -> Role:
    arguments = container.get("args") or ()
    if "waypoint" in arguments:
        return Role.WAYPOINT
    return Role.GATEWAY if "router" in arguments else Role.SIDECAR
