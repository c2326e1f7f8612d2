"""Who does not count, and whom no istiod knows: what is said of proxies beside what they show themselves.

A proxy that is connected to no replica of istiod goes on with what it has, and gets whatever a replica gives it
when it is back; so nothing is removed as long as one is there, unless the operator says that it does not count.
Only where every replica could be asked: what a silent one knows is not known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from safeapply.istio.proxies import Proxy
from safeapply.istio.replicas import Replica, Spoken
from safeapply.ports import Istiods
from safeapply.rollout.census import hear
from safeapply.rollout.events import Straggler

__all__ = ["is_excluded", "strangers"]


def is_excluded(proxy: Proxy, patterns: Iterable[str]) -> bool:
    """Tell whether some ``[CONTEXT/]NAMESPACE/POD`` names the proxy; ``*``, ``?`` and ``[...]`` are the shell's."""
    return any(_names(one, proxy) for one in patterns)


async def strangers(
    istiods: Istiods, replicas: Collection[Replica], proxies: Iterable[Proxy]
) -> tuple[Straggler, ...]:
    """Return the running proxies that no replica knows; none where a replica is silent."""
    hearings = await hear(istiods, replicas)
    if not hearings or any(one.silence for one in hearings):
        return ()
    spoken = Spoken.of(hearings)
    return tuple(
        Straggler(
            one.id,
            "is connected to no replica of istiod, so nothing is removed; restart or delete the pod, or say "
            f"--exclude {one.place} if it does not count",
        )
        for one in proxies
        if spoken.about(one) is None and not one.terminating
    )


def _names(pattern: str, proxy: Proxy) -> bool:
    """Tell whether a pattern names a proxy, part by part; a context may have slashes of its own."""
    *cluster, namespace, pod = pattern.rsplit("/", 2)
    parts = ((proxy.cluster, "".join(cluster)), (proxy.namespace, namespace), (proxy.pod, pod))
    return all(fnmatchcase(told, one) for told, one in parts)
