"""One try at a plan (DESIGN 4): versions and constraints become steps with their barriers, and are then proven."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from safeapply.istio.kinds import DESTINATION_RULE, VIRTUAL_SERVICE
from safeapply.istio.routes import Reference
from safeapply.istio.serving import Request
from safeapply.istio.view import Views
from safeapply.plans.barriers import preconditions, settled
from safeapply.plans.explanations import Judge
from safeapply.plans.improvement import Attempt, Course
from safeapply.plans.kind_order import SWITCHING_KINDS, with_kind_order
from safeapply.plans.order_reasons import with_order
from safeapply.plans.plan import Action, Operation, Phase, Plan, Step
from safeapply.plans.proofs import proofs
from safeapply.plans.reasons import reason
from safeapply.plans.refusals import refuse_counterexample, refuse_cycle
from safeapply.plans.tls_proofs import tls_proofs
from safeapply.plans.transition import Transition
from safeapply.plans.verifier import Counterexample
from safeapply.plans.versions import Stage
from safeapply.plans.writes import Cycle, Part, Write, level, stages_of, writes_of
from safeapply.resources.objects import ResourceId
from safeapply.xds.expectations import ClusterUnreferenced, Expectation, RouteReleased

__all__ = ["attempted"]


def attempted(course: Course, judge: Judge, *, soak_seconds: float) -> Attempt:
    """Put the writes in order, and have the plan proven that comes of it.

    Args:
        course: the versions, and which write follows which on account of the routes.
        judge: tells what a plan would lose.
        soak_seconds: how long to wait before a removal once nothing names what goes.
    """
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
        made = _plan_of(transition, levels, phases, needs, soak_seconds=soak_seconds)
        return made, judge(made.steps)

    made, found = prove(thorough=False)
    if found is not None:
        # Where less does not prove enough, a barrier waits for all that the step before it changes.
        made, found = prove(thorough=True)
    if found is not None:
        refusal = refuse_counterexample(transition, found, made.steps)
        return Attempt(course, Plan(refusals=(refusal,)), _deciding(transition, found))
    return Attempt(course, replace(made, steps=with_order(made.steps, levels, constraints, between)))


def _deciding(transition: Transition, found: Counterexample) -> tuple[ResourceId, ...]:
    """Return the writes of a failing step that decide about the request; all of them where none is known to."""
    index = transition.mesh.index
    match found.request:
        case Reference(host=host, domain=domain, chain=chain):
            routes = (*chain, *(index.routes_for(domain) if domain else ()))
            near = {*routes, *index.rules_for(host), *index.registry.get(host, ())}
        case Request(domain=domain):
            near = set(index.routes_for(domain))
        case _:
            near = set()
    return tuple(one for one in found.racing if one in near) or found.racing


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
    *,
    soak_seconds: float,
) -> Plan:
    stages = {write.id: write.stage for writes in levels[:-1] for write in writes}
    last = {write.id: write.stage for writes in levels[-1:] for write in writes}
    steps = tuple(
        Step(
            phase=max((phases[w] for w in writes), key=list(Phase).index),
            operations=tuple(_operation(transition, write) for write in writes),
            expectations=expectations,
            soak_seconds=soak_seconds if _removes(expectations) else 0.0,
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
