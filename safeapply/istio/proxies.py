"""Which pods run an Envoy, and what Istio looks at to decide that Envoy's configuration.

Istio names the container ``istio-proxy``, in ``containers`` or, as a native sidecar, in ``initContainers``
(ISTIO.md 8.4). Gateways, those of the Gateway API among them, run it with the argument ``router``, waypoints with
``waypoint``. A ztunnel has a container of the same name and is no Envoy.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NewType

from safeapply.istio.revisions import NOBODYS, OTHER, REVISION, Revision
from safeapply.resources.objects import Document, Namespace, Resource

__all__ = [
    "Condition",
    "Labels",
    "Proxy",
    "ProxyClass",
    "ProxyId",
    "Role",
    "Traits",
    "has_sidecar",
    "is_marked",
    "proxy_of_pod",
    "proxyless_of_pod",
    "revision_of",
]

ProxyId = NewType("ProxyId", str)
"""``pod.namespace``, as istioctl prints it; in another cluster of the mesh ``cluster/pod.namespace``."""

PROXY_CONTAINER = "istio-proxy"
ZTUNNEL = "ztunnel"
TLS_MODE = "security.istio.io/tlsMode"
INJECTED = "sidecar.istio.io/status"
"""The annotation in which the injector says what it did, as JSON."""
CLUSTER_ID = "ISTIO_META_CLUSTER_ID"
"""The variable by which the injector tells a proxy how Istio calls its cluster."""
UNNAMED_CLUSTER = "Kubernetes"
"""How Istio calls a cluster that was given no name (``global.multiCluster.clusterName``)."""


TEMPLATES = "inject.istio.io/templates"
PROXYLESS = frozenset({"grpc-agent", "grpc-simple"})
"""Templates that inject no Envoy: the application is its own xDS client (istio ``grpc-agent.yaml``)."""


class Role(Enum):
    """What an Envoy is for; istiod builds its configuration accordingly."""

    SIDECAR = "sidecar"
    GATEWAY = "gateway"
    WAYPOINT = "waypoint"

    # Members are singletons; Enum's own hash is written in Python, and views are looked up by the million.
    __hash__ = object.__hash__


class Condition(Enum):
    """Where the pod of an Envoy stands in its life."""

    STARTING = "starting"
    """It runs and gets no traffic yet, or not now."""
    READY = "ready"
    TERMINATING = "terminating"
    """It shall go, and may still serve what it has."""


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
    revision: Revision | None = field(default=None, hash=False)
    """Whose istiods it asks, as far as some object is for one of them; None for whichever."""

    def __str__(self) -> str:
        """Return ``sidecars in default``, ``gateways in istio-system (istio=ingress) of revision canary``."""
        chosen = ",".join(f"{key}={value}" for key, value in self.labels.pairs)
        whose = {None: "", OTHER: " of other revisions"}.get(self.revision, f" of revision {self.revision}")
        return f"{self.role.value}s in {self.namespace}" + (f" ({chosen})" if chosen else "") + whose

    @property
    def of_any_revision(self) -> ProxyClass:
        """The same proxies, whichever istiods they ask."""
        return self if self.revision is None else replace(self, revision=None)


@dataclass(frozen=True, slots=True)
class Traits:
    """What can tell two proxies of a mesh apart, beside what they are for and where they run."""

    labels: frozenset[str] = frozenset()
    """The keys of workload labels that some selector names."""
    revisions: frozenset[Revision] = frozenset()
    """The revisions that some object is for."""

    def classes(self, proxy: Proxy) -> frozenset[ProxyClass]:
        """Return the class of a proxy; several where it does not tell its revision, as it may have any of them."""
        one = proxy.class_by(self.labels)
        if not self.revisions:
            return frozenset({one})
        told = Revision(proxy.revision)
        if told == NOBODYS:
            return frozenset(replace(one, revision=each) for each in (*(self.revisions - {NOBODYS}), OTHER))
        return frozenset({replace(one, revision=told if told in self.revisions else OTHER)})

    def summed_up(self, classes: Iterable[ProxyClass]) -> frozenset[ProxyClass]:
        """Return the same proxies as classes of any revision, where those of all revisions are among them."""
        known = frozenset(classes)
        every = (*(self.revisions - {NOBODYS}), OTHER)
        bases = {one.of_any_revision for one in known}
        whole = {one for one in bases if all(replace(one, revision=each) in known for each in every)}
        return frozenset({*whole, *(one for one in known if one.of_any_revision not in whole)})


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
    """Whether it gets traffic; a pod that terminates does for as long as it says so."""
    terminating: bool = False
    version: str = ""
    """The tag of the proxy's image; empty where a digest stands in its place."""
    revision: str = ""
    """Which of several control planes it belongs to, as the injector says; empty where nobody does."""
    node: str = ""
    restarts: int = 0
    """How often the container was started anew; each time it is another Envoy, with nothing in it."""
    cluster: str = ""
    """Which cluster it runs in, where a mesh has several; empty in the one that holds the configuration."""
    cluster_id: str = UNNAMED_CLUSTER
    """How Istio calls that cluster."""

    @property
    def life(self) -> tuple[str, int]:
        """What no other Envoy has: the pod, and which start of its container this is."""
        return (self.uid, self.restarts)

    @property
    def condition(self) -> Condition:
        """Where the pod stands in its life."""
        if self.terminating:
            return Condition.TERMINATING
        return Condition.READY if self.ready else Condition.STARTING

    @property
    def name(self) -> str:
        """``pod.namespace``, as Envoy and istiod call it; two clusters may have one of that name."""
        return f"{self.pod}.{self.namespace}"

    @property
    def id(self) -> ProxyId:
        """What no other proxy of the mesh is called."""
        return _proxy_id(self.cluster, self.name)

    @property
    def place(self) -> str:
        """``namespace/pod``, and before it the cluster: how ``--exclude`` names it."""
        return "/".join(filter(None, (self.cluster, self.namespace, self.pod)))

    def class_by(self, label_keys: Collection[str]) -> ProxyClass:
        """Return the class of this proxy where only these labels can matter."""
        chosen = tuple(pair for pair in self.labels.pairs if pair[0] in label_keys)
        return ProxyClass(self.role, self.namespace, Labels(chosen))


