"""The questions that are put to an Envoy's admin port: small, escaped, and answered in a few milliseconds.

A full config dump stalls the very updates that a barrier waits for (ENVOY.md 4), so only the names in play are
asked for. ``name_regex`` is a full match in RE2, where ``|`` is alternation: every name is escaped (ENVOY.md 3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TypeVar
from urllib.parse import quote

from safeapply.xds.names import CONTROL_CLUSTER

__all__ = [
    "LISTENER_BODIES",
    "LISTENER_CHANGES",
    "ROUTE_CHANGES",
    "cluster_question",
    "endpoint_question",
    "parts",
    "route_question",
]

NameT = TypeVar("NameT", bound=str)

DUMP = "/config_dump?"
ROUTE_CHANGES = DUMP + "resource=dynamic_route_configs&mask=route_config.name,last_updated"
LISTENER_CHANGES = DUMP + (
    "resource=dynamic_listeners"
    "&mask=name,active_state.last_updated,warming_state.last_updated,draining_state.last_updated"
)
LISTENER_BODIES = DUMP + "resource=dynamic_listeners"

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
    return f"{DUMP}mask=dynamic_active_clusters,dynamic_warming_clusters&name_regex={wanted}"


def endpoint_question(names: Iterable[str]) -> str:
    """Return the path that tells the endpoints of these clusters."""
    return f"{DUMP}include_eds&resource=dynamic_endpoint_configs&name_regex={_pattern(names)}"


def route_question(names: Iterable[str]) -> str:
    """Return the path of the bodies of these route configurations."""
    return f"{DUMP}resource=dynamic_route_configs&name_regex={_pattern(names)}"


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
