"""The outside world as safeapply sees it: a cluster, its proxies, a clock.

Ports hand over wire documents; the core parses them. ``adapters`` implements them for real, and the same
tests run against the sandbox and, on request, against a real cluster.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from safeapply.istio.proxies import Proxy
from safeapply.istio.replicas import Replica
from safeapply.resources.objects import GroupKind, Namespace, Resource, ResourceId

__all__ = [
    "Answer",
    "Changed",
    "Clock",
    "Cluster",
    "Gone",
    "Istiods",
    "Listed",
    "Proxies",
    "Sighting",
]


@dataclass(frozen=True, slots=True)
class Listed:
    """All objects of a kind, whatever was told before."""

    resources: tuple[Resource, ...]
    untold: tuple[str, ...] = ()
    """The clusters of the mesh of which it is not known yet what they have."""


@dataclass(frozen=True, slots=True)
class Changed:
    """An object appeared, or is another version now."""

    resource: Resource


@dataclass(frozen=True, slots=True)
class Gone:
    """An object was deleted; this is the last of it."""

    resource: Resource


Sighting: TypeAlias = Listed | Changed | Gone


class Cluster(Protocol):
    """One Kubernetes API server.

    Every method may raise ``ClusterUnreachableError``, or ``ClusterError`` for an answer that makes no sense.
    """

    async def list(self, kinds: Collection[GroupKind]) -> tuple[Resource, ...]:
        """Return all objects of these kinds in all namespaces; kinds that the server lacks have none."""
        ...

    def watch(self, kind: GroupKind) -> AsyncGenerator[Sighting, None]:
        """Tell what there is of a kind, and then every change, without end.

        What there is is told again whenever the server has forgotten the changes since.

        Raises:
            ClusterError: it cannot be watched, or not any more; begin again.
        """
        ...

    async def get(self, resource_id: ResourceId) -> Resource | None:
        """Return one object, or None where it does not exist."""
        ...

    async def username(self) -> str:
        """Return whom the server takes the user for, in its own words: nobody can claim to be another.

        Raises:
            ClusterError: it does not say.
        """
        ...

    async def select(
        self, kinds: Collection[GroupKind], namespaces: Collection[Namespace], selector: str
    ) -> tuple[Resource, ...]:
        """Return the objects of these kinds that a label selector finds, cluster-wide kinds without a namespace."""
        ...

    async def apply(self, resource: Resource, *, dry_run: bool = False, manager: str = "") -> Resource:
        """Write an object by server-side apply and return what the server made of it.

        Where the document carries ``metadata.resourceVersion``, it is a precondition. A manager of a special task
        is the only one that writes its fields, so whoever else has written them has to give way.

        Raises:
            RejectedError: validation, admission, a field conflict, or missing rights.
            ClusterChangedError: the object is not at the given resourceVersion any more.
        """
        ...

    async def create(self, resource: Resource) -> Resource:
        """Create an object and return what the server made of it.

        Raises:
            RejectedError: validation, admission, or missing rights.
            ClusterChangedError: there is one of this name by now.
        """
        ...

    async def delete(self, resource: Resource, *, dry_run: bool = False) -> None:
        """Delete an object; the document's uid and resourceVersion are preconditions. Absent is fine.

        Raises:
            RejectedError: admission or missing rights.
            ClusterChangedError: it is another object, or another version, by now.
        """
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What an Envoy's admin port answered, judged by nobody yet."""

    status: int
    body: bytes
    seconds: float = 0.0
    """How long it took, waiting for a turn to ask left out; 0 where nobody looked."""


class Proxies(Protocol):
    """The admin ports of the Envoys."""

    async def ask(self, proxy: Proxy, path: str, *, deadline: float) -> Answer:
        """GET a path of one Envoy's admin interface within ``deadline`` seconds.

        Raises:
            ProxyError: no whole HTTP answer came back.
        """
        ...

    async def release(self, proxy: Proxy) -> None:
        """Close what is kept open towards a proxy, because it will not be asked again soon."""
        ...


class Istiods(Protocol):
    """The debug pages of istiod's replicas."""

    async def ask(self, replica: Replica, path: str, *, deadline: float) -> Answer:
        """GET a path of one replica's debug pages within ``deadline`` seconds.

        Raises:
            IstiodError: no whole HTTP answer came back.
        """
        ...


class Clock(Protocol):
    """Time that passes, so that tests can make it jump."""

    def now(self) -> float:
        """Return seconds on a scale that never goes back."""
        ...

    def wall(self) -> datetime:
        """Return the date and time, in UTC: leases are compared across machines."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after this long."""
        ...
