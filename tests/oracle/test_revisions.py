"""Revisions are outside the oracle's worlds; what it can tell is where they must make no difference."""

from __future__ import annotations

from hypothesis import assume, given

from safeapply.istio.kinds import DESTINATION_RULE
from safeapply.plans.changes import changes_between
from safeapply.plans.plan import Plan
from safeapply.plans.planner import plan
from safeapply.resources.objects import Namespace, Resource, ResourceId
from tests.oracle.documents import resources
from tests.oracle.profiles import chosen
from tests.oracle.references import Transition
from tests.oracle.worlds import CLIENTS, is_decided, plain_transitions


def beside(labels: dict[str, str]) -> dict[ResourceId, Resource]:
    """Return a rule for a host that no world has, in a namespace that every world has."""
    group, kind = DESTINATION_RULE.group, DESTINATION_RULE.kind
    one = ResourceId(group, kind, Namespace(CLIENTS[0]), "bystander")
    metadata = {"name": one.name, "namespace": one.namespace, "labels": labels}
    spec = {"host": "elsewhere.example", "subsets": [{"name": "v1", "labels": {"version": "v1"}}]}
    document = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, "spec": spec}
    return {one: Resource(one, document)}


def planned(transition: Transition, others: dict[ResourceId, Resource]) -> Plan:
    """Return the plan of a transition beside some objects that stay."""
    live, desired = {**resources(transition.live), **others}, {**resources(transition.desired), **others}
    gone = [one for one in live if one not in desired]
    changes, unchanged = changes_between(live, desired.values(), {}, gone)
    return plan(live, changes, unchanged=unchanged)


@chosen()
@given(plain_transitions())
def test_an_object_of_a_revision_beside_it_changes_no_plan(transition: Transition) -> None:
    """For all transitions of objects that all istiods read: the same steps, barriers and refusals."""
    assume(is_decided(transition))
    ones = [planned(transition, beside(labels)) for labels in ({}, {"istio.io/rev": "canary"})]
    steps, others = (one.steps for one in ones)
    assert steps == others
    refused, also = ([(each.code, each.objects, each.request) for each in one.refusals] for one in ones)
    assert refused == also
