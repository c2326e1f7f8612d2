"""Who does not count, and whom no istiod knows: what is said of proxies beside what they show themselves.

A proxy that is connected to no replica of istiod goes on with what it has, and gets whatever a replica gives it
when it is back; so nothing is removed as long as one is there, unless the operator says that it does not count.
Only where every replica could be asked: what a silent one knows is not known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from safeapply.istio.proxies import Proxy
from safeapply.istio.replicas import Replica
from safeapply.ports import Istiods
from safeapply.rollout.census import hear
from safeapply.rollout.events import Straggler

__all__ = ["is_excluded", "strangers"]


def is_excluded(proxy: Proxy, patterns: Iterable[str]) -> bool:
    """Tell whether some ``NAMESPACE/POD`` names the proxy; ``*``, ``?`` and ``[...]`` are the shell's."""
    return any(fnmatchcase(f"{proxy.namespace}/{proxy.pod}", one) for one in patterns)


async def strangers(
    istiods: Istiods, replicas: Collection[Replica], proxies: Iterable[Proxy]
) -> tuple[Straggler, ...]:
    """Return the running proxies that no replica knows; none where a replica is silent."""
    hearings = await hear(istiods, replicas)
    if not hearings or any(one.silence for one in hearings):
        return ()
    known = {one.proxy for hearing in hearings for one in hearing.connected}
    return tuple(
        Straggler(
            one.id,
            "is connected to no replica of istiod, so nothing is removed; restart or delete the pod, or say "
            f"--exclude {one.namespace}/{one.pod} if it does not count",
        )
        for one in proxies
        if one.id not in known and not one.terminating
    )
