"""Whatever names whatever: nothing is lost, and nothing comes before what it names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from safeapply.plans.changes import changes_between
from safeapply.plans.plan import Action, Plan
from safeapply.plans.planner import plan
from safeapply.resources.objects import GroupKind, Namespace, Resource, ResourceId
from tests.plans.worlds import SERVICES, read, route, rule

KINDS = (
    GroupKind("", "ConfigMap"),
    GroupKind("", "Secret"),
    GroupKind("", "ServiceAccount"),
    GroupKind("apps", "Deployment"),
    GroupKind("widgets.io", "Widget"),
    GroupKind("rbac.authorization.k8s.io", "RoleBinding"),
    GroupKind("monitoring.io", "Monitor"),
)
SILENT = {"ConfigMap", "Secret"}
"""Kinds in which no reference is looked for."""


@dataclass(frozen=True, slots=True)
class Node:
    """An object of a random world."""

    id: ResourceId
    names: tuple[int, ...]
    """The numbers of the objects that it names."""
    live: bool
    desired: bool


@st.composite
def worlds(draw: DrawFn, *, circles: bool) -> list[Node]:
    """Return some objects; without circles each names only earlier ones."""
    count = draw(st.integers(1, 8))
    nodes: list[Node] = []
    for number in range(count):
        kind = draw(st.sampled_from(KINDS))
        last = count - 1 if circles else number - 1
        names = draw(st.frozensets(st.integers(0, last), max_size=3)) if last >= 0 else frozenset()
        live, desired = draw(st.sampled_from([(True, True), (False, True), (True, False)]))
        identity = ResourceId(kind.group, kind.kind, Namespace("default"), f"o{number}")
        shown = () if kind.kind in SILENT else tuple(sorted(names))
        nodes.append(Node(identity, shown, live, desired))
    return nodes


def made_of(node: Node, nodes: list[Node], version: int) -> Resource:
    """Return the object in one version."""
    references = [{"kind": nodes[n].id.kind, "name": nodes[n].id.name} for n in node.names]
    document = {
        "apiVersion": f"{node.id.group}/v1".lstrip("/"),
        "kind": node.id.kind,
        "metadata": {"name": node.id.name, "namespace": "default"},
        "spec": {"version": version, "references": references},
    }
    return Resource(node.id, document)


def planned(nodes: list[Node], live_routes: str, desired_routes: str) -> Plan:
    """Return the plan for a world, together with some routes."""
    live = {one.id: made_of(one, nodes, 1) for one in nodes if one.live}
    live |= read(SERVICES, "s") | read(live_routes, "live")
    wanted = [made_of(one, nodes, 2) for one in nodes if one.desired] + [*read(desired_routes, "desired").values()]
    changes, _ = changes_between(live, wanted, {}, [one.id for one in nodes if not one.desired])
    return plan(live, changes)


def steps_of(made: Plan) -> Mapping[ResourceId, list[int]]:
    """Return the steps in which each object is written."""
    found: dict[ResourceId, list[int]] = {}
    for number, step in enumerate(made.steps):
        for operation in step.operations:
            found.setdefault(operation.resource.id, []).append(number)
    return found


def naming(nodes: list[Node]) -> Iterator[tuple[Node, Node]]:
    """Yield who names whom."""
    yield from ((one, nodes[number]) for one in nodes for number in one.names if nodes[number] != one)


@given(worlds(circles=False))
def test_everything_is_written_once_and_after_all_that_it_names(nodes: list[Node]) -> None:
    """And deleted once, and before all that it names."""
    made = planned(nodes, "", "")
    assert not made.refusals
    steps = steps_of(made)
    assert {one: len(several) for one, several in steps.items()} == {one.id: 1 for one in nodes}
    for user, provider in naming(nodes):
        (first,), (then,) = (steps[provider.id], steps[user.id])
        if user.live and not provider.desired:
            assert then < first
        elif user.desired and provider.desired:
            assert first < then


@given(worlds(circles=True))
def test_circles_lose_nothing(nodes: list[Node]) -> None:
    """An order that contradicts itself gives way; every object is written nevertheless."""
    made = planned(nodes, "", "")
    assert not made.refusals
    assert {one: len(several) for one, several in steps_of(made).items()} == {one.id: 1 for one in nodes}
    deleted = {op.resource.id for step in made.steps for op in step.operations if op.action is Action.DELETE}
    assert deleted == {one.id for one in nodes if not one.desired}


@given(worlds(circles=True))
def test_other_kinds_cost_no_barrier(nodes: list[Node]) -> None:
    """A renamed subset has its bridge and its two waits, whatever goes with it."""
    renamed = (rule("reviews", "v1") + route("reviews", "v1"), rule("reviews", "v2") + route("reviews", "v2"))
    made = planned(nodes, *renamed)
    writes = Counter(op.resource.id.kind for step in made.steps for op in step.operations)
    assert (writes["DestinationRule"], writes["VirtualService"]) == (2, 1)
    assert sum(bool(step.expectations) for step in made.steps) == 2
