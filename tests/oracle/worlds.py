"""Transitions between small worlds: all of the smallest ones, and any of the small ones.

Sizes: up to 3 hosts, 3 subsets, 3 VirtualServices, 3 DestinationRules, two client namespaces and the root one.
Left out is only what the specification leaves open: an exportTo that widens another of the same host and namespace,
and two new objects of which the later one to be created would win.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import combinations, product
from typing import TypeAlias, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tests.oracle.model import (
    ANY_HOST,
    ROOT,
    WHOLE,
    Destination,
    DestinationRule,
    ExportTo,
    Host,
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
from tests.oracle.search import size

CLIENTS = (Namespace("a"), Namespace("b"))
HOSTS = (Host("reviews.a"), Host("ratings.b"), Host("details.a"))
SUBSETS = (Subset("v1"), Subset("v2"), Subset("v3"))
KEYS = (None, MatchKey("x"), MatchKey("y"))
NEW = 100
"""When all new objects are made: after all live ones."""
LARGEST = 3000
"""Nodes of the largest search; beyond are worlds in which nearly every object changes its exportTo."""


T = TypeVar("T", DestinationRule, VirtualService)
_Fate: TypeAlias = tuple[T | None, T | None]


def smallest_transitions() -> Iterator[Transition]:
    """Yield each pair of worlds of one host, two subsets, one VirtualService and one DestinationRule."""
    for live, desired in product(list(_smallest_worlds(1)), repeat=2):
        yield Transition(live, _with_ages_of(live, desired), CLIENTS[:1])


def _smallest_worlds(created: int) -> Iterator[World]:
    host, home, names = HOSTS[0], CLIENTS[0], SUBSETS[:2]
    kept = [frozenset(some) for size in range(3) for some in combinations(names, size)]
    rules = [None, *(DestinationRule("reviews", home, host, some, created) for some in kept)]
    splits = [frozenset({WHOLE}), *(some for some in kept if some)]
    routes = [None, *(VirtualService("reviews", home, (host,), (_even(host, some),), created) for some in splits)]
    for items in product(rules, routes):
        yield world_of(Service(host), *(item for item in items if item))


def _even(host: Host, subsets: frozenset[Subset]) -> Rule:
    return Rule(tuple(Destination(host, subset, 100 // len(subsets)) for subset in sorted(subsets)))


def _with_ages_of(live: World, desired: World) -> World:
    """Return a world in which what is live keeps its age, and all else is new."""
    ages = {id_of(item): item.created for item in live.items() if not isinstance(item, Service)}
    return world_of(
        *(
            item if isinstance(item, Service) else replace(item, created=ages.get(id_of(item), NEW))
            for item in desired.items()
        )
    )


@st.composite
def transitions(draw: DrawFn) -> Transition:
    """Return any transition between two small worlds."""
    hosts = HOSTS[: draw(st.sampled_from((1, 1, 2, 3)))]
    rules = _some(draw, _fates(_rules(hosts, wild=True)))
    routes = _some(draw, _route_fates(hosts, hosts, *_eras(rules)))
    return _transition(draw, hosts, rules, routes)


@st.composite
def plain_transitions(draw: DrawFn) -> Transition:
    """Return a transition in which each host has at most one rule and one route, which stay with it."""
    hosts = HOSTS[: draw(st.sampled_from((1, 2, 3)))]
    rules = [draw(_fates(_rules((host,), wild=False))) for host in hosts if draw(st.booleans()) or host == hosts[0]]
    eras = _eras(rules)
    routes = [draw(_route_fates((host,), hosts, *eras)) for host in hosts]
    return _transition(draw, hosts, rules, routes)


def _eras(rules: list[_Fate[DestinationRule]]) -> tuple[tuple[DestinationRule, ...], tuple[DestinationRule, ...]]:
    return tuple(old for old, _ in rules if old), tuple(new for _, new in rules if new)


def _transition(
    draw: DrawFn, hosts: tuple[Host, ...], rules: list[_Fate[DestinationRule]], routes: list[_Fate[VirtualService]]
) -> Transition:
    pairs = [*_named("rule", rules), *_named("route", routes)]
    ages = draw(st.permutations(range(len(pairs))))
    aged = [
        (old and replace(old, created=age), new and replace(new, created=age if old else NEW))
        for (old, new), age in zip(pairs, ages, strict=True)
    ]
    called = frozenset(host for pair in routes for route in pair if route for host in route.hosts)
    before, after = _services(draw, hosts, called), _services(draw, hosts, called)
    live = world_of(*before, *(old for old, _ in aged if old))
    desired = world_of(*after, *(new for _, new in aged if new))
    return Transition(live, desired, _clients(live, desired))


def _services(draw: DrawFn, hosts: tuple[Host, ...], called: frozenset[Host]) -> list[Service]:
    """Return the Services of all hosts, now and then without one that has no VirtualService of its own."""
    # A VirtualService for a host that is not in the registry moves to port 80 (ISTIO.md 2.5): no port here.
    bare = [host for host in hosts if host not in called]
    missing = draw(st.sampled_from((None, None, None, *bare)))
    return [Service(host) for host in hosts if host != missing]


def _clients(live: World, desired: World) -> tuple[Namespace, ...]:
    # Pods may start wherever something lives, so the root namespace may have clients too.
    rooted = any(rule.namespace == ROOT for world in (live, desired) for rule in world.destination_rules)
    return (*CLIENTS, ROOT) if rooted else CLIENTS


def _some(draw: DrawFn, fates: SearchStrategy[_Fate[T]]) -> list[_Fate[T]]:
    number = draw(st.sampled_from((2, 1, 3, 0)))
    return draw(st.lists(fates, min_size=number, max_size=number))


def is_decided(transition: Transition) -> bool:
    """Tell whether the specification says what happens, and a search ends soon: see the head of this module."""
    if size(transition) > LARGEST:
        return False
    everything = {*transition.live.items(), *transition.desired.items()}
    rules = [item for item in everything if isinstance(item, DestinationRule)]
    routes = [item for item in everything if isinstance(item, VirtualService)]
    return not any(_widens(one, other) or _races(one, other) for one, other in combinations(rules, 2)) and not any(
        one.name != other.name and one.created == other.created == NEW and set(one.hosts) & set(other.hosts)
        for one, other in combinations(routes, 2)
    )


def _widens(one: DestinationRule, other: DestinationRule) -> bool:
    scopes = [
        frozenset(rule.namespace if name == "." else name for name in rule.export_to) for rule in (one, other)
    ]
    return _meet(one, other) and all(scopes) and (scopes[0] < scopes[1] or scopes[1] < scopes[0])


def _races(one: DestinationRule, other: DestinationRule) -> bool:
    return _meet(one, other) and one.created == other.created == NEW


def _meet(one: DestinationRule, other: DestinationRule) -> bool:
    return one.name != other.name and (one.namespace, one.host) == (other.namespace, other.host)


def _fates(contents: SearchStrategy[DestinationRule]) -> SearchStrategy[_Fate[DestinationRule]]:
    """Return pairs of what an object is and will be: kept, changed, made or taken away."""
    return st.tuples(contents, contents, st.sampled_from(_FATES)).map(lambda drawn: _fate(*drawn))


def _route_fates(
    called: tuple[Host, ...],
    hosts: tuple[Host, ...],
    before: tuple[DestinationRule, ...],
    after: tuple[DestinationRule, ...],
) -> SearchStrategy[_Fate[VirtualService]]:
    return st.tuples(_routes(called, hosts, before), _routes(called, hosts, after), st.sampled_from(_FATES)).map(
        lambda drawn: _fate(*drawn)
    )


_SUBSET_SETS = [frozenset(some) for size in (1, 2, 1, 3, 0) for some in combinations(SUBSETS, size)]
_FATES = ("changed", "changed", "changed", "kept", "made", "gone")


def _fate(old: T, new: T, fate: str) -> _Fate[T]:
    match fate:
        case "kept":
            return old, old
        case "made":
            return None, new
        case "gone":
            return old, None
        case _:
            return old, _moved(old, new)


def _moved(old: T, new: T) -> T:
    """Return the new content under the old identity."""
    own = (".",) if new.export_to == (old.namespace,) else new.export_to
    return replace(new, namespace=old.namespace, export_to=own)


def _named(kind: str, pairs: Iterable[_Fate[T]]) -> list[_Fate[T]]:
    """Return the same pairs, each under a name of its own."""
    return [
        (old and replace(old, name=f"{kind}-{number}"), new and replace(new, name=f"{kind}-{number}"))
        for number, (old, new) in enumerate(pairs, 1)
    ]


def _rules(hosts: tuple[Host, ...], *, wild: bool) -> SearchStrategy[DestinationRule]:
    return st.builds(
        DestinationRule,
        name=st.just(""),
        namespace=st.sampled_from((*CLIENTS, *CLIENTS, ROOT)),
        host=st.sampled_from((*hosts, *hosts, *hosts, *((ANY_HOST,) if wild else ()))),
        subsets=st.sampled_from(_SUBSET_SETS),
        created=st.just(0),
        export_to=_scopes(),
    )


def _routes(
    called: tuple[Host, ...], hosts: tuple[Host, ...], rules: tuple[DestinationRule, ...]
) -> SearchStrategy[VirtualService]:
    """Return VirtualServices whose destinations name subsets that some rule has, so that most worlds are whole."""
    places = [Destination(host) for host in hosts]
    for rule in rules:
        aims = hosts if rule.host == ANY_HOST else (rule.host,)
        places += 3 * [Destination(host, subset) for host in aims for subset in sorted(rule.subsets)]
    return st.builds(
        VirtualService,
        name=st.just(""),
        namespace=st.sampled_from(CLIENTS),
        hosts=st.sampled_from(called).map(lambda host: (host,)),
        rules=st.lists(_http_rules(places), min_size=1, max_size=2).map(tuple),
        created=st.just(0),
        export_to=_scopes(),
    ).map(_own_is_private)


def _own_is_private(one: VirtualService) -> VirtualService:
    # Whether a VirtualService exported to its own namespace by name comes before public ones is not specified.
    return replace(one, export_to=(".",)) if one.export_to == (one.namespace,) else one


def _http_rules(places: list[Destination]) -> SearchStrategy[Rule]:
    split = st.lists(st.sampled_from(places), min_size=1, max_size=2, unique=True)
    weighted = st.tuples(split, st.sampled_from((0, 50))).map(lambda drawn: _weighted(*drawn))
    mirrors = st.lists(st.sampled_from(places), max_size=1).map(tuple)
    return st.builds(Rule, weighted, st.sampled_from((None, None, *KEYS)), st.one_of(st.just(()), mirrors))


def _weighted(split: list[Destination], last: int) -> tuple[Destination, ...]:
    """Return a split of which the last share is even, or nothing at all."""
    if len(split) == 1:
        return tuple(split)
    return replace(split[0], weight=100 - last), replace(split[1], weight=last)


def _scopes() -> SearchStrategy[ExportTo]:
    return st.sampled_from(((), (), (), (), (".",), ("*",), ("a",), ("b",)))
