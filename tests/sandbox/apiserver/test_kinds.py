"""Kinds: one object in several versions, definitions that bring kinds, namespaces that hold objects."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from tests.sandbox.apiserver.cluster import CONFIGMAPS, RULES, Cluster, config, rule

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MENUS = "/apis/food.example.com/v1/namespaces/default/menus"
VERSIONS = ("v1", "v1beta1", "v1alpha3")


def definition() -> dict[str, Any]:
    """Return the definition of a kind whose list of dishes merges by name."""
    dishes = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
    spec = {"properties": {"dishes": dishes}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "menus.food.example.com"},
        "spec": {
            "group": "food.example.com",
            "scope": "Namespaced",
            "names": {"kind": "Menu", "plural": "menus", "shortNames": ["mn"], "categories": ["kitchen"]},
            "versions": [
                {"name": "v1alpha1", "served": True, "storage": False},
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"properties": {"spec": spec}}},
                },
                {"name": "v0", "served": False, "storage": False},
            ],
        },
    }


def menu(*dishes: str) -> dict[str, Any]:
    """Return an object of the defined kind."""
    spec = {"dishes": [{"name": dish} for dish in dishes]}
    return {"apiVersion": "food.example.com/v1", "kind": "Menu", "metadata": {"name": "today"}, "spec": spec}


def in_version(path: str, version: str) -> str:
    """Return a path in another version of Istio's API."""
    return path.replace("/v1/", f"/{version}/")


@pytest.mark.parametrize("written", VERSIONS)
def test_versions_show_one_object(cluster: Cluster, written: str) -> None:
    """However it was written, all versions read, list and watch the same object, each under its own name."""
    cluster.ask("POST", in_version(RULES, written), rule(version=written))
    seen = []
    for version in VERSIONS:
        path = in_version(RULES, version)
        live = cluster.ask("GET", f"{path}/reviews").body
        assert live["apiVersion"] == f"networking.istio.io/{version}"
        assert cluster.ask("GET", path).body["items"] == [live]
        events = cluster.events(path, "")
        assert next(events)["object"] == live
        events.close()
        seen.append({**live, "apiVersion": ""})
    assert seen == [seen[0]] * 3
    assert cluster.ask("DELETE", f"{in_version(RULES, 'v1beta1')}/reviews").code == 200
    assert cluster.ask("GET", f"{RULES}/reviews").status == (404, "NotFound")


def test_an_applier_is_one_manager_in_all_versions(cluster: Cluster) -> None:
    """Who applies v1 after v1alpha3 takes its own fields back; another is in conflict in any version."""
    old = f"{in_version(RULES, 'v1alpha3')}/reviews"
    cluster.apply(old, rule("reviews", "v1", version="v1alpha3"), "one")
    live = cluster.apply(f"{RULES}/reviews", rule("reviews"), "one").body
    assert "subsets" not in live["spec"]
    assert [one["apiVersion"] for one in live["metadata"]["managedFields"]] == ["networking.istio.io/v1"]
    assert cluster.apply(old, rule("reviews", host="x", version="v1alpha3"), "two").status == (409, "Conflict")


def test_a_definition_brings_a_kind_and_takes_it_along(cluster: Cluster) -> None:
    """It is served, discovered and merged as defined, and its objects go with it."""
    assert cluster.ask("GET", MENUS).code == 404
    assert cluster.ask("POST", DEFINITIONS, definition()).code == 201
    resource, *_ = cluster.ask("GET", "/apis/food.example.com/v1").body["resources"]
    assert (resource["shortNames"], resource["categories"]) == (["mn"], ["kitchen"])
    group = cluster.ask("GET", "/apis/food.example.com").body
    assert [one["version"] for one in group["versions"]] == ["v1", "v1alpha1"]
    cluster.apply(f"{MENUS}/today", menu("soup"), "one")
    both = cluster.apply(f"{MENUS}/today", menu("cake"), "two").body
    assert both["spec"]["dishes"] == [{"name": "soup"}, {"name": "cake"}]
    cluster.ask("DELETE", f"{DEFINITIONS}/menus.food.example.com")
    assert cluster.ask("GET", MENUS).code == 404
    cluster.ask("POST", DEFINITIONS, definition())
    assert cluster.ask("GET", MENUS).body["items"] == []


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"versions": []}, 422),
        ({"names": {"kind": ["Menu"], "plural": "menus"}}, 400),
        ({"group": "drink.example.com"}, 422),
    ],
)
def test_definitions_are_checked(cluster: Cluster, wrong: dict[str, Any], code: int) -> None:
    """A definition without versions or under another name is 422, one with words that are none 400."""
    sent = definition()
    assert cluster.ask("POST", DEFINITIONS, {**sent, "spec": {**sent["spec"], **wrong}}).code == code


def test_a_namespace_holds_and_takes_along_its_objects(cluster: Cluster) -> None:
    """Nothing is created in a namespace that is not there, and with it go its objects, each told to watchers."""
    shop = CONFIGMAPS.replace("default", "shop")
    assert cluster.ask("POST", shop, config()).status == (404, "NotFound")
    born = cluster.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}}).body
    assert born["status"]["phase"] == "Active"
    assert born["metadata"]["labels"] == {"kubernetes.io/metadata.name": "shop"}
    cluster.ask("POST", shop, config())
    cluster.ask("POST", CONFIGMAPS, config())
    events = cluster.events("/api/v1/configmaps", f"resourceVersion={cluster.store.resource_version}")
    cluster.ask("DELETE", "/api/v1/namespaces/shop")
    (event,) = islice(events, 1)
    assert (event["type"], event["object"]["metadata"]["namespace"]) == ("DELETED", "shop")
    events.close()
    left = cluster.ask("GET", "/api/v1/configmaps").body["items"]
    assert [one["metadata"]["namespace"] for one in left] == ["default"]


def test_finalizers_keep_an_object_until_they_are_gone(cluster: Cluster) -> None:
    """A deletion marks it, and the update that takes the last one away ends it."""
    path = f"{CONFIGMAPS}/settings"
    cluster.ask("POST", CONFIGMAPS, config(finalizers=["example.com/slow"]))
    marked = cluster.ask("DELETE", path).body
    assert marked["metadata"]["deletionTimestamp"]
    assert cluster.ask("GET", path).body == marked
    metadata = {key: text for key, text in marked["metadata"].items() if key != "finalizers"}
    assert cluster.ask("PUT", path, {**marked, "metadata": metadata}).code == 200
    assert cluster.ask("GET", path).status == (404, "NotFound")
