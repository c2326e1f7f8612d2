"""The words for objects, proxies and expectations that every report shares."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import assert_never

from safeapply.istio.proxies import ProxyClass
from safeapply.resources.objects import ResourceId
from safeapply.xds.expectations import (
    ClusterAbsent,
    ClusterActive,
    ClusterSends,
    ClusterUnreferenced,
    Expectation,
    InboundAccepts,
    OriginGone,
    RouteRefers,
    RouteReleased,
)

__all__ = ["counted", "expectation", "proxies", "rolled_out", "short", "together"]

_WITHOUT_GROUP = frozenset({"", "networking.istio.io"})


def counted(number: int, noun: str) -> str:
    """Return ``1 step``, ``3 steps``, ``2 proxies``."""
    if number == 1:
        return f"1 {noun}"
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number} {plural}"


def short(resource: ResourceId) -> str:
    """Return ``destinationrule default/reviews``; the group only where it is not plain from the kind."""
    kind = resource.kind.lower() if resource.group in _WITHOUT_GROUP else str(resource.group_kind)
    place = f"{resource.namespace}/{resource.name}" if resource.namespace else resource.name
    return f"{kind} {place}"


def expectation(expected: Expectation) -> str:  # noqa: PLR0911  one for each kind
    """Return what a proxy has to show, without the proxies."""
    match expected:
        case ClusterActive(cluster=cluster, ready_endpoint=ready):
            return f"{cluster} active" + (", with a ready endpoint" if ready else "")
        case ClusterUnreferenced(cluster=cluster):
            return f"no route or listener names {cluster}"
        case ClusterAbsent(cluster=cluster):
            return f"{cluster} gone"
        case RouteRefers(host=host, cluster=cluster):
            return f"routes of {host} lead to {cluster}" if host else f"a listener leads to {cluster}"
        case RouteReleased(host=host, cluster=cluster):
            return f"routes of {host} no longer lead to {cluster}" if host else f"no listener leads to {cluster}"
        case OriginGone(origin=origin):
            return f"nothing comes from {origin}"
        case ClusterSends(cluster=cluster, sent=sent):
            return f"{cluster} sends {' and '.join(sorted(one.value for one in sent))}"
        case InboundAccepts(port=port, mode=mode):
            return f"{f'port {port}' if port else 'every other port'} accepts what {mode.value} does"
        case _:
            assert_never(expected)


def rolled_out(workload: ResourceId) -> str:
    """Return what a workload has to come to."""
    end = "complete" if workload.kind == "Job" else "rolled out, every replica available"
    return f"{short(workload)} {end}"


def proxies(classes: Collection[ProxyClass] | None, *, most: int = 4) -> str:
    """Return which proxies a statement is about: ``every proxy``, or the first few classes by name."""
    if classes is None:
        return "every proxy"
    names = sorted(map(str, classes))
    if not names:
        return "no proxy"
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more classes" if more > 0 else "")


def together(expected: Iterable[Expectation]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return the proxies, each with what they have to show: expectations together that are about the same ones."""
    by_proxies: dict[str, list[str]] = {}
    for one in expected:
        by_proxies.setdefault(proxies(one.classes), []).append(expectation(one))
    return tuple((where, tuple(told)) for where, told in by_proxies.items())