def proxy_of_pod(pod: Resource) -> Proxy | None:
    """Return the Envoy that a pod runs, or None where none runs."""
    container = next((c for c in _containers(pod) if c.get("name") == PROXY_CONTAINER), None)
    status = pod.document.get("status") or {}
    if container is None or _is_proxyless(pod) or ZTUNNEL in (container.get("args") or ()):
        return None
    own = _reported(status)
    # One that waits to start, or has ended, serves nothing.
    if not ("running" in (own.get("state") or {}) if own else status.get("phase") == "Running"):
        return None
    return Proxy(
        namespace=pod.id.namespace,
        pod=pod.id.name,
        uid=str(pod.metadata.get("uid", "")),
        role=_role(container),
        labels=Labels.of(pod.labels),
        ready=any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ()),
        terminating=bool(pod.metadata.get("deletionTimestamp")),
        version=_tag(str(container.get("image") or "")),
        revision=_injector(pod),
        node=str(pod.spec.get("nodeName") or ""),
        restarts=int(own.get("restartCount") or 0),
        cluster=pod.id.cluster,
        cluster_id=_cluster_id(container),
    )


def has_sidecar(pod: Resource) -> bool:
    """Tell whether an Envoy stands before a pod, which enforces what policies say."""
    return any(
        one.get("name") == PROXY_CONTAINER and ZTUNNEL not in (one.get("args") or ()) for one in _containers(pod)
    )


def is_marked(pod: Resource) -> bool:
    """Tell whether istiod lets clients send a pod mutual TLS by themselves: it goes by the injector's label alone.

    Istio's rule: ``GetTLSModeFromEndpointLabels``, which looks at no container.
    """
    return pod.labels.get(TLS_MODE) == "istio"


def proxyless_of_pod(pod: Resource) -> ProxyId | None:
    """Return the name of a running pod whose application speaks xDS itself, so that no admin port can be read."""
    running = (pod.document.get("status") or {}).get("phase") == "Running"
    own = _proxy_id(pod.id.cluster, f"{pod.id.name}.{pod.id.namespace}")
    return own if running and _is_proxyless(pod) else None


def revision_of(pod: Resource) -> str:
    """Return the revision of a label, or else the one that injected the pod; empty where none is said."""
    return str(pod.labels.get(REVISION) or _injector(pod))


def _proxy_id(cluster: str, name: str) -> ProxyId:
    return ProxyId(f"{cluster}/{name}" if cluster else name)


def _cluster_id(container: Document) -> str:
    values = (one.get("value") for one in container.get("env") or () if one.get("name") == CLUSTER_ID)
    return str(next(values, None) or UNNAMED_CLUSTER)


def _is_proxyless(pod: Resource) -> bool:
    templates = str((pod.metadata.get("annotations") or {}).get(TEMPLATES) or "")
    return not PROXYLESS.isdisjoint(one.strip() for one in templates.split(","))


def _injector(pod: Resource) -> str:
    """Return the revision that injected a pod. The label that asked for it may be a tag, which is no revision."""
    annotations = pod.metadata.get("annotations") or {}
    return _injected(annotations.get(INJECTED)) or str(annotations.get(REVISION) or "")


def _injected(status: object) -> str:
    try:
        told = json.loads(str(status or "{}"))
    except (ValueError, RecursionError):
        return ""
    return str(told.get("revision") or "") if isinstance(told, dict) else ""


def _containers(pod: Resource) -> Iterator[Document]:
    yield from pod.spec.get("containers") or ()
    yield from pod.spec.get("initContainers") or ()


def _reported(status: Document) -> Document:
    """Return what the kubelet says of the proxy's container; nothing where it is silent."""
    reported = (*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ()))
    return next((one for one in reported if one.get("name") == PROXY_CONTAINER), {})


def _tag(image: str) -> str:
    """Return ``1.24.1-distroless`` for ``docker.io/istio/proxyv2:1.24.1-distroless@sha256:...``."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def _role(container: Document) -> Role:
    arguments = container.get("args") or ()
    if "waypoint" in arguments:
        return Role.WAYPOINT
    return Role.GATEWAY if "router" in arguments else Role.SIDECAR
