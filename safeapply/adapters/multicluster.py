"""One mesh on several Kubernetes clusters: its first holds the configuration, the others are its remotes.

istiod reads configuration from the first alone, and Services and pods from all (istio ``aggregate``); so that is
what is read here, and only the first is written to. Proxies run in all of them: a remote that does not tell which,
has to be waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, Protocol, assert_never

from safeapply.adapters.access import ClusterAccess
from safeapply.adapters.connection import Connection, connected
from safeapply.adapters.istiod import IstiodPages
from safeapply.adapters.kube import KubeCluster
from safeapply.errors import ClusterError, ForbiddenError, RemoteUnreachableError, UsageError
from safeapply.istio.kinds import POD, SERVICE
from safeapply.istio.proxies import Proxy
from safeapply.istio.replicas import Replica
from safeapply.ports import Answer, Changed, Cluster, Gone, Istiods, Listed, Proxies, Sighting
from safeapply.resources.objects import GroupKind, Namespace, Resource, ResourceId

__all__ = ["READ_THERE", "Connections", "ManyClusters", "ManyIstiods", "ManyProxies", "all_connected"]

READ_THERE: Final = (SERVICE, POD)
"""What istiod reads in every cluster of its mesh."""


@dataclass(frozen=True, slots=True)
class Connections:
    """The ways to the clusters of a mesh."""

    home: Connection
    """To the one that holds the configuration."""
    remotes: Mapping[str, Connection]
    """To the others, by their contexts."""

    @property
    def by_name(self) -> Mapping[str, Connection]:
        """All of them; the first has no name."""
        return {"": self.home, **self.remotes}

    def cluster(self, *, force_conflicts: bool = False) -> KubeCluster | ManyClusters:
        """Return what is behind them as one cluster, whose configuration the first holds."""
        home = KubeCluster(self.home, force_conflicts)
        return (
            ManyClusters(home, {name: KubeCluster(one) for name, one in self.remotes.items()})
            if self.remotes
            else home
        )

    def istiods(self) -> ClosingIstiods:
        """Return the replicas of istiod in all of them."""
        if not self.remotes:
            return IstiodPages(self.home)
        return ManyIstiods({name: IstiodPages(one) for name, one in self.by_name.items()})


@asynccontextmanager
async def all_connected(access: ClusterAccess) -> AsyncIterator[Connections]:
    """Open a connection to every cluster that is asked for.

    Raises:
        UsageError: two contexts lead to one API server.
        ClusterError: there is no kubeconfig, it lacks a context, or a plugin gives no credentials.
    """
    async with AsyncExitStack() as stack:
        home = await stack.enter_async_context(connected(access))
        seen, remotes = {home.server: access.context}, dict[str, Connection]()
        for name in access.remotes:
            remotes[name] = await stack.enter_async_context(connected(replace(access, context=name, remotes=())))
            if (known := seen.setdefault(remotes[name].server, name)) != name:
                raise UsageError(
                    f"--context {known} and --context {name} lead to one API server, {remotes[name].server}: "
                    "name each cluster once"
                )
        yield Connections(home, remotes)


@dataclass(frozen=True, slots=True)
class ManyClusters:
    """The ``Cluster`` port on several API servers: an object of a remote says in its id where it is."""

    home: KubeCluster
    remotes: Mapping[str, Cluster]

    async def list(self, kinds: Collection[GroupKind]) -> tuple[Resource, ...]:
        """Return all objects of these kinds, with the Services and pods of the remotes.

        Raises:
            RemoteUnreachableError: a remote does not tell what it has.
        """
        shared = tuple(kind for kind in kinds if kind in READ_THERE)
        own = self.home.list(kinds)
        if not shared:
            return await own
        found = await asyncio.gather(own, *(_listed(name, one, shared) for name, one in self.remotes.items()))
        return tuple(resource for several in found for resource in several)

    async def watch(self, kind: GroupKind) -> AsyncGenerator[Sighting, None]:
        """Tell what there is of a kind in all clusters together, as far as they have told, and then every change.

        Raises:
            ClusterError: some cluster does not let it be watched, or not any more; begin again.
        """
        clusters = {"": self.home, **(self.remotes if kind in READ_THERE else {})}
        known: dict[str, dict[ResourceId, Resource]] = {}
        async with aclosing(_merged({name: one.watch(kind) for name, one in clusters.items()})) as sightings:
            async for name, sighting in sightings:
                told = _placed(sighting, name)
                _note(known.setdefault(name, {}), told)
                if "" not in known:
                    continue
                if isinstance(told, Listed):
                    untold = tuple(one for one in clusters if one not in known)
                    yield Listed(tuple(one for there in known.values() for one in there.values()), untold)
                else:
                    yield told

    async def plural(self, kind: GroupKind) -> str | None:
        """Return how the first cluster calls the collection of a kind."""
        return await self.home.plural(kind)

    async def username(self) -> str:
        """Return whom the first cluster takes the user for."""
        return await self.home.username()

    async def get(self, resource_id: ResourceId) -> Resource | None:
        """Return one object of the first cluster."""
        return await self.home.get(resource_id)

    async def select(
        self, kinds: Collection[GroupKind], namespaces: Collection[Namespace], selector: str
    ) -> tuple[Resource, ...]:
        """Return the objects of the first cluster that a label selector finds."""
        return await self.home.select(kinds, namespaces, selector)

    async def apply(self, resource: Resource, *, dry_run: bool = False, manager: str = "") -> Resource:
        """Write an object to the first cluster."""
        return await self.home.apply(resource, dry_run=dry_run, manager=manager)

    async def create(self, resource: Resource) -> Resource:
        """Create an object in the first cluster."""
        return await self.home.create(resource)

    async def delete(self, resource: Resource, *, dry_run: bool = False) -> None:
        """Delete an object of the first cluster."""
        await self.home.delete(resource, dry_run=dry_run)


class _Closing(Protocol):
    async def close(self) -> None: ...


class ClosingProxies(Proxies, _Closing, Protocol):
    """Admin ports that are kept open until ``close``."""


class ClosingIstiods(Istiods, _Closing, Protocol):
    """Debug pages that are kept open until ``close``."""


@dataclass(frozen=True, slots=True)
class ManyProxies:
    """The ``Proxies`` port: each Envoy is asked through the API server of its own cluster."""

    clusters: Mapping[str, ClosingProxies]
    """By name; the first has none."""

    async def ask(self, proxy: Proxy, path: str, *, deadline: float) -> Answer:
        """GET a path of one Envoy's admin interface."""
        return await self.clusters[proxy.cluster].ask(proxy, path, deadline=deadline)

    async def release(self, proxy: Proxy) -> None:
        """Close what is kept open towards a proxy."""
        await self.clusters[proxy.cluster].release(proxy)

    async def close(self) -> None:
        """Close everything."""
        await asyncio.gather(*(one.close() for one in self.clusters.values()))


