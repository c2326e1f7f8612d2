"""Why a step comes when it comes, in one sentence that names the outage it prevents (DESIGN 4.6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from safeapply.istio.kinds import DESTINATION_RULE, PEER_AUTHENTICATION, VIRTUAL_SERVICE
from safeapply.plans.transition import Transition
from safeapply.plans.versions import Stage
from safeapply.plans.writes import Write
from safeapply.resources.objects import GroupKind
from safeapply.xds.expectations import ClusterActive, ClusterUnreferenced, Expectation, RouteReleased
from safeapply.xds.names import ClusterName, parse_cluster

__all__ = ["INDIFFERENT", "reason", "spoken"]

INDIFFERENT = "Nothing else depends on the order of these writes."
HOLDS_BOTH = "holds what is live and what is desired at once, so that routes can move safely"
PINS = (
    "lets clients send plaintext for a while: automatic mTLS would follow the PeerAuthentication at another moment "
    "than their servers do"
)
_HOLDS = {
    PEER_AUTHENTICATION: "lets in what is accepted live and what will be, so that clients can change over",
    DESTINATION_RULE: "holds the old and the new subsets at once, so that routes can move safely",
    VIRTUAL_SERVICE: "names at weight 0 what its routes come to or come from: a proxy whose Sidecar limits its "
    "scope has the clusters of a host only while some route names it",
}


def reason(
    transition: Transition,
    writes: Sequence[Write],
    expectations: Iterable[Expectation],
    following: Iterable[Expectation],
) -> str:
    """Return why these writes wait for these expectations, or what they prepare for the following ones."""
    expected = list(expectations)
    needed = [one.cluster for one in expected if isinstance(one, ClusterActive)]
    freed = [one.cluster for one in expected if isinstance(one, ClusterUnreferenced)]
    left = [one for one in expected if isinstance(one, RouteReleased) and one.cluster not in freed]
    sentences = [*_needed(needed), *_freed(freed), *_left(left), *_bridged(transition, writes)]
    return " ".join(sentences or _prepared(following)) or INDIFFERENT


def _prepared(following: Iterable[Expectation]) -> Iterable[str]:
    """Say what a step that waits for nothing makes possible."""
    listed = list(following)
    added = [one.cluster for one in listed if isinstance(one, ClusterActive)]
    released = [one.cluster for one in listed if isinstance(one, ClusterUnreferenced)]
    left = [one for one in listed if isinstance(one, RouteReleased) and one.cluster not in released]
    if added:
        yield f"{_capital(spoken(added))} must be on every proxy before a route names it."
    if released:
        yield f"Routes let go of {spoken(released)}, which is removed next."
    if left:
        yield f"{_capital(_routes(left))} must be gone from every proxy before what follows."


def _needed(clusters: list[ClusterName]) -> Iterable[str]:
    if clusters:
        yield (
            f"Routes move to {spoken(clusters)}: a proxy that got the route before the cluster would answer 503 NC."
        )


def _freed(clusters: list[ClusterName]) -> Iterable[str]:
    if clusters:
        yield (
            f"{_capital(spoken(clusters))} can go only when no proxy routes there any more: Envoy drops a "
            "cluster before it gets the new routes, and would answer 503 NC."
        )


def _left(released: list[RouteReleased]) -> Iterable[str]:
    if released:
        yield (
            f"{_capital(_routes(released))} must be gone from every proxy first: one that still had them would "
            "meet what changes now, and could answer 503 NC."
        )


def _routes(released: Iterable[RouteReleased]) -> str:
    """Return which routes: ``routes of ratings... to subset v1 of reviews...``."""
    hosts: dict[str, list[ClusterName]] = {}
    for one in released:
        hosts.setdefault(f"of {one.host}" if one.host else "of TCP listeners", []).append(one.cluster)
    return " and ".join(f"routes {place} to {spoken(clusters)}" for place, clusters in hosts.items())


def _bridged(transition: Transition, writes: Iterable[Write]) -> Iterable[str]:
    told: dict[tuple[GroupKind, str], list[str]] = {}
    for write in writes:
        if write.stage in transition.bridges[write.id]:
            kind = write.id.group_kind
            # A search has widened who sees a route, and not what it names.
            widened = kind == VIRTUAL_SERVICE and write.id in transition.on_their_way
            known = HOLDS_BOTH if widened else _HOLDS.get(kind, HOLDS_BOTH)
            holds = PINS if write.stage is Stage.PINNED else known
            told.setdefault((kind, holds), []).append(f"{write.id.namespace}/{write.id.name}")
    for (kind, holds), names in told.items():
        yield f"{kind.kind} {', '.join(names)} {holds}."


def spoken(clusters: Iterable[ClusterName]) -> str:
    """Return clusters as operators speak of them: ``subset v2 of reviews.default.svc.cluster.local``."""
    hosts: dict[str, dict[str, None]] = {}
    for name in clusters:
        parts = parse_cluster(name)
        if parts is None:
            hosts.setdefault(name, {})
        else:
            hosts.setdefault(parts.host, {})[parts.subset] = None
    return " and ".join(_host(host, [s for s in subsets if s]) for host, subsets in hosts.items())


def _host(host: str, subsets: list[str]) -> str:
    if not subsets:
        return host
    return f"{'subset' if len(subsets) == 1 else 'subsets'} {', '.join(subsets)} of {host}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
