"""The notes that a rollout leaves on what it writes: as the API server takes them, without values, without harm."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeapply.errors import ClusterError
from safeapply.plans.plan import Action, Operation, Phase, Plan, Step
from safeapply.resources.objects import Namespace, Resource, ResourceId
from safeapply.rollout.events import PlanStarted, Wrote
from safeapply.rollout.notes import FAILURES, MOST, Notes, note_of
from tests.rollout.memory import JumpingClock, MemoryCluster

AT = datetime(2026, 11, 23, 3, 0, 0, 5, tzinfo=UTC)
WHO = "alice@laptop (pid 7)"


def plan(kind: str, name: str, space: str, *, phase: Phase = Phase.SWITCH, why: str = "because") -> Plan:
    """Return a plan that writes one object."""
    metadata = {"name": name, **({"namespace": space} if space else {})}
    one = ResourceId("", kind, Namespace(space), name)
    resource = Resource(one, {"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": {"key": "aGVyZQ=="}})
    return Plan(steps=(Step(phase, (Operation(Action.APPLY, resource),), (), 0.0, why),))


def wrote(made: Plan, word: str = "configured") -> Wrote:
    """Return the event of its write."""
    return Wrote(1.0, 1, Action.APPLY, made.steps[0].operations[0].resource.id, word, "8", "u-1")


def test_a_note_tells_who_did_what_in_which_step_and_why() -> None:
    """In Kubernetes' own words and places."""
    made = plan("Service", "reviews", "shop", why="Routes move to subset stable.")
    note = note_of(wrote(made), made, by=WHO, at=AT)
    assert note is not None
    assert note.document == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": note.id.name, "namespace": "shop"},
        "eventTime": "2026-11-23T03:00:00.000005Z",
        "type": "Normal",
        "reason": "Switched",
        "action": "Apply",
        "reportingController": "safeapply",
        "reportingInstance": WHO,
        "regarding": {
            "apiVersion": "v1",
            "kind": "Service",
            "namespace": "shop",
            "name": "reviews",
            "uid": "u-1",
            "resourceVersion": "8",
        },
        "note": "alice@laptop (pid 7), step 1 of 1, switch: Routes move to subset stable.",
    }


@given(
    kind=st.sampled_from(["Service", "Secret", "Namespace"]),
    name=st.from_regex(r"[a-z]([-a-z0-9]{0,250}[a-z0-9])?", fullmatch=True),
    why=st.text(max_size=3000),
    by=st.text(min_size=1, max_size=300),
    phase=st.sampled_from(Phase),
)
def test_the_api_server_takes_every_note_and_none_has_a_value(
    kind: str, name: str, why: str, by: str, phase: Phase
) -> None:
    """The rules of kubernetes ``pkg/apis/core/validation/events.go``."""
    space = "" if kind == "Namespace" else "shop"
    made = plan(kind, name, space, phase=phase, why=why)
    note = note_of(wrote(made), made, by=by, at=AT)
    assert note is not None
    document = note.document
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", note.id.name)
    assert document["metadata"]["namespace"] == (space or "default")
    assert len(document["note"].encode()) <= 1024
    assert 0 < len(document["reportingInstance"].encode()) <= 128
    assert len(document["reason"]) <= 128
    assert "aGVyZQ==" not in str(document)


def test_what_was_there_already_gets_no_note() -> None:
    """Nothing was changed."""
    made = plan("Service", "reviews", "shop")
    assert note_of(wrote(made, "unchanged"), made, by=WHO, at=AT) is None


class Refusing(MemoryCluster):
    """A cluster that takes no notes."""

    tries = 0

    async def create(self, resource: Resource) -> Resource:
        """Refuse."""
        self.tries += 1
        raise ClusterError(f"{resource.id} is forbidden")


@pytest.mark.parametrize("cluster", [MemoryCluster([]), Refusing([])], ids=["takes them", "refuses"])
async def test_notes_are_few_and_do_no_harm(cluster: MemoryCluster) -> None:
    """A rollout of thousands leaves some hundreds; where the first fail there are no more."""
    notes = Notes(cluster, JumpingClock(), WHO)
    for number in range(MOST + 10):
        made = plan("Service", f"reviews-{number}", "shop")
        notes(PlanStarted(0.0, made))
        notes(wrote(made))
    await notes.close()
    if isinstance(cluster, Refusing):
        assert FAILURES <= cluster.tries < FAILURES + 4
    else:
        assert len(cluster.writes) == MOST