@dataclass(frozen=True, slots=True)
class ManyIstiods:
    """The ``Istiods`` port: each replica is asked through the API server of its own cluster."""

    clusters: Mapping[str, ClosingIstiods]

    async def ask(self, replica: Replica, path: str, *, deadline: float) -> Answer:
        """GET a path of one replica's debug pages."""
        return await self.clusters[replica.cluster].ask(replica, path, deadline=deadline)

    async def close(self) -> None:
        """Close everything."""
        await asyncio.gather(*(one.close() for one in self.clusters.values()))


async def _listed(name: str, cluster: Cluster, kinds: Collection[GroupKind]) -> tuple[Resource, ...]:
    try:
        return tuple(_in(name, await cluster.list(kinds)))
    except ClusterError as error:
        raise _of(name, error) from error


def _of(name: str, error: ClusterError) -> ClusterError:
    """Return an error of a remote as one that names it."""
    if isinstance(error, ForbiddenError):
        return ForbiddenError(error.missing, f"{error.user or 'the user'} of context {name}")
    return error if isinstance(error, RemoteUnreachableError) else RemoteUnreachableError(name, str(error))


def _in(name: str, resources: Iterable[Resource]) -> Iterable[Resource]:
    return (replace(one, id=replace(one.id, cluster=name)) for one in resources)


def _placed(sighting: Sighting, name: str) -> Sighting:
    match sighting:
        case Listed(resources=resources):
            return Listed(tuple(_in(name, resources)))
        case Changed(resource=one) | Gone(resource=one):
            return replace(sighting, resource=replace(one, id=replace(one.id, cluster=name)))
        case _:
            assert_never(sighting)


def _note(known: dict[ResourceId, Resource], sighting: Sighting) -> None:
    """Take a sighting into what is known of one cluster."""
    match sighting:
        case Listed(resources=resources):
            known.clear()
            known.update((one.id, one) for one in resources)
        case Changed(resource=one):
            known[one.id] = one
        case Gone(resource=one):
            known.pop(one.id, None)
        case _:
            assert_never(sighting)


async def _merged(
    sources: Mapping[str, AsyncGenerator[Sighting, None]],
) -> AsyncGenerator[tuple[str, Sighting], None]:
    """Yield what several watches tell, as it comes; where one breaks off, all end.

    Raises:
        ClusterError: what the one that broke off said.
    """
    told: asyncio.Queue[tuple[str, Sighting | Exception]] = asyncio.Queue()

    async def follow(name: str, source: AsyncGenerator[Sighting, None]) -> None:
        try:
            async with aclosing(source):
                async for sighting in source:
                    told.put_nowait((name, sighting))
        except Exception as error:  # noqa: BLE001  raised where it is waited for
            told.put_nowait((name, error))

    tasks = [asyncio.create_task(follow(*one)) for one in sources.items()]
    try:
        while True:
            name, one = await told.get()
            if isinstance(one, ClusterError) and name:
                raise _of(name, one) from one
            if isinstance(one, Exception):
                raise one
            yield name, one
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
