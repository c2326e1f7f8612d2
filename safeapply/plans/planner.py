"""From live and desired to a plan (DESIGN 4): find the order, write the steps, prove them, or refuse."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from safeapply.istio.kinds import DESTINATION_RULE, VIRTUAL_SERVICE
from safeapply.istio.proxies import Proxy
from safeapply.istio.snapshot import MeshSettings
from safeapply.istio.view import Views
from safeapply.plans.barriers import preconditions, settled
from safeapply.plans.cautions import cautions
from safeapply.plans.changes import Change
from safeapply.plans.constraints import Dangling, find_constraints
from safeapply.plans.explanations import Judge, explained
from safeapply.plans.gateway_order import gateway_order, unbound
from safeapply.plans.improvement import Attempt, Course, improved
from safeapply.plans.in_use import refuse_in_use
from safeapply.plans.kind_order import SWITCHING_KINDS, with_kind_order
from safeapply.plans.order_reasons import with_order
from safeapply.plans.owners import refuse_foreign
from safeapply.plans.pins import leftover_pins
from safeapply.plans.plan import Action, Operation, Phase, Plan, Refusal, Step
from safeapply.plans.proofs import proofs
from safeapply.plans.reasons import reason
from safeapply.plans.refusals import (
    failure,
    refuse_conflicts,
    refuse_counterexample,
    refuse_cycle,
    refuse_dangling,
    refuse_missing_delegate,
    refuse_unbound,
)
from safeapply.plans.route_order import missing_delegates
from safeapply.plans.tls_order import new_conflicts, tls_order
from safeapply.plans.tls_proofs import tls_proofs
from safeapply.plans.transition import Transition, transition_of
from safeapply.plans.verifier import Counterexample, verify
from safeapply.plans.versions import Stage
from safeapply.plans.workload_waits import awaited, written
from safeapply.plans.writes import Cycle, Part, Write, level, stages_of, writes_of
from safeapply.resources.objects import Resource, ResourceId
from safeapply.xds.expectations import ClusterUnreferenced, Expectation, RouteReleased

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
    wanted, kept = tuple(changes), tuple(unchanged)
    unpinned = leftover_pins(live, {*kept, *(change.id for change in wanted)})
    transition = transition_of(live, (*wanted, *unpinned), proxies, mesh=options.mesh, offline=options.offline)
    outcome = _best(transition, live, kept, options)
    return replace(
        outcome,
        unchanged=kept,
        warnings=tuple(cautions(transition, live)),
        versions={one: change.live.resource_version for one, change in transition.changes.items() if change.live},
        label_keys=transition.label_keys,
    )


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
        return _attempt(course, options, judge)

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


def _attempt(course: Course, options: PlanOptions, judge: Judge) -> Attempt:
    """Put the writes in order, and have the plan proven that comes of it."""
    transition = course.transition
    constraints = with_kind_order(transition, course.routing)
    between = stages_of(constraints, transition.bridges, transition.on_their_way)
    # A rule that only pins is written only where somebody has to be pinned.
    objects = [o for o, change in transition.changes.items() if change.live or change.desired or o in between]
    follows = writes_of(objects, constraints, between)
    narrowed = {one for one, part in (c.then for c in constraints) if part is Part.NARROWING}
    phases = {write: _phase(transition, frozenset(narrowed - transition.on_their_way), write) for write in follows}
    levels = level(follows, phases)
    if isinstance(levels, Cycle):
        return Attempt(course, Plan(refusals=(refuse_cycle(levels),)), levels.objects)

    def prove(*, thorough: bool) -> tuple[Plan, Counterexample | None]:
        needs = _needs(transition, levels, follows, thorough=thorough)
        made = _plan_of(transition, levels, phases, needs, options)
        return made, judge(made.steps)

    made, found = prove(thorough=False)
    if found is not None:
        # Where less does not prove enough, a barrier waits for all that the step before it changes.
        made, found = prove(thorough=True)
    if found is not None:
        return Attempt(course, Plan(refusals=(refuse_counterexample(transition, found, made.steps),)), found.racing)
    return Attempt(course, replace(made, steps=with_order(made.steps, levels, constraints, between)))


def _with_workloads(
    transition: Transition, steps: Sequence[Step], unchanged: Collection[ResourceId]
) -> Iterator[Step]:
    """Yield the steps, each with the workloads that have to run before it."""
    kept = [one for one, change in transition.changes.items() if change.desired is not None]
    own, later = {*kept, *unchanged}, {*kept}
    for step in steps:
        yield replace(step, workloads=awaited(transition, own, step.expectations, later))
        later.difference_update(operation.resource.id for operation in step.operations)


def _needs(
    transition: Transition,
    levels: Sequence[Sequence[Write]],
    follows: Mapping[Write, Collection[Write]],
    *,
    thorough: bool,
) -> list[tuple[Expectation, ...]]:
    """Return what each level waits for: what it needs, and the arrival of the writes that it follows."""
    reached: dict[ResourceId, Stage] = {}
    unproven: dict[Write, Stage] = {}
    needs: list[tuple[Expectation, ...]] = []
    earlier = transition.live
    for writes in levels:
        stages, before = dict(reached), transition.state(reached)
        reached.update({write.id: write.stage for write in writes})
        expected = preconditions(transition, before, transition.state(reached))
        # What one step has waited for, no later one has to.
        followed = {one for write in writes for one in follows[write] if one in unproven}
        awaited = {one: unproven.pop(one) for one in sorted(followed, key=lambda write: write.id)}
        shown = (*proofs(transition, before, awaited, expected), *tls_proofs(transition, before, awaited))
        changed = settled(transition, earlier, before) if thorough else ()
        needs.append(tuple(dict.fromkeys((*expected, *shown, *changed))))
        earlier = before
        unproven.update({write: stages.get(write.id, Stage.LIVE) for write in writes})
    return needs


def _plan_of(
    transition: Transition,
    levels: Sequence[Sequence[Write]],
    phases: Mapping[Write, Phase],
    needs: list[tuple[Expectation, ...]],
    options: PlanOptions,
) -> Plan:
    stages = {write.id: write.stage for writes in levels[:-1] for write in writes}
    last = {write.id: write.stage for writes in levels[-1:] for write in writes}
    steps = tuple(
        Step(
            phase=max((phases[w] for w in writes), key=list(Phase).index),
            operations=tuple(_operation(transition, write) for write in writes),
            expectations=expectations,
            soak_seconds=options.soak_seconds if _removes(expectations) else 0.0,
            why=reason(transition, writes, expectations, following),
        )
        for writes, expectations, following in zip(levels, needs, _following(transition, needs), strict=True)
    )
    before, after = transition.state(stages), transition.state({**stages, **last})
    ended = {Write(one, stage): stages.get(one, Stage.LIVE) for one, stage in last.items()}
    shown = (*settled(transition, before, after), *tls_proofs(transition, after, ended))
    return Plan(steps=steps, settled=shown)


def _following(transition: Transition, needs: list[tuple[Expectation, ...]]) -> Iterable[tuple[Expectation, ...]]:
    """Yield for each step what the next one waits for, as far as some write has to bring it about."""
    live = Views(transition.live)
    named = {ref.cluster for one in transition.classes for ref in live.of(one, transition.routes).references}
    for following in needs[1:]:
        yield tuple(one for one in following if one.cluster in named or not isinstance(one, ClusterUnreferenced))
    if needs:
        yield ()


def _removes(expectations: Iterable[Expectation]) -> bool:
    return any(isinstance(one, ClusterUnreferenced | RouteReleased) for one in expectations)


def _operation(transition: Transition, write: Write) -> Operation:
    change = transition.changes[write.id]
    if write.stage is not Stage.DESIRED:
        return Operation(Action.APPLY, transition.bridges[write.id][write.stage], bridge=True)
    if change.manifest is not None:
        return Operation(Action.APPLY, change.manifest)
    return Operation(Action.DELETE, change.live or transition.bridges[write.id][Stage.PINNED])


def _phase(transition: Transition, freed: frozenset[ResourceId], write: Write) -> Phase:
    """Tell whether a write adds, moves or removes; ``freed`` are objects whose removals others make room for."""
    change = transition.changes[write.id]
    if write.stage is not Stage.DESIRED:
        return Phase.SWITCH if write.stage is Stage.RELEASE else Phase.WIDEN
    if change.desired is None:
        return Phase.NARROW
    if write.id.group_kind == VIRTUAL_SERVICE:
        if write.id in freed:
            return Phase.NARROW
        # A new delegate is inert until a root names it: it is provided, not switched to.
        return Phase.SWITCH if change.live or change.desired.spec.get("hosts") else Phase.WIDEN
    if write.id in freed or _drops_subsets(transition, write.id):
        return Phase.NARROW
    return Phase.WIDEN if _adds(transition, write.id) else Phase.SWITCH


def _subsets(transition: Transition, one: ResourceId, stage: Stage) -> set[str]:
    change = transition.changes[one]
    resource = change.live if stage is Stage.LIVE else change.desired
    return {str(s["name"]) for s in resource.spec.get("subsets") or ()} if resource else set()


def _drops_subsets(transition: Transition, one: ResourceId) -> bool:
    if one.group_kind != DESTINATION_RULE:
        return False
    return bool(_subsets(transition, one, Stage.LIVE) - _subsets(transition, one, Stage.DESIRED))


def _adds(transition: Transition, one: ResourceId) -> bool:
    if one.group_kind in SWITCHING_KINDS:
        return False
    if one.group_kind != DESTINATION_RULE or transition.changes[one].live is None:
        return True
    return bool(_subsets(transition, one, Stage.DESIRED) - _subsets(transition, one, Stage.LIVE))
