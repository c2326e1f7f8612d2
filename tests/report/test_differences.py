"""What differs between two manifests, in one line."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from safeapply.report.differences import differences

CASES = [
    ("{host: a}", "{host: b}", ["host a -> b"]),
    ("{}", "{timeout: 5s}", ["timeout +5s"]),
    ("{timeout: 5s}", "{}", ["timeout -5s"]),
    ("{hosts: [a, b]}", "{hosts: [b, c]}", ["hosts -a", "hosts +c"]),
    ("{}", "{hosts: [a, b]}", ["hosts +a", "hosts +b"]),
    ("{replicas: 1}", "{replicas: null}", ["replicas 1 -> null"]),
    (
        "{subsets: [{name: v1, labels: {version: v1}}]}",
        "{subsets: [{name: v2}, {name: v1, labels: {version: v1.1}}]}",
        ["subsets[v1].labels.version v1 -> v1.1", "subsets +v2"],
    ),
    ("{subsets: [{name: v1}, {name: v2}]}", "{subsets: [{name: v2}, {name: v1}]}", []),
    (
        "{http: [{route: [{destination: {host: a, subset: v1}}]}]}",
        "{http: [{match: [{port: 80}]}, {route: [{destination: {host: a, subset: v1}}]}]}",
        ["http +{match: [{port: 80}]}"],
    ),
    (
        "{http: [{route: [{destination: {subset: v1}, weight: 90}, {destination: {subset: v2}, weight: 10}]}]}",
        "{http: [{route: [{destination: {subset: v1}, weight: 50}, {destination: {subset: v2}, weight: 50}]}]}",
        ["http[0].route[0].weight 90 -> 50", "http[0].route[1].weight 10 -> 50"],
    ),
    ('{path: ""}', "{path: " + "x" * 60 + "}", ['path "" -> ' + "x" * 45 + "..."]),
]


def document(spec: Any) -> dict[str, Any]:
    """Put a spec into an object that a server has dressed up."""
    metadata = {"name": "x", "resourceVersion": str(id(spec)), "managedFields": [id(spec)]}
    return {"apiVersion": "networking.istio.io/v1", "kind": "X", "metadata": metadata, "spec": spec}


@pytest.mark.parametrize(("before", "after", "told"), CASES)
def test_differences_are_told_by_names_where_things_have_names(before: str, after: str, told: list[str]) -> None:
    """Neither the server's metadata nor mere order is a difference."""
    found = differences(document(yaml.safe_load(before)), document(yaml.safe_load(after)))
    assert [str(one) for one in found] == told


def test_labels_and_annotations_of_the_user_count() -> None:
    """What kubectl remembers of the last apply does not."""
    before = {"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}}}
    after = {"metadata": {"labels": {"team": "a"}, "annotations": {"note": "b"}}}
    assert [str(one) for one in differences(before, after)] == ["labels +{team: a}", "annotations +{note: b}"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab", max_size=3),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["name", "b", "c"]), below, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(VALUES)
def test_equal_values_never_differ(value: Any) -> None:
    """Whatever the shape."""
    assert differences(document({"x": value}), document({"x": value})) == ()
