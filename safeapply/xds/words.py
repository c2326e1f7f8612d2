"""What a proxy has to show, in a sentence's part that fits after ``once`` and after ``wait for``. Pure."""

from __future__ import annotations

from typing import assert_never

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

__all__ = ["expectation"]


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
