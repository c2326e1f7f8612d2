"""The rules of a VirtualService, as values: whom they are for, and where they send requests."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from safeapply.resources.objects import FieldPath, ResourceId
from safeapply.xds.names import Host

__all__ = ["Condition", "Destination", "Match", "Pairs", "Rule", "Traffic"]

Pairs: TypeAlias = tuple[tuple[str, str], ...]
"""Labels of a selector, sorted by key."""


class Traffic(Enum):
    """Which list of a VirtualService a rule stands in."""

    HTTP = "http"
    TCP = "tcp"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a rule sends requests."""

    host: Host
    subset: str
    port: int | None
    path: FieldPath
    """The field that says so: ``spec.http[0].route[0].destination``."""
    share: tuple[float, float] = (0.0, 1.0)
    """Of the number between 0 and 1 that Envoy draws to choose among several, what falls on this one."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What a match wants of one text of a request."""

    field: str
    """``uri``, or with the name of a header or parameter ``headers.x-user``."""
    kind: str
    """``exact``, ``prefix`` or ``regex``; empty where the text only has to be there."""
    value: str


@dataclass(frozen=True, slots=True)
class Match:
    """The parts of a match that decide whether a proxy gets the rule at all."""

    gateways: frozenset[str]
    port: int | None
    source_labels: Pairs
    source_namespace: str
    request: str
    """What it wants of a request, as written; only good for telling two matches apart."""
    all: bool
    """Whether it lets every request through, so that istiod sends no rule behind it."""
    conditions: tuple[Condition, ...] = ()
    """What it wants of the request's texts, one by one: delegates have to fit in (ISTIO.md 4.6)."""
    any_case: bool = False
    """``ignoreUriCase``."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry of ``http``, ``tcp`` or ``tls``."""

    traffic: Traffic
    matches: tuple[Match, ...]
    destinations: tuple[Destination, ...]
    """Those that Envoy gets: weight 0 among several is dropped (ISTIO.md 1.3)."""
    mirrors: tuple[Destination, ...]
    delegate: ResourceId | None
    path: FieldPath
    named: tuple[Destination, ...]
    """All that the rule names, weight 0 too: a Sidecar's scope takes in what its routes name (ISTIO.md 9.3)."""
