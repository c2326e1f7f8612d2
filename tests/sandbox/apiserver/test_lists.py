"""Lists: what selectors hold, and parts that make one whole."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.sandbox.apiserver.cluster import CONFIGMAPS, Answer, Cluster, config

EVERYWHERE = "/api/v1/configmaps"


@pytest.fixture
def shelf(cluster: Cluster) -> Cluster:
    """Hand over a server with five ConfigMaps, a to e, in two namespaces."""
    for name, labels in {"a": {"tier": "web"}, "b": {"tier": "db"}, "c": {}, "d": {"tier": "web", "x": ""}}.items():
        cluster.ask("POST", CONFIGMAPS, config(name, labels=labels))
    cluster.ask("POST", CONFIGMAPS.replace("default", "istio-system"), config("e"))
    return cluster


def names(answer: Answer) -> str:
    """Return the names in a list as one word."""
    return "".join(one["metadata"]["name"] for one in answer.body["items"])


@pytest.mark.parametrize(
    ("selector", "held"),
    [
        ("tier=web", "ad"),
        ("tier==web,!x", "a"),
        ("tier!=web", "bce"),
        ("tier in (web, db)", "abd"),
        ("tier notin (web),tier", "b"),
        ("x=", "d"),
    ],
)
def test_labels_select(shelf: Cluster, selector: str, held: str) -> None:
    """Equality, sets and presence mean what they do in Kubernetes: absent is not equal."""
    assert names(shelf.ask("GET", f"{EVERYWHERE}?labelSelector={quote(selector)}")) == held


def test_fields_select(shelf: Cluster) -> None:
    """Name and namespace can be asked for; other fields are refused."""
    wanted = quote("metadata.namespace!=istio-system,metadata.name=b")
    assert names(shelf.ask("GET", f"{EVERYWHERE}?fieldSelector={wanted}")) == "b"
    assert shelf.ask("GET", f"{EVERYWHERE}?fieldSelector=data.a%3D1").status == (400, "BadRequest")


def test_parts_are_of_one_version(shelf: Cluster) -> None:
    """A list with a limit goes on as it was, whatever is written between its parts."""
    part = shelf.ask("GET", f"{EVERYWHERE}?limit=2")
    version, found = part.body["metadata"]["resourceVersion"], names(part)
    assert part.body["metadata"]["remainingItemCount"] == 3
    shelf.ask("DELETE", f"{CONFIGMAPS}/c")
    shelf.ask("POST", CONFIGMAPS, config("bb"))
    while token := part.body["metadata"].get("continue"):
        part = shelf.ask("GET", f"{EVERYWHERE}?limit=2&continue={token}")
        assert part.body["metadata"]["resourceVersion"] == version
        found += names(part)
    assert found == "abcde"


def test_a_part_of_a_forgotten_version_is_gone(shelf: Cluster) -> None:
    """After compaction a token is too old, and the list has to begin anew."""
    token = shelf.ask("GET", f"{EVERYWHERE}?limit=1").body["metadata"]["continue"]
    shelf.ask("DELETE", f"{CONFIGMAPS}/a")
    shelf.do(shelf.store.ledger.forget)
    assert shelf.ask("GET", f"{EVERYWHERE}?continue={token}").status == (410, "Expired")


@pytest.mark.parametrize(
    ("form", "kind"),
    [("Table", "Table"), ("PartialObjectMetadataList", "PartialObjectMetadataList"), ("", "ConfigMapList")],
)
def test_lists_come_in_the_form_that_is_taken(shelf: Cluster, form: str, kind: str) -> None:
    """Tables for kubectl and metadata for controllers come with the parts' tokens too."""
    accept = f"application/json;as={form};v=v1;g=meta.k8s.io,application/json" if form else "application/json"
    body: Any = shelf.ask("GET", f"{EVERYWHERE}?limit=2", Accept=accept).body
    assert body["kind"] == kind
    assert len(body["rows" if kind == "Table" else "items"]) == 2
    assert body["metadata"]["continue"]
