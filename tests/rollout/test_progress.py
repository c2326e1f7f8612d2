"""How far a rollout is, told from its events alone."""

from __future__ import annotations

from safeapply.istio.proxies import ProxyId
from safeapply.plans.plan import Action, Operation, Phase, Plan, Step
from safeapply.resources.objects import Namespace, Resource, ResourceId
from safeapply.rollout.events import (
    BarrierPassed,
    Event,
    NoProxies,
    PlanStarted,
    Settled,
    Soaking,
    StepDone,
    StepStarted,
    Stopped,
    Straggler,
    Waiting,
    Wrote,
)
from safeapply.rollout.progress import Progress, State, by_reason, progress_of
from safeapply.xds.expectations import ClusterActive
from safeapply.xds.names import ClusterName

ROUTE = ResourceId("networking.istio.io", "VirtualService", Namespace("default"), "reviews")
V2 = ClusterActive(ClusterName("outbound|9080|v2|reviews"))
STEP = Step(Phase.SWITCH, (Operation(Action.APPLY, Resource(ROUTE, {})),), (V2,), 1.0, "Because.")
PLAN = Plan(steps=(STEP,), settled=(V2,))


def waiting(at: float, *names: str, step: int = 1) -> Waiting:
    """Wait for some of three proxies."""
    stragglers = tuple(Straggler(ProxyId(name), "warming") for name in names)
    return Waiting(at, step, 3 - len(names), 3, stragglers)


STORY: tuple[tuple[Event, State], ...] = (
    (PlanStarted(100.0, PLAN), State.PENDING),
    (StepStarted(100.0, 1, 1, Phase.SWITCH), State.WAITING),
    (waiting(100.0, "a", "b", "c"), State.WAITING),
    (waiting(101.0, "b", "c"), State.WAITING),
    (waiting(103.0, "c"), State.WAITING),
    (BarrierPassed(1, 1, 3, 5.0, ProxyId("c")), State.WRITING),
    (Soaking(105.0, 1, 1.0), State.SOAKING),
    (Wrote(106.0, 1, Action.APPLY, ROUTE, "configured", "7"), State.WRITING),
    (StepDone(106.0, 1), State.DONE),
    (waiting(106.0, "a", step=2), State.DONE),
    (Settled(107.0, 7.0), State.DONE),
)


def test_a_step_goes_through_its_states() -> None:
    """One event after the other."""
    progress = Progress()
    for event, state in STORY:
        progress = progress.after(event)
        assert progress.steps[0].state is state, event


def test_the_slowest_proxies_are_remembered() -> None:
    """With the seconds after which each was no straggler any more."""
    (step, settle) = progress_of(event for event, _ in STORY).steps
    assert step.slowest == (("c", 5.0), ("b", 3.0), ("a", 1.0))
    assert (step.waited, step.soaked, len(step.wrote)) == (5.0, 1.0, 1)
    assert (settle.phase, settle.state) == (None, State.DONE)


def test_a_proxy_that_falls_back_arrives_when_it_is_there_to_stay() -> None:
    """A new copy of a cluster can be warming after an old one was active."""
    events = (PlanStarted(0.0, PLAN), waiting(0.0, "a"), waiting(1.0), waiting(2.0, "a"), waiting(4.0))
    assert progress_of(events).steps[0].slowest == (("a", 4.0),)


def test_what_is_going_on_is_the_step_under_way() -> None:
    """Nothing is, before the first and after the last event."""
    seen = [progress.current.number if progress.current else None for progress in _folded()]
    assert seen == [None, 1, 1, 1, 1, 1, 1, 1, None, 2, None]


def _folded() -> list[Progress]:
    progress, all_of_it = Progress(), []
    for event, _ in STORY:
        progress = progress.after(event)
        all_of_it.append(progress)
    return all_of_it


def test_a_stop_keeps_the_stragglers() -> None:
    """So that the last picture says who did not follow."""
    progress = progress_of((PlanStarted(0.0, PLAN), waiting(1.0, "a"), Stopped(9.0, 1, "why")))
    assert progress.steps[0].state is State.STOPPED
    assert [one.proxy for one in progress.steps[0].stragglers] == ["a"]
    assert progress.ended == Stopped(9.0, 1, "why")


def test_a_mesh_without_proxies_is_noted() -> None:
    """Reports can say that nothing was proved."""
    assert progress_of((PlanStarted(0.0, PLAN), NoProxies(0.0))).proxyless


def test_reasons_come_in_the_order_of_how_common_they_are() -> None:
    """Twenty proxies with one trouble are one trouble."""
    told = [("a", "warming"), ("b", "lost"), ("c", "warming")]
    stragglers = [Straggler(ProxyId(proxy), why) for proxy, why in told]
    assert by_reason(stragglers) == (("warming", ("a", "c")), ("lost", ("b",)))
