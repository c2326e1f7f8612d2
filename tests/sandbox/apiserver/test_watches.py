"""Watches: from where they begin, what they tell, and when they have to begin anew."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from tests.sandbox.apiserver.cluster import CONFIGMAPS, MERGE, Cluster, config


def told(event: dict[str, Any]) -> tuple[str, str]:
    """Return the type of an event and the name of its object."""
    return event["type"], event["object"]["metadata"].get("name", "")


def edit(cluster: Cluster, name: str, **labels: str | None) -> None:
    """Set labels of a ConfigMap."""
    cluster.ask("PATCH", f"{CONFIGMAPS}/{name}", {"metadata": {"labels": labels}}, Content_Type=MERGE)


def test_a_watch_without_a_version_begins_with_what_there_is(cluster: Cluster) -> None:
    """What exists is told as added, and writes follow while the connection lives."""
    cluster.ask("POST", CONFIGMAPS, config("a"))
    events = cluster.events(CONFIGMAPS, "")
    assert told(next(events)) == ("ADDED", "a")
    cluster.ask("POST", CONFIGMAPS, config("b"))
    assert told(next(events)) == ("ADDED", "b")
    events.close()


def test_a_watch_resumes_after_the_last_version_seen(cluster: Cluster) -> None:
    """Each event carries the version to go on from, and a second watch tells nothing twice and skips nothing."""
    since = cluster.ask("GET", CONFIGMAPS).body["metadata"]["resourceVersion"]
    for name in "abc":
        cluster.ask("POST", CONFIGMAPS, config(name))
    cluster.ask("DELETE", f"{CONFIGMAPS}/a")
    first = cluster.events(CONFIGMAPS, f"resourceVersion={since}")
    *_, last = islice(first, 2)
    first.close()
    rest = cluster.events(CONFIGMAPS, f"resourceVersion={last['object']['metadata']['resourceVersion']}")
    assert [told(event) for event in islice(rest, 2)] == [("ADDED", "c"), ("DELETED", "a")]
    rest.close()


def test_a_version_that_is_forgotten_is_gone(cluster: Cluster) -> None:
    """After compaction a watch from the past ends with 410, and one from the present goes on."""
    since = cluster.store.resource_version
    cluster.ask("POST", CONFIGMAPS, config())
    cluster.do(cluster.store.ledger.forget)
    (error,) = cluster.events(CONFIGMAPS, f"resourceVersion={since}")
    assert (error["type"], error["object"]["code"], error["object"]["reason"]) == ("ERROR", 410, "Expired")
    events = cluster.events(CONFIGMAPS, f"resourceVersion={cluster.store.resource_version}")
    cluster.ask("DELETE", f"{CONFIGMAPS}/settings")
    assert told(next(events)) == ("DELETED", "settings")
    events.close()


def test_objects_enter_and_leave_a_selection(cluster: Cluster) -> None:
    """To who watches a label, an edit that sets it is an addition, and one that takes it off a deletion."""
    since = cluster.store.resource_version
    events = cluster.events(CONFIGMAPS, f"labelSelector=tier%3Dweb&resourceVersion={since}")
    cluster.ask("POST", CONFIGMAPS, config())
    edit(cluster, "settings", tier="web")
    edit(cluster, "settings", tier="web", other="x")
    edit(cluster, "settings", tier=None)
    assert [event["type"] for event in islice(events, 3)] == ["ADDED", "MODIFIED", "DELETED"]
    events.close()


def test_one_object_can_be_watched(cluster: Cluster) -> None:
    """A field selector narrows a watch to a name."""
    since = cluster.store.resource_version
    for name in "ab":
        cluster.ask("POST", CONFIGMAPS, config(name))
    events = cluster.events(CONFIGMAPS, f"fieldSelector=metadata.name%3Db&resourceVersion={since}")
    assert told(next(events)) == ("ADDED", "b")
    events.close()


def test_bookmarks_come_where_they_are_asked_for(cluster: Cluster) -> None:
    """One marks the end of what there was at first, and one the end of the watch; neither comes unasked."""
    cluster.ask("POST", CONFIGMAPS, config())
    asked = "sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1"
    added, start, end = cluster.events(CONFIGMAPS, asked)
    assert told(added) == ("ADDED", "settings")
    assert start["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert (start["type"], end["type"]) == ("BOOKMARK", "BOOKMARK")
    assert end["object"]["metadata"]["resourceVersion"] == str(cluster.store.resource_version)
    assert [told(event) for event in cluster.events(CONFIGMAPS, "timeoutSeconds=1")] == [("ADDED", "settings")]


def test_a_server_that_stops_ends_its_watches(cluster: Cluster) -> None:
    """The stream ends as if its time were over: no client waits for a server that is gone."""
    cluster.ask("POST", CONFIGMAPS, config())
    events = cluster.events(CONFIGMAPS, "")
    assert told(next(events)) == ("ADDED", "settings")
    cluster.stop()
    with pytest.raises(StopIteration):
        next(events)
