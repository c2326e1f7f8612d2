"""Destinations at weight 0: Envoy gets no route to them, and a scoped proxy has their clusters (ISTIO.md 9.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from safeapply.resources.objects import Document

__all__ = ["importing", "named_beyond"]

TRAFFIC = ("http", "tcp", "tls")
ALL = 100
"""The weight that a lone destination has without saying so."""


def named_beyond(base: Document, other: Document) -> list[Document]:
    """Return the destinations, without their subsets, that one VirtualService names and another does not."""
    known = {_key(one) for one in _named(base)}
    found = {_key(one): _host(one) for one in _named(other)}
    return [destination for key, destination in found.items() if key not in known]


def importing(spec: Document, more: Sequence[Document]) -> Document | None:
    """Return a VirtualService's spec that names more destinations at weight 0; None where no rule has a route."""
    for traffic in TRAFFIC:
        rules = list(spec.get(traffic) or ())
        for index, rule in enumerate(rules):
            if rule.get("route"):
                rules[index] = {**rule, "route": [*_weighted(rule["route"]), *_weightless(more)]}
                return {**spec, traffic: rules}
    return None


def _weighted(routes: Sequence[Document]) -> list[Document]:
    """Return routes that mean the same where others stand beside them."""
    return [{**routes[0], "weight": ALL}] if len(routes) == 1 else list(routes)


def _weightless(destinations: Iterable[Document]) -> Iterator[Document]:
    return ({"destination": one, "weight": 0} for one in destinations)


def _named(spec: Document) -> Iterator[Document]:
    for rule in (rule for traffic in TRAFFIC for rule in spec.get(traffic) or ()):
        yield from (route["destination"] for route in rule.get("route") or ())
        yield from (mirror["destination"] for mirror in rule.get("mirrors") or ())
        if rule.get("mirror"):
            yield rule["mirror"]


def _host(destination: Document) -> dict[str, Any]:
    return {key: value for key, value in destination.items() if key != "subset"}


def _key(destination: Document) -> tuple[object, object]:
    return (destination.get("host"), (destination.get("port") or {}).get("number"))
