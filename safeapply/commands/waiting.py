"""Connect, and wait for conditions. Ports meet adapters here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from safeapply.adapters.access import ClusterAccess
from safeapply.adapters.clock import SystemClock
from safeapply.adapters.multicluster import all_connected
from safeapply.commands.conditions import condition_of
from safeapply.commands.primaries import check_primaries
from safeapply.commands.reach import Reach
from safeapply.commands.rights import Rights
from safeapply.istio.kinds import POD
from safeapply.istio.proxies import Traits
from safeapply.resources.objects import Namespace
from safeapply.rollout.awaiting import Awaiting
from safeapply.rollout.events import Event
from safeapply.rollout.poller import DEFAULT_PACE, Poller

__all__ = ["Terms", "wait_for"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What is waited for, and how."""

    texts: tuple[str, ...]
    """The conditions as they were asked for."""
    namespace: Namespace | None
    patience: float
    """Seconds."""
    reach: Reach
    root_namespace: Namespace
    access: ClusterAccess


async def wait_for(terms: Terms, *, emit: Callable[[Event], None], say: Callable[[str], None]) -> None:
    """Return when all conditions are met.

    Args:
        terms: what is waited for.
        emit: is told how far the proxies are.
        say: is told, in a sentence, what the cluster itself lacks.

    Raises:
        BarrierTimeoutError: the time was too short.
        UsageError: a condition makes no sense, or can never be met.
        ClusterError: the cluster cannot be read.
    """
    async with all_connected(terms.access) as connections:
        cluster = connections.cluster()
        rights = Rights(connections, cluster.plural, terms.reach.way, terms.root_namespace)
        async with rights.all_named():
            pods = await cluster.list((POD,))
            await rights.check_waiting(pods)
        check_primaries(pods, terms.root_namespace, terms.reach.exclude)
        default = terms.namespace or Namespace(connections.home.namespace)
        proxies = terms.reach.proxies(connections)
        pages = connections.istiods()
        poller = Poller(
            cluster,
            proxies,
            SystemClock(),
            emit,
            Traits(),
            DEFAULT_PACE,
            pages,
            root_namespace=terms.root_namespace,
            exclude=terms.reach.exclude,
        )
        conditions = {text: condition_of(text, default) for text in terms.texts}
        try:
            await Awaiting(conditions, poller, terms.root_namespace, say).all_met(terms.patience)
        finally:
            await asyncio.gather(proxies.close(), pages.close())
