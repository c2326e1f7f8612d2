"""Server-side apply: who owns which field, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.sandbox.apiserver.cluster import (
    CONFIGMAPS,
    MERGE,
    RULES,
    SERVICES,
    Answer,
    Cluster,
    config,
    rule,
    service,
)

SETTINGS = f"{CONFIGMAPS}/settings"
REVIEWS = f"{SERVICES}/reviews"
RULE = f"{RULES}/reviews"


def owners(answer: Answer) -> dict[tuple[str, str], Any]:
    """Return the fields of each manager."""
    entries = answer.body["metadata"].get("managedFields", ())
    return {(one["manager"], one["operation"]): one["fieldsV1"] for one in entries}


def ports(answer: Answer) -> list[int]:
    """Return the ports of a Service."""
    return [port["port"] for port in answer.body["spec"]["ports"]]


def test_ownership_is_written_as_kubernetes_writes_it(cluster: Cluster) -> None:
    """Items of a list are told apart by their keys, with the protocol that the server fills in."""
    applied = cluster.apply(REVIEWS, service("reviews", 80), "one")
    assert applied.code == 201
    item: dict[str, object] = {".": {}, "f:name": {}, "f:port": {}}
    fields = {"f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': item}}}
    assert owners(applied) == {("one", "Apply"): fields}


def test_lists_merge_by_their_keys(cluster: Cluster) -> None:
    """Two managers share the ports of a Service, and each takes back only its own."""
    cluster.apply(REVIEWS, service("reviews", 80, 81), "one")
    assert ports(cluster.apply(REVIEWS, service("reviews", 90), "two")) == [80, 81, 90]
    assert ports(cluster.apply(REVIEWS, service("reviews", 81), "one")) == [81, 90]
    assert cluster.apply(REVIEWS, service("reviews", 90), "two").body["spec"]["clusterIP"]


def test_what_two_want_stays_until_both_let_go(cluster: Cluster) -> None:
    """The same value is no conflict; a field goes with its last owner."""
    cluster.apply(SETTINGS, config(data={"a": "1", "b": "1"}), "one")
    shared = cluster.apply(SETTINGS, config(data={"a": "1"}), "two")
    assert owners(shared)["two", "Apply"] == {"f:data": {"f:a": {}}}
    assert cluster.apply(SETTINGS, config(data={"b": "1"}), "one").body["data"] == {"a": "1", "b": "1"}
    assert cluster.apply(SETTINGS, config(data={"c": "1"}), "two").body["data"] == {"b": "1", "c": "1"}


def test_a_conflict_names_fields_and_owners(cluster: Cluster) -> None:
    """409 tells each field with its owner, and changes nothing; force takes the fields over."""
    cluster.apply(SETTINGS, config(data={"a": "1", "b": "1", "c": "1"}), "one")
    cluster.ask("PATCH", f"{SETTINGS}?fieldManager=editor", {"data": {"b": "2"}}, Content_Type=MERGE)
    wanted = config(data={"a": "3", "b": "3"})
    refused = cluster.apply(SETTINGS, wanted, "two")
    assert refused.status == (409, "Conflict")
    causes = refused.body["details"]["causes"]
    assert {(one["message"], one["field"]) for one in causes} == {
        ('conflict with "one"', ".data.a"),
        ('conflict with "editor" using v1', ".data.b"),
    }
    assert cluster.ask("GET", SETTINGS).body["data"] == {"a": "1", "b": "2", "c": "1"}
    forced = cluster.apply(SETTINGS, wanted, "two", force=True)
    assert forced.body["data"] == {"a": "3", "b": "3", "c": "1"}
    assert owners(forced) == {
        ("one", "Apply"): {"f:data": {"f:c": {}}},
        ("two", "Apply"): {"f:data": {"f:a": {}, "f:b": {}}},
    }


def test_lists_of_istio_are_whole(cluster: Cluster) -> None:
    """No list of a DestinationRule has keys, so another subset is another value of the one field."""
    cluster.apply(RULE, rule("reviews", "v1"), "one")
    refused = cluster.apply(RULE, rule("reviews", "v1", "v2"), "two")
    assert [one["field"] for one in refused.body["details"]["causes"]] == [".spec.subsets"]


def test_a_list_that_was_said_empty_keeps_the_items_of_others(cluster: Cluster) -> None:
    """Who says ``ports: []`` and then nothing takes no port along."""
    headless = service("reviews", clusterIP="None")
    cluster.apply(REVIEWS, headless | {"spec": {"clusterIP": "None", "ports": []}}, "one")
    cluster.apply(REVIEWS, service("reviews", 80, clusterIP="None"), "two")
    dropped = cluster.apply(REVIEWS, headless | {"spec": {"clusterIP": "None"}}, "one")
    assert (dropped.code, ports(dropped)) == (200, [80])


@pytest.mark.parametrize(
    ("expected", "codes"),
    [({"resourceVersion": "1"}, [409, 409, 409, 409]), ({"uid": "another"}, [422, 409, 422, 409])],
)
def test_preconditions_hold_for_every_write(
    cluster: Cluster, expected: Mapping[str, str], codes: Sequence[int]
) -> None:
    """An apply, an update, a patch and a deletion that expect another object change nothing."""
    live = cluster.apply(RULE, rule(), "one").body
    other = {**live, "metadata": {**live["metadata"], **expected}}
    wanted = rule() | {"metadata": {"name": "reviews", **expected}}
    answers = [
        cluster.apply(RULE, wanted, "one", force=True),
        cluster.ask("PUT", RULE, other),
        cluster.ask("PATCH", RULE, {"metadata": expected}, Content_Type=MERGE),
        cluster.ask("DELETE", RULE, {"preconditions": expected}),
    ]
    assert [answer.code for answer in answers] == codes
    assert cluster.ask("GET", RULE).body == live


@pytest.mark.parametrize(("expected", "code"), [({"resourceVersion": "1"}, 201), ({"uid": "another"}, 409)])
def test_only_a_uid_keeps_an_apply_from_creating(cluster: Cluster, expected: Mapping[str, str], code: int) -> None:
    """Where the object is gone, a resourceVersion is not asked for, and a uid is."""
    wanted = rule() | {"metadata": {"name": "new", **expected}}
    assert cluster.apply(f"{RULES}/new", wanted, "one").code == code


def test_a_dry_run_answers_and_writes_nothing(cluster: Cluster) -> None:
    """Creation, apply, patch, update and deletion answer as if, and no version moves."""
    live = cluster.apply(RULE, rule("reviews", "v1"), "one").body
    dry = "?dryRun=All&fieldManager=one"
    told = cluster.apply(RULE, rule("reviews", "v2"), "one", also="&dryRun=All").body
    assert (told["metadata"]["generation"], told["spec"]["subsets"][0]["name"]) == (2, "v2")
    assert cluster.apply(f"{RULES}/new", rule("new"), "one", also="&dryRun=All").code == 201
    assert cluster.ask("POST", RULES + dry, rule("new")).code == 201
    assert cluster.ask("PATCH", RULE + dry, {"spec": {"host": "x"}}, Content_Type=MERGE).body["spec"]["host"] == "x"
    assert cluster.ask("PUT", RULE + dry, {**live, "spec": {"host": "y"}}).body["spec"]["host"] == "y"
    assert cluster.ask("DELETE", RULE + dry).code == 200
    assert cluster.ask("GET", RULES).body["items"] == [live]


def test_generation_counts_changes_of_the_spec_alone(cluster: Cluster) -> None:
    """Labels, status and repetition leave it; the uid is the same all the time, until the name is born again."""
    first = cluster.apply(RULE, rule(), "one").body["metadata"]
    status = {"status": {"conditions": [{"type": "Reconciled"}]}}
    writes = [
        cluster.apply(RULE, rule(), "one"),
        cluster.ask("PATCH", RULE, {"metadata": {"labels": {"a": "b"}}}, Content_Type=MERGE),
        cluster.ask("PATCH", f"{RULE}/status", {**status, "spec": {"host": "x"}}, Content_Type=MERGE),
        cluster.ask("PATCH", RULE, {"spec": {"host": "ratings"}, "status": {}}, Content_Type=MERGE),
    ]
    assert [write.body["metadata"]["generation"] for write in writes] == [1, 1, 1, 2]
    assert {write.body["metadata"]["uid"] for write in writes} == {first["uid"]}
    assert writes[0].body["metadata"]["resourceVersion"] == first["resourceVersion"]
    assert writes[3].body["status"] == status["status"]
    cluster.ask("DELETE", RULE)
    born_again = cluster.apply(RULE, rule(), "one").body["metadata"]
    assert born_again["generation"] == 1
    assert born_again["uid"] != first["uid"]
