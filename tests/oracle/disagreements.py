"""Where the product is known to differ from the oracle: each class named, narrowed, and with its smallest example.

The comparison lets a verdict pass only where it is listed here for what the transition holds. When the product
catches up, the example of the class passes, and the class is to be taken out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product

from tests.oracle.delivery import Look, Sight, Step, counted_requests, final_world, lost_request
from tests.oracle.model import ANY_HOST, WHOLE, Cluster, World
from tests.oracle.references import Transition
from tests.oracle.search import best_path
from tests.oracle.translation import clusters, named, routes
from tests.oracle.verdicts import RIGHT, Verdict
from tests.oracle.worlds import SUBSETS


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


def is_unseen(transition: Transition) -> bool:
    """Tell whether a shortest way loses a request though its barriers see all that Envoys show.

    The search takes barriers to prove everything. An Envoy shows clusters, and which of them its routes name; a
    write that changes neither cannot be waited for.
    """
    world, path = transition.live, best_path(transition)
    if path is None:
        return False
    steps: list[Step] = []
    for step in path:
        steps.append(replace(step, proof=tuple(_sights(transition, world))))
        world = final_world(world, (step,))
    requests = counted_requests(transition.live, transition.desired, transition.clients)
    return lost_request(transition.live, steps, requests) is not None


def has_changing_wildcard(transition: Transition) -> bool:
    """Tell whether a rule for every host comes, changes or goes.

    One push takes such a rule to the clusters of all hosts at once. The verifier takes what a barrier sees of one
    host's clusters for that host alone, and so asks for one more.
    """
    before, after = transition.live.destination_rules, transition.desired.destination_rules
    return any(one.host == ANY_HOST for one in before ^ after)


def _sights(transition: Transition, world: World) -> Iterator[Sight]:
    """Yield all that the Envoys of a settled world show."""
    hosts = {one.host for end in (transition.live, transition.desired) for one in end.services}
    universe = [Cluster(host, subset) for host in hosts for subset in (WHOLE, *SUBSETS)]
    for client, cluster in product(transition.clients, universe):
        one = frozenset({client})
        held = cluster in clusters(world.services, world.destination_rules, client)
        yield Sight(Look.ACTIVE if held else Look.ABSENT, cluster, one)
        for host, rules in routes(world.services, world.virtual_services, client).items():
            if any(cluster in named(rule) for rule in rules):
                yield Sight(Look.REFERRED, cluster, one, host)
            elif cluster != Cluster(host):
                yield Sight(Look.UNREFERRED, cluster, one, host)


KNOWN: tuple[Disagreement, ...] = (
    Disagreement(
        "no Envoy shows that what the shortest way waits for has arrived",
        "DESIGN.md 5, ISTIO.md 7.2",
        is_unseen,
        frozenset({Verdict.OVER_REFUSED, Verdict.MORE}),
    ),
    Disagreement(
        "what the clusters of one host show of a wildcard's rule is not carried over to another host",
        "DESIGN.md 4.5, ISTIO.md 7.2",
        has_changing_wildcard,
        frozenset({Verdict.MORE}),
    ),
)
"""What is refused here, or takes longer, is never lost."""
