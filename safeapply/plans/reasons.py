"""Why a step comes when it comes, in one sentence that names the outage it prevents (DESIGN 4.6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

from safeapply.plans.transition import Transition
from safeapply.plans.writes import Write
from safeapply.xds.expectations import ClusterAbsent, ClusterActive, ClusterUnreferenced, Expectation, RouteRefers
from safeapply.xds.names import ClusterName, parse_cluster

__all__ = ["reason", "spoken"]


def reason(transition: Transition, writes: Sequence[Write], expectations: Iterable[Expectation]) -> str:
    """Return why these writes wait for these expectations, or why they need not wait."""
    needed: list[ClusterName] = []
    freed: list[ClusterName] = []
    for one in expectations:
        match one:
            case ClusterActive(cluster=cluster):
                needed.append(cluster)
            case ClusterUnreferenced(cluster=cluster):
                freed.append(cluster)
            case ClusterAbsent() | RouteRefers():
                pass
            case _:
                assert_never(one)
    sentences = [*_needed(needed), *_freed(freed), *_bridged(transition, writes)]
    return " ".join(sentences) or "Nothing else depends on the order of these writes."


def _needed(clusters: list[ClusterName]) -> Iterable[str]:
    if clusters:
        yield (
            f"Routes move to {spoken(clusters)}: a proxy that got the route before the cluster would answer 503 NC."
        )


def _freed(clusters: list[ClusterName]) -> Iterable[str]:
    if clusters:
        yield (
            f"{spoken(clusters)} can go only when no proxy routes there any more: Envoy drops a cluster before "
            "it gets the new routes, and would answer 503 NC."
        )


def _bridged(transition: Transition, writes: Iterable[Write]) -> Iterable[str]:
    kept = [transition.bridges[write.id] for write in writes if write.bridge]
    if kept:
        names = ", ".join(f"{rule.id.namespace}/{rule.id.name}" for rule in kept)
        yield f"DestinationRule {names} holds the old and the new subsets at once, so that routes can move safely."


def spoken(clusters: Iterable[ClusterName]) -> str:
    """Return clusters as operators speak of them: ``subset v2 of reviews.default.svc.cluster.local``."""
    hosts: dict[str, dict[str, None]] = {}
    for name in clusters:
        parts = parse_cluster(name)
        if parts is None:
            hosts.setdefault(name, {})
        else:
            hosts.setdefault(parts.host, {})[parts.subset] = None
    return "; ".join(_host(host, [s for s in subsets if s]) for host, subsets in hosts.items())


def _host(host: str, subsets: list[str]) -> str:
    if not subsets:
        return host
    return f"{'subset' if len(subsets) == 1 else 'subsets'} {', '.join(subsets)} of {host}"
