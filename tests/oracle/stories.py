"""Short words for worlds, so that the oracle's own tests read as documents."""

from __future__ import annotations

from tests.oracle.delivery import Write
from tests.oracle.model import (
    WHOLE,
    Destination,
    DestinationRule,
    ExportTo,
    Host,
    Item,
    MatchKey,
    Namespace,
    Rule,
    Service,
    Subset,
    VirtualService,
    World,
    id_of,
    world_of,
)
from tests.oracle.references import Transition

A, B = Namespace("a"), Namespace("b")
REVIEWS = Host("reviews.a")
RATINGS = Host("ratings.b")


def rule(
    *subsets: str, name: str = "reviews", at: str = "a", host: str = REVIEWS, to: ExportTo = (), age: int = 0
) -> DestinationRule:
    """Return a DestinationRule with these subsets."""
    kept = frozenset(map(Subset, subsets))
    return DestinationRule(name, Namespace(at), Host(host), kept, age, to)


def route(
    *subsets: str, name: str = "reviews", at: str = "a", key: str | None = None, to: ExportTo = (), age: int = 0
) -> VirtualService:
    """Return a VirtualService that splits reviews evenly over subsets, or sends to the whole service."""
    split = tuple(Destination(REVIEWS, Subset(one)) for one in subsets) or (Destination(REVIEWS, WHOLE),)
    http = (Rule(split, MatchKey(key) if key else None),)
    return VirtualService(name, Namespace(at), (REVIEWS,), http, age, to)


def put(item: Item) -> Write:
    """Return the write of an object."""
    return Write(id_of(item), item)


def drop(item: Item) -> Write:
    """Return the deletion of an object."""
    return Write(id_of(item), None)


def world(*items: Item) -> World:
    """Return a world of two Services and these objects."""
    return world_of(Service(REVIEWS), Service(RATINGS), *items)


def moving(live: World, desired: World) -> Transition:
    """Return a transition that both namespaces watch."""
    return Transition(live, desired, (A, B))
