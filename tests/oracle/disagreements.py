"""Where the product is known to differ from the oracle: each class named, narrowed, and with its smallest example.

The comparison lets a verdict pass only where it is listed here for what the transition holds. When the product
catches up, the example of the class passes, and the class is to be taken out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

from tests.oracle.model import ANY_HOST, DestinationRule, VirtualService, id_of
from tests.oracle.references import Transition, dangling
from tests.oracle.verdicts import RIGHT, Verdict


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A class of transitions on which the product is wrong, and in which ways."""

    name: str
    sections: str
    holds: Callable[[Transition], bool]
    verdicts: frozenset[Verdict]


def is_known(transition: Transition, verdict: Verdict) -> bool:
    """Tell whether this verdict is right, or listed for what this transition holds."""
    return verdict in RIGHT or any(verdict in one.verdicts and one.holds(transition) for one in KNOWN)


def several_routes(transition: Transition) -> bool:
    """Tell whether two VirtualServices are for one host, at once or one after the other."""
    found = [item for item in _items(transition) if isinstance(item, VirtualService)]
    return any(
        one.name != other.name and set(one.hosts) & set(other.hosts) for one, other in combinations(found, 2)
    )


def several_rules(transition: Transition) -> bool:
    """Tell whether two DestinationRules fit one host, at once or one after the other."""
    found = [item for item in _items(transition) if isinstance(item, DestinationRule)]
    return any(
        one.name != other.name and (one.host == other.host or ANY_HOST in {one.host, other.host})
        for one, other in combinations(found, 2)
    )


def moved_rule(transition: Transition) -> bool:
    """Tell whether a DestinationRule changes its host."""
    after = {id_of(item): item for item in transition.desired.destination_rules}
    before = transition.live.destination_rules
    return any(id_of(old) in after and after[id_of(old)].host != old.host for old in before)


def broken_live(transition: Transition) -> bool:
    """Tell whether a live route names a cluster that is not there."""
    return bool(dangling(transition.live, transition.clients))


def _items(transition: Transition) -> frozenset[object]:
    return frozenset((*transition.live.items(), *transition.desired.items()))


def broken_mirror(transition: Transition) -> bool:
    """Tell whether a mirror names a cluster that is not there, live or in the end."""
    ends = (transition.live, transition.desired)
    hard, all_of = ({dangling(end, transition.clients, mirrors=soft) for end in ends} for soft in (False, True))
    return hard != all_of


def mirrored(transition: Transition) -> bool:
    """Tell whether anything is mirrored at all."""
    routes = (*transition.live.virtual_services, *transition.desired.virtual_services)
    return any(rule.mirrors for one in routes for rule in one.rules)


_NEEDLESS = {Verdict.MORE, Verdict.OVER_REFUSED}
_MASKED = {Verdict.NO_CLUSTER, Verdict.UNPROVEN, Verdict.DANGLING, Verdict.MORE}

KNOWN = (
    Disagreement(
        "several VirtualServices for one host: 404 in between, swaps refused, expectations that both satisfy",
        "DESIGN 1, 6; ISTIO 4.2, 4.4",
        several_routes,
        frozenset({Verdict.NOT_FOUND, Verdict.NO_CLUSTER, Verdict.UNPROVEN, *_NEEDLESS}),
    ),
    Disagreement(
        "several DestinationRules for one host: order left open, narrow bridges, expectations that both satisfy",
        "DESIGN 4.2, 6; ISTIO 3",
        several_rules,
        frozenset({Verdict.UNPROVEN, *_NEEDLESS}),
    ),
    Disagreement(
        "a DestinationRule moves to another host: no bridge at the old one",
        "DESIGN 4.2",
        moved_rule,
        frozenset(_NEEDLESS),
    ),
    Disagreement(
        "a live route is broken in part: its cluster is excused for routes that were whole",
        "DESIGN 1, 4",
        broken_live,
        frozenset(_MASKED),
    ),
    Disagreement(
        "a mirror is broken: its cluster is excused for references that are not soft",
        "DESIGN 1, 4; ISTIO 1.3",
        broken_mirror,
        frozenset(_MASKED),
    ),
    Disagreement(
        "a mirror is waited for",
        "DESIGN 4.4; ISTIO 1.3",
        mirrored,
        frozenset({Verdict.MIRRORS, Verdict.MORE}),
    ),
)
