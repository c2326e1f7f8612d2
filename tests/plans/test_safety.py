"""For all small worlds: no state that can be reached loses a request, and nothing waits without need.

The judge here is a simulator of its own: it knows hosts, subsets and splits as sets, and nothing of the planner,
the verifier or the evaluator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, combinations
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from safeapply.plans.plan import Operation, Phase, Plan
from safeapply.xds.expectations import ClusterUnreferenced
from tests.plans.worlds import make_plan, route, rule

HOSTS = ("reviews", "ratings")
SUBSETS = ("v1", "v2", "v3")

World: TypeAlias = dict[str, tuple[frozenset[str], frozenset[str]]]
"""For each host the subsets that its rule gives, and those that its route names."""


def worlds() -> SearchStrategy[World]:
    """Return worlds in which every route finds its subsets."""
    given_subsets = st.frozensets(st.sampled_from(SUBSETS), min_size=1)
    host = given_subsets.flatmap(
        lambda subsets: st.tuples(st.just(subsets), st.frozensets(st.sampled_from(sorted(subsets)), min_size=1))
    )
    return st.fixed_dictionaries(dict.fromkeys(HOSTS, host))


def written(world: World) -> str:
    """Return a world as YAML."""
    return "".join(
        rule(host, *sorted(subsets)) + route(host, *sorted(named)) for host, (subsets, named) in world.items()
    )


def after(world: World, operations: tuple[Operation, ...]) -> World:
    """Return the world once these writes have arrived."""
    state = dict(world)
    for operation in operations:
        host, spec = operation.resource.id.name, operation.resource.spec
        subsets, named = state[host]
        if operation.resource.id.kind == "DestinationRule":
            subsets = frozenset(one["name"] for one in spec["subsets"])
        else:
            named = frozenset(one["destination"]["subset"] for one in spec["http"][0]["route"])
        state[host] = (subsets, named)
    return state


def reachable(world: World, plan: Plan) -> Iterator[World]:
    """Yield every state in which some proxy may be: any part of a step may have arrived."""
    for step in plan.steps:
        sizes = range(len(step.operations) + 1)
        for arrived in chain.from_iterable(combinations(step.operations, size) for size in sizes):
            yield after(world, arrived)
        world = after(world, step.operations)


def lost(world: World) -> Mapping[str, frozenset[str]]:
    """Return the hosts whose route names a subset that is not there."""
    return {host: named - subsets for host, (subsets, named) in world.items() if named - subsets}


@given(live=worlds(), desired=worlds())
def test_every_reachable_state_serves_every_route(live: World, desired: World) -> None:
    """The promise: whatever has arrived at a proxy, each route finds its cluster; and the end is as desired."""
    plan = planned(live, desired)
    assert not plan.refusals
    assert [lost(state) for state in reachable(live, plan) if lost(state)] == []
    final = live
    for step in plan.steps:
        final = after(final, step.operations)
    assert final == desired


@given(live=worlds(), desired=worlds())
def test_there_are_no_more_steps_than_the_longest_chain(live: World, desired: World) -> None:
    """A host needs a step for what it widens, one for its route and one for what it narrows, and no more."""
    longest = max(_chain(live[host], desired[host]) for host in HOSTS)
    assert len(planned(live, desired).steps) == longest


@given(live=worlds(), desired=worlds())
def test_every_removal_waits_until_nobody_names_what_goes(live: World, desired: World) -> None:
    """A killed run may have left proxies behind, so a removal asks them even where the API says nobody uses it."""
    state = live
    for step in planned(live, desired).steps:
        asked = {one.cluster for one in step.expectations if isinstance(one, ClusterUnreferenced)}
        arrived = after(state, step.operations)
        for host in HOSTS:
            for gone in state[host][0] - arrived[host][0]:
                assert f"outbound|9080|{gone}|{host}.default.svc.cluster.local" in asked
                assert step.phase is Phase.NARROW
                assert step.soak_seconds > 0
        state = arrived


@given(worlds())
def test_a_world_that_is_live_needs_no_step(world: World) -> None:
    """Nothing to change is nothing to do."""
    assert planned(world, world).steps == ()


def planned(live: World, desired: World) -> Plan:
    """Return the plan from one world to the other."""
    return make_plan(written(live), written(desired))


def _chain(live: tuple[frozenset[str], frozenset[str]], desired: tuple[frozenset[str], frozenset[str]]) -> int:
    (had, named), (has, names) = live, desired
    if (had, named) == (has, names):
        return 0
    return 1 + bool(names - had) + bool(named - has)
