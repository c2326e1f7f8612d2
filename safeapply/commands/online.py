"""A plan against a cluster, for those who only look: nothing is loaded here that a rollout alone needs."""

from __future__ import annotations

from collections.abc import Callable

from safeapply.adapters.access import ClusterAccess
from safeapply.adapters.multicluster import all_connected
from safeapply.commands.planning import Planned, Wanted, plan_against
from safeapply.resources.objects import Namespace

__all__ = ["Wants", "plan_online"]

Wants = Callable[[Namespace], Wanted]
"""What is wanted, once the default namespace is known."""


async def plan_online(wants: Wants, access: ClusterAccess) -> Planned:
    """Plan against a cluster and write nothing.

    Raises:
        SafeApplyError: the cluster cannot be read, or the manifests cannot be used.
    """
    async with all_connected(access) as connections:
        return await plan_against(wants(Namespace(connections.home.namespace)), connections.cluster())
