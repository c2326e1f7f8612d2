"""The questions that are put to an Envoy's admin port: small, escaped, and answered in a few milliseconds.

A full config dump stalls the very updates that a barrier waits for (ENVOY.md 4), so only the names in play are
asked for. ``name_regex`` is a full match in RE2, where ``|`` is alternation: every name is escaped (ENVOY.md 3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TypeVar
from urllib.parse import quote

from safeapply.xds.names import CONTROL_CLUSTER, INBOUND_LISTENER

__all__ = [
    "CLUSTER_MARKS",
    "INBOUND",
    "LISTENER_BODIES",
    "LISTENER_CHANGES",
    "LISTENER_VERSION",
    "READY",
    "ROUTE_BODIES",
    "ROUTE_CHANGES",
    "ROUTE_TIMES",
    "cluster_question",
    "endpoint_question",
    "parts",
    "route_changes",
    "route_question",
    "without_pattern",
]

NameT = TypeVar("NameT", bound=str)

DUMP = "/config_dump?"
PATTERN = "&name_regex="


def _all_but(prefix: str) -> str:
    """Return an expression for every text that does not begin so; RE2 cannot look ahead."""
    return "|".join(f"{re.escape(prefix[:at])}([^{letter}].*)?" for at, letter in enumerate(prefix))


NO_CLUSTER = PATTERN + quote(_all_but("outbound|"), safe="")
"""Envoy builds the whole dump and cuts the answer out of it: without thousands of clusters it is done sooner."""
ROUTE_CHANGES = f"{DUMP}resource=dynamic_route_configs&mask=route_config.name,last_updated{NO_CLUSTER}"
ROUTE_TIMES = f"{DUMP}resource=dynamic_route_configs&mask=last_updated{NO_CLUSTER}"
"""When each was last updated, not saying which: half as long an answer. Where one moved, the next tells which."""
ROUTE_BODIES = f"{DUMP}resource=dynamic_route_configs{NO_CLUSTER}"
LISTENER_CHANGES = (
    f"{DUMP}resource=dynamic_listeners"
    "&mask=name,active_state.last_updated,warming_state.last_updated,draining_state.last_updated"
    f"{NO_CLUSTER}"
)
LISTENER_VERSION = f"{DUMP}mask=version_info{PATTERN}-"
"""Which update of the listeners came last; that a listener has warmed up or drained since, it does not tell."""
LISTENER_BODIES = f"{DUMP}resource=dynamic_listeners{NO_CLUSTER}"
CLUSTER_MARKS = tuple(
    f"{DUMP}resource={state}&mask=cluster.metadata{PATTERN}{quote('outbound[|].*', safe='')}"
    for state in ("dynamic_active_clusters", "dynamic_warming_clusters")
)
"""Which objects clusters come from: short answers, but one for each cluster of the mesh."""
INBOUND = f"{DUMP}resource=dynamic_listeners{PATTERN}{INBOUND_LISTENER}"
READY = "/ready"
"""Says whether an Envoy has had its first whole configuration; before, it lacks what it never had."""

SEPARATOR = "%7C"
LONGEST_PATTERN = 30_000
"""Characters after escaping for the URL: Envoy answers 431 past some 60 kB."""
MOST_NAMES = 400
"""Istio's bootstrap lets 700 names of 50 characters into one expression."""


def cluster_question(names: Iterable[str]) -> str:
    """Return the path that tells which of these clusters are active and which are warming.

    Both lists come in one answer, so they are of one moment; the answer also holds the control cluster.
    """
    wanted = _pattern([CONTROL_CLUSTER, *names])
    return f"{DUMP}mask=dynamic_active_clusters,dynamic_warming_clusters{PATTERN}{wanted}"


def endpoint_question(names: Iterable[str]) -> str:
    """Return the path that tells the endpoints of these clusters."""
    return f"{DUMP}include_eds&resource=dynamic_endpoint_configs{PATTERN}{_pattern(names)}"


def route_question(names: Iterable[str]) -> str:
    """Return the path of the bodies of these route configurations."""
    return f"{DUMP}resource=dynamic_route_configs{PATTERN}{_pattern(names)}"


def route_changes(names: Iterable[str]) -> str:
    """Return the path that tells when these route configurations were last updated."""
    return f"{DUMP}resource=dynamic_route_configs&mask=route_config.name,last_updated{PATTERN}{_pattern(names)}"


def without_pattern(path: str) -> str:
    """Return a question for everything, for an Envoy that takes no long expression."""
    return path.partition(PATTERN)[0]


def parts(names: Iterable[NameT]) -> Iterator[tuple[NameT, ...]]:
    """Cut names into as many questions as they need, so that no expression and no URL grows too long."""
    part: list[NameT] = []
    length = 0
    for name in sorted(set(names)):
        size = len(_pattern([name])) + len(SEPARATOR)
        if part and (length + size > LONGEST_PATTERN or len(part) == MOST_NAMES):
            yield tuple(part)
            part, length = [], 0
        part.append(name)
        length += size
    if part:
        yield tuple(part)


def _pattern(names: Iterable[str]) -> str:
    return quote("|".join(re.escape(name) for name in names), safe="")
