"""From live and desired to a plan (DESIGN 4): find the order, write the steps, prove them, or refuse."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from safeapply.istio.mesh_settings import MeshSettings
from safeapply.istio.proxies import Proxy, Traits
from safeapply.plans.attempts import attempted
from safeapply.plans.cautions import cautions
from safeapply.plans.changes import Change
from safeapply.plans.constraints import Dangling, find_constraints
from safeapply.plans.explanations import explained
from safeapply.plans.gateway_order import gateway_order, unbound
from safeapply.plans.improvement import Attempt, Course, improved
from safeapply.plans.in_use import refuse_in_use
from safeapply.plans.owners import refuse_foreign
from safeapply.plans.pins import leftover_pins
from safeapply.plans.plan import Plan, Refusal, Step
from safeapply.plans.refusals import (
    failure,
    refuse_conflicts,
    refuse_dangling,
    refuse_missing_delegate,
    refuse_unbound,
)
from safeapply.plans.route_order import missing_delegates
from safeapply.plans.tls_order import new_conflicts, tls_order
from safeapply.plans.transition import Transition, transition_of
from safeapply.plans.verifier import Counterexample, verify
from safeapply.plans.workload_waits import awaited, written
from safeapply.resources.objects import Resource, ResourceId

__all__ = ["PlanOptions", "plan"]


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What the operator, rather than the mesh, decides."""

    mesh: MeshSettings = MeshSettings()  # noqa: RUF009  frozen
    soak_seconds: float = 1.0
    """Before a removal: how long a request may be parked in a filter in front of the router (ENVOY.md 2)."""
    offline: bool = False
    """No cluster: hosts and gateways that no file declares are taken to exist."""
    explain: bool = False
    """Find out for each step what would fail without its wait; it takes one more proof for each."""


def plan(
    live: Mapping[ResourceId, Resource],
    changes: Iterable[Change],
    *,
    unchanged: Iterable[ResourceId] = (),
    proxies: Iterable[Proxy] = (),
    options: PlanOptions | None = None,
) -> Plan:
    """Return the steps that lead from live to desired without losing a request, or the reasons to refuse.

    Args:
        live: every live object that decides where requests go, in all namespaces.
        changes: the objects to be written or deleted.
        unchanged: desired objects that are live already.
        proxies: the Envoys that run.
        options: what the operator decides.
    """
    options = options or PlanOptions()
    wanted, kept, running = tuple(changes), tuple(unchanged), tuple(proxies)
    unpinned = leftover_pins(live, {*kept, *(change.id for change in wanted)})
    transition = transition_of(live, (*wanted, *unpinned), running, mesh=options.mesh, offline=options.offline)
    outcome = _best(transition, live, kept, options)
    return replace(
        outcome,
        steps=tuple(_summed_up(transition.traits, step) for step in outcome.steps),
        unchanged=kept,
        warnings=tuple(cautions(transition, live, running)),
        versions={one: change.live.resource_version for one, change in transition.changes.items() if change.live},
        traits=transition.traits,
    )


def _summed_up(traits: Traits, step: Step) -> Step:
    """Let a barrier name revisions only where they make a difference."""
    if not traits.revisions:
        return step
    told = (
        one if one.classes is None else replace(one, classes=traits.summed_up(one.classes))
        for one in step.expectations
    )
    return replace(step, expectations=tuple(told))


def _best(
    transition: Transition,
    live: Mapping[ResourceId, Resource],
    unchanged: Collection[ResourceId],
    options: PlanOptions,
) -> Plan:
    """Return the proven plan; where the ways of single hosts contradict each other, that of all together."""
    made = _proven(transition, live, unchanged, options)
    if made.steps or not transition.met or not any(one.code in _CONTRADICTIONS for one in made.refusals):
        return made
    other = _proven(transition, live, unchanged, options, together=True)
    return other if other.steps else made


_CONTRADICTIONS: Final = frozenset({"cycle", "no-safe-order"})


def _proven(
    transition: Transition,
    live: Mapping[ResourceId, Resource],
    unchanged: Collection[ResourceId],
    options: PlanOptions,
    *,
    together: bool = False,
) -> Plan:
    """Return the plan if every reachable state is safe, else the refusal with the failing request."""
    findings = find_constraints(transition)
    refusals = _refusals(transition, live, findings.dangling)
    if refusals:
        return Plan(refusals=refusals)
    assumed = {one: version for one in transition.assumed for version in transition.mesh.versions[one]}

    def judge(steps: Sequence[Step]) -> Counterexample | None:
        return verify(live, steps, transition.classes, mesh=transition.mesh.mesh, assumed=assumed)

    def attempt(course: Course) -> Attempt:
        return attempted(course, judge, soak_seconds=options.soak_seconds)

    order = {*gateway_order(transition), *tls_order(transition, together=together)}
    best = improved(attempt(Course(transition, findings.constraints | order)), attempt)
    steps = tuple(_with_workloads(best.course.transition, best.plan.steps, unchanged))
    if options.explain:
        steps = explained(steps, judge, partial(failure, best.course.transition))
    return replace(best.plan, steps=steps, workloads=written(steps))


def _refusals(
    transition: Transition, live: Mapping[ResourceId, Resource], dangling: Sequence[Dangling]
) -> tuple[Refusal, ...]:
    return (
        *refuse_foreign(live, transition.changes),
        *refuse_in_use(transition, live),
        *refuse_dangling(transition, dangling),
        *(refuse_missing_delegate(transition, one) for one in missing_delegates(transition)),
        *map(refuse_unbound, unbound(transition)),
        *refuse_conflicts(new_conflicts(transition)),
    )


def _with_workloads(
    transition: Transition, steps: Sequence[Step], unchanged: Collection[ResourceId]
) -> Iterator[Step]:
    """Yield the steps, each with the workloads that have to run before it."""
    kept = [one for one, change in transition.changes.items() if change.desired is not None]
    own, later = {*kept, *unchanged}, {*kept}
    for step in steps:
        yield replace(step, workloads=awaited(transition, own, step.expectations, later))
        later.difference_update(operation.resource.id for operation in step.operations)
