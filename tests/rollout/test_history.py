"""What a rollout found is kept until it has been gone back to; a run that goes on adds to it, and takes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeapply.errors import ClusterError, UsageError
from safeapply.plans.found import Found, decoded, encoded, found_by
from safeapply.plans.plan import Action, Operation, Phase, Plan, Step
from safeapply.resources.objects import Document, GroupKind, Namespace, Resource, ResourceId
from safeapply.rollout.history import History, State
from tests.rollout.memory import JumpingClock, MemoryCluster

ROOT, DEFAULT = Namespace("istio-system"), Namespace("default")
KEPT = GroupKind("apps", "ControllerRevision")
OURS = frozenset({"safeapply", "kubectl-client-side-apply"})


def one(name: str, kind: str = "ConfigMap") -> ResourceId:
    """Return an object."""
    return ResourceId("", kind, DEFAULT, name)


def found(name: str, value: str | None) -> Found:
    """Return what was found: a value, or nothing."""
    document = None if value is None else {"data": {"key": value}}
    return Found(one(name), document, value is not None)


def history(cluster: MemoryCluster) -> History:
    """Return the records of a cluster."""
    return History(cluster, JumpingClock(), ROOT, "alice@laptop")


async def test_a_run_that_goes_on_keeps_what_the_killed_one_found() -> None:
    """What the first run wrote is no finding of the second."""
    records = history(MemoryCluster())
    await records.begin((found("a", "before"), found("b", None)))
    await records.begin((found("a", "between"), found("c", "before")))
    assert [record.found for record in await records.records()] == [
        (found("a", "before"), found("b", None), found("c", "before"))
    ]


async def test_a_run_that_adds_nothing_writes_no_new_record() -> None:
    """However often it is killed."""
    cluster = MemoryCluster()
    records = history(cluster)
    for value in ("before", "between", "nearly"):
        await records.begin((found("a", value),))
    assert len([write for write in cluster.writes if "safeapply" in write]) == 1


async def test_a_settled_rollout_is_followed_by_findings_of_its_own_and_gone_back_to_in_turn() -> None:
    """The newest first; when nothing is left, that is said."""
    records = history(MemoryCluster())
    for value in ("first", "second"):
        await records.mark(await records.begin((found("a", value),)), State.SETTLED)
    for value in ("second", "first"):
        latest = await records.latest()
        assert latest.found == (found("a", value),)
        await records.mark(latest, State.ROLLED_BACK)
    with pytest.raises(UsageError, match="no rollout to go back from"):
        await records.latest()


async def test_ten_records_are_kept() -> None:
    """As many as a Deployment keeps."""
    records = history(MemoryCluster())
    for number in range(13):
        await records.mark(await records.begin((found("a", str(number)),)), State.SETTLED)
    assert [record.revision for record in await records.records()] == list(range(13, 3, -1))


async def test_a_record_of_another_make_is_named_and_not_guessed_at() -> None:
    """Somebody has edited it."""
    cluster = MemoryCluster()
    records = history(cluster)
    await records.begin((found("a", "before"),))
    key = next(key for key in cluster.objects if key.group_kind == KEPT)
    kept = cluster.objects[key]
    cluster.objects[key] = Resource(key, {**kept.document, "data": {"found": "????"}})
    with pytest.raises(ClusterError, match="safeapply-1 is no record that can be read"):
        await records.latest()


NAMES = st.text(min_size=1, max_size=8)
FOUND = st.builds(
    lambda name, text, there: Found(one(name), {"data": {"key": text}} if there else None, there),
    NAMES,
    st.text(),
    st.booleans(),
)


@given(st.lists(FOUND))
def test_whatever_is_found_is_read_back(listed: list[Found]) -> None:
    """Any text survives."""
    assert decoded(encoded(listed)) == tuple(listed)


@given(st.text())
def test_whatever_is_no_record_is_an_error_and_no_traceback(text: str) -> None:
    """Bad base64, bad gzip, bad JSON."""
    with pytest.raises(ClusterError):
        decoded(text)


def finding(live: Document, manifest: Document | None, kind: str = "Deployment") -> Found:
    """Return what is found of one object that is applied, or deleted."""
    before = Resource(one("web", kind), live)
    wanted = Resource(before.id, manifest if manifest is not None else live)
    action = Action.DELETE if manifest is None else Action.APPLY
    plan = Plan(steps=(Step(Phase.WIDEN, (Operation(action, wanted),), (), 0.0, "because"),))
    return found_by(plan, {before.id: before}, OURS)[0]


LIVE = {
    "metadata": {
        "name": "web",
        "uid": "1",
        "resourceVersion": "7",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        "managedFields": [
            {"manager": "kubectl-client-side-apply", "fieldsV1": {"f:spec": {"f:paused": {}}}},
            {"manager": "autoscaler", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        ],
    },
    "spec": {"replicas": 7, "paused": True},
    "status": {"replicas": 7},
}


def test_what_others_own_and_the_files_do_not_speak_of_is_not_put_back() -> None:
    """The autoscaler goes on deciding how many replicas there are."""
    kept = finding(LIVE, {"spec": {"paused": False}})
    assert kept.document == {"metadata": {"name": "web"}, "spec": {"paused": True}}


def test_what_the_files_speak_of_is_put_back_whoever_owns_it() -> None:
    """The rollout took it over, so the way back gives it back."""
    document = finding(LIVE, {"spec": {"replicas": 3}}).document
    assert document is not None
    assert document["spec"]["replicas"] == 7


def test_what_is_deleted_is_kept_whole() -> None:
    """All of it goes, so all of it has to come back."""
    document = finding(LIVE, None).document
    assert document is not None
    assert document["spec"] == {"replicas": 7, "paused": True}


def test_the_values_of_a_secret_are_never_kept() -> None:
    """Not even in base64: it cannot be put back, and the record says that it was there."""
    kept = finding({"metadata": {"name": "web"}, "data": {"password": "aHVudGVyMg=="}}, {}, "Secret")
    assert (kept.document, kept.there, kept.lost) == (None, True, True)
