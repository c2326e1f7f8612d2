"""Who runs in the mesh, and what istiod says of each: a look, from which nothing follows by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from safeapply.errors import IstiodError
from safeapply.istio.kinds import POD
from safeapply.istio.proxies import proxy_of_pod
from safeapply.istio.replicas import SYNCZ, Census, Hearing, Replica, connected, replica_of_pod
from safeapply.ports import Cluster, Istiods
from safeapply.resources.objects import Namespace

__all__ = ["hear", "take_census"]

PATIENCE = 10.0
"""Seconds that one replica may take to answer."""


async def take_census(cluster: Cluster, istiods: Istiods, root_namespace: Namespace) -> Census:
    """List the proxies, and ask every replica of istiod who is connected to it.

    Raises:
        ClusterError: the pods cannot be listed.
    """
    pods = await cluster.list((POD,))
    replicas = (replica_of_pod(pod, root_namespace) for pod in pods)
    hearings = await hear(istiods, (one for one in replicas if one is not None))
    proxies = (proxy_of_pod(pod) for pod in pods)
    return Census(
        tuple(
            sorted(
                (one for one in proxies if one is not None), key=lambda one: (one.cluster, one.namespace, one.pod)
            )
        ),
        tuple(sorted(hearings, key=lambda one: one.replica.id)),
    )


async def hear(istiods: Istiods, replicas: Iterable[Replica]) -> tuple[Hearing, ...]:
    """Ask replicas of istiod who is connected to them."""
    return tuple(await asyncio.gather(*(_hear(istiods, one) for one in replicas)))


async def _hear(istiods: Istiods, replica: Replica) -> Hearing:
    try:
        answer = await istiods.ask(replica, SYNCZ, deadline=PATIENCE)
        return Hearing(replica, connected(replica, answer.status, answer.body))
    except IstiodError as error:
        return Hearing(replica, silence=error.reason)
