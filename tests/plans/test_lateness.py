"""A barrier counts for what it expects and no more: what it does not show may still be under way.

Each test takes a plan that is proven and leaves something out of its barriers. All that was written before a step
is then taken to have arrived by ``plans.verifier`` alone, and by ``plans.lateness`` it is not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from safeapply.istio.mesh_settings import MeshSettings
from safeapply.istio.proxies import ProxyClass, Role
from safeapply.plans.plan import Step
from safeapply.plans.verifier import verify
from safeapply.resources.objects import Namespace
from safeapply.xds.expectations import ClusterActive, Expectation
from tests.plans.test_safety import World, worlds, written
from tests.plans.worlds import SERVICES, make_plan, read, route, rule

HERE = ProxyClass(Role.SIDECAR, Namespace("default"))
ELSEWHERE = ProxyClass(Role.SIDECAR, Namespace("elsewhere"))
V1, V2 = rule("reviews", "v1") + route("reviews", "v1"), rule("reviews", "v2") + route("reviews", "v2")
NOTHING: tuple[Expectation, ...] = ()


def steps_between(live: str, desired: str) -> tuple[Step, ...]:
    """Return the steps of the plan."""
    made = make_plan(live, desired)
    assert not made.refusals
    return made.steps


def lost(live: str, steps: Iterable[Step], *, of: ProxyClass = HERE) -> str:
    """Return the request that these steps may lose, as ``step: who -> what``; empty if none."""
    before = {**read(SERVICES, "services.yaml"), **read(live, "live.yaml")}
    found = verify(before, steps, [of], mesh=MeshSettings(), assumed={})
    if found is None:
        return ""
    what = getattr(found.request, "cluster", found.request)
    return f"{found.step + 1}: {found.proxy_class} -> {what}".replace(".default.svc.cluster.local", "")


def expecting(steps: tuple[Step, ...], number: int, expectations: tuple[Expectation, ...]) -> tuple[Step, ...]:
    """Return the steps, of which one (1-based) has another barrier."""
    return tuple(
        replace(one, expectations=expectations) if at == number else one for at, one in enumerate(steps, 1)
    )


def test_a_proven_plan_has_nothing_late() -> None:
    """What its barriers expect is enough."""
    assert lost(V1, steps_between(V1, V2)) == ""


def test_routes_may_move_before_a_superset_that_nobody_waits_for() -> None:
    """The bridge is written first, and yet a proxy may see the route before it."""
    found = lost(V1, expecting(steps_between(V1, V2), 2, NOTHING))
    assert found == "2: sidecars in default -> outbound|9080|v2|reviews"


def test_a_subset_may_go_before_routes_that_nobody_waits_for() -> None:
    """The old subset is taken away in the last step, and a proxy may still name it."""
    found = lost(V1, expecting(steps_between(V1, V2), 3, NOTHING))
    assert found == "3: sidecars in default -> outbound|9080|v1|reviews"


def test_a_barrier_for_some_proxies_shows_nothing_of_others() -> None:
    """What is active elsewhere says nothing of the sidecars here."""
    steps = steps_between(V1, V2)
    waited = tuple(replace(one, classes=frozenset({ELSEWHERE})) for one in steps[1].expectations)
    assert lost(V1, expecting(steps, 2, waited)) == "2: sidecars in default -> outbound|9080|v2|reviews"


def test_a_proxy_that_the_plan_did_not_know_of_is_not_waited_for() -> None:
    """The plan was made for the sidecars here; a new one elsewhere may lag behind."""
    found = lost(V1, steps_between(V1, V2), of=ELSEWHERE)
    assert found == "2: sidecars in elsewhere -> outbound|9080|v2|reviews"


def test_a_barrier_for_what_was_there_before_shows_nothing() -> None:
    """v1 is active with the bridge and without it."""
    steps = steps_between(V1, V2)
    active = ClusterActive(steps[2].expectations[0].cluster, frozenset({HERE}))
    assert lost(V1, expecting(steps, 2, (active,))) == "2: sidecars in default -> outbound|9080|v2|reviews"


def test_nothing_is_late_before_the_first_write() -> None:
    """A plan of one step has nothing before it, and waits for nothing."""
    desired = rule("reviews", "v1") + route("reviews", "v1", extra=", timeout: 1s")
    steps = steps_between(V1, desired)
    assert len(steps) == 1
    assert lost(V1, expecting(steps, 1, NOTHING)) == ""


def test_a_late_write_for_a_host_that_nobody_calls_loses_nothing() -> None:
    """Without routes to a subset, its clusters may come and go in any order."""
    steps = steps_between(V1, V2)
    unrouted = tuple(
        replace(one, operations=tuple(op for op in one.operations if op.resource.id.kind == "DestinationRule"))
        for one in steps
    )
    assert lost(rule("reviews", "v1"), expecting(unrouted, 3, NOTHING)) == ""


@settings(max_examples=50, deadline=None)
@given(live=worlds(), desired=worlds(), data=st.data())
def test_no_barrier_can_be_left_out(live: World, desired: World, data: st.DataObject) -> None:
    """For all small worlds: the plan is proven, and without any one of its barriers a request may be lost."""
    before = written(live)
    steps = steps_between(before, written(desired))
    assert lost(before, steps) == ""
    # Before the first step nothing has been written: what it waits for is that nobody names a subset even now.
    waiting = [number for number, one in enumerate(steps, 1) if number > 1 and one.expectations]
    if waiting:
        assert lost(before, expecting(steps, data.draw(st.sampled_from(waiting)), NOTHING))


@settings(max_examples=50, deadline=None)
@given(live=worlds(), desired=worlds(), data=st.data())
def test_who_waits_for_more_loses_no_more(live: World, desired: World, data: st.DataObject) -> None:
    """For all small worlds: what is safe with some of the expectations is safe with more of them."""
    before = written(live)
    steps = steps_between(before, written(desired))
    some = tuple(replace(one, expectations=tuple(_part(data, one.expectations))) for one in steps)
    fewer = tuple(replace(one, expectations=tuple(_part(data, one.expectations))) for one in some)
    assert lost(before, fewer) or not lost(before, some)


def _part(data: st.DataObject, expectations: tuple[Expectation, ...]) -> list[Expectation]:
    return [one for one in expectations if data.draw(st.booleans())]
