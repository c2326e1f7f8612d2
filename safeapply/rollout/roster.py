"""Which proxies, and which replicas of istiod, run at this moment: listed, then followed by watch.

A watch that has died without a word looks like a quiet cluster, so whoever is about to act on the roster has it
confirmed by a fresh list. Where the API server forbids or breaks off the watch, lists take its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import assert_never

from safeapply.errors import ClusterError
from safeapply.istio.kinds import POD
from safeapply.istio.proxies import Proxy, ProxyId, proxy_of_pod, proxyless_of_pod
from safeapply.istio.replicas import Replica, replica_of_pod
from safeapply.ports import Changed, Clock, Cluster, Gone, Listed, Sighting
from safeapply.resources.objects import Namespace, Resource
from safeapply.rollout.inquiry import Pace

__all__ = ["Roster"]


@dataclass(slots=True)
class Roster:
    """The pods of the mesh that matter to a rollout."""

    cluster: Cluster
    clock: Clock
    pace: Pace
    root_namespace: Namespace
    stirred: Callable[[], None]
    """Called whenever something has changed."""
    listed: bool = False
    """Whether it is known at all who runs."""
    edition: int = 0
    """Grows with every change."""
    silence: str = ""
    """Why it is not known who runs at this moment; empty while it is."""
    _proxies: dict[str, Proxy] = field(default_factory=dict)
    _replicas: dict[str, Replica] = field(default_factory=dict)
    _proxyless: dict[str, ProxyId] = field(default_factory=dict)
    _task: asyncio.Task[None] | None = None

    @property
    def proxyless(self) -> tuple[ProxyId, ...]:
        """The pods whose applications speak xDS themselves."""
        return tuple(self._proxyless.values())

    @property
    def proxies(self) -> tuple[Proxy, ...]:
        """The Envoys that run."""
        return tuple(self._proxies.values())

    @property
    def replicas(self) -> tuple[Replica, ...]:
        """The replicas of istiod that run in the first cluster: those of another read other objects."""
        return tuple(one for one in self._replicas.values() if not one.cluster)

    def begin(self) -> None:
        """Follow the pods from now on."""
        self._task = asyncio.create_task(self._follow())

    def check(self) -> None:
        """Raise what went wrong in following, other than an API server that is silent."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    async def end(self) -> None:
        """Follow no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def confirmed(self) -> bool:
        """Tell whether a fresh list shows the same; where it does not, begin to follow anew."""
        try:
            pods = await self.cluster.list((POD,))
        except ClusterError as error:
            # A moment's silence of the API server is no reason to stop; nothing is confirmed meanwhile.
            self.silence = str(error)
            return False
        self.silence = ""
        if _proxies(pods) == self._proxies:
            return True
        await self.end()
        self.begin()
        return False

    async def _follow(self) -> None:
        while True:
            try:
                async with aclosing(self.cluster.watch(POD)) as sightings:
                    async for sighting in sightings:
                        self._take(sighting)
                        if isinstance(sighting, Listed):
                            await self.clock.sleep(self.pace.watching)
            except ClusterError as error:
                if not self.listed:
                    self.silence = str(error)
            await self.clock.sleep(self.pace.listing)

    def _take(self, sighting: Sighting) -> None:
        match sighting:
            case Listed(resources=pods, untold=untold):
                self._proxies = _proxies(pods)
                replicas = (replica_of_pod(pod, self.root_namespace) for pod in pods)
                self._replicas = {one.uid: one for one in replicas if one is not None}
                self._proxyless = {_uid(pod): one for pod in pods if (one := proxyless_of_pod(pod)) is not None}
                self.listed, self.silence = not untold, _silence(untold)
            case Changed(resource=pod):
                self._proxyless.pop(_uid(pod), None)
                if (proxyless := proxyless_of_pod(pod)) is not None:
                    self._proxyless[_uid(pod)] = proxyless
                if not self._update(pod, proxy_of_pod(pod), replica_of_pod(pod, self.root_namespace)):
                    return
            case Gone(resource=pod):
                self._proxyless.pop(_uid(pod), None)
                self._update(pod, None, None)
            case _:
                assert_never(sighting)
        self.edition += 1
        self.stirred()

    def _update(self, pod: Resource, proxy: Proxy | None, replica: Replica | None) -> bool:
        """Take one pod for what it is now; tell whether that is something else than before."""
        uid = _uid(pod)
        before = self._proxies.pop(uid, None), self._replicas.pop(uid, None)
        if proxy is not None:
            self._proxies[uid] = proxy
        if replica is not None:
            self._replicas[uid] = replica
        return before != (proxy, replica)


def _silence(untold: Iterable[str]) -> str:
    named = ", ".join(untold)
    return f"cluster {named} of the mesh has not told yet which pods run there" if named else ""


def _proxies(pods: Iterable[Resource]) -> dict[str, Proxy]:
    proxies = (proxy_of_pod(pod) for pod in pods)
    return {one.uid: one for one in proxies if one is not None}


def _uid(pod: Resource) -> str:
    return str(pod.metadata.get("uid", ""))
