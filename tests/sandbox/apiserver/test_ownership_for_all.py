"""What holds for all server-side applies, whatever the objects and whoever applies them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from safeapply.resources.objects import Document
from safeapply.sandbox.apiserver import Store
from safeapply.sandbox.apiserver.ownership import difference, fields_of, union

MANAGERS = st.sampled_from(["one", "two", "three"])
VALUES = st.sampled_from(["a", "b"])
FINALIZERS = st.sampled_from(["example.com/a", "example.com/b"])
TEXTS = st.dictionaries(st.sampled_from(["x", "y"]), VALUES, min_size=1, max_size=2)
NUMBERED = st.sampled_from([80, 81]).map(lambda number: {"port": number, "name": f"p{number}"})
PORT = st.builds(dict.__or__, NUMBERED, st.fixed_dictionaries({}, optional={"appProtocol": VALUES}))
PORTS = st.lists(PORT, min_size=1, max_size=2, unique_by=lambda port: port["port"])
SPECS = st.fixed_dictionaries(
    {"clusterIP": st.just("None")},
    optional={
        "ports": PORTS,
        "selector": TEXTS,
        "externalIPs": st.lists(VALUES, min_size=1, max_size=2),
        "type": st.just("ClusterIP"),
    },
)
LABELS = st.fixed_dictionaries(
    {}, optional={"labels": TEXTS, "finalizers": st.lists(FINALIZERS, min_size=1, max_size=2, unique=True)}
)


@st.composite
def services(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a Service with maps, a list that merges by keys, one that merges as a set, and an atomic one.

    None of them is empty: the real server leaves out what is, whoever owns it.
    """
    metadata = {"name": "reviews", **draw(LABELS)}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": draw(SPECS)}


def within(wanted: object, live: object) -> bool:
    """Tell whether all that was applied is in the live object."""
    match wanted, live:
        case dict(), dict():
            return all(key in live and within(value, live[key]) for key, value in wanted.items())
        case list(), list():
            return all(any(within(item, mine) for mine in live) for item in wanted)
        case _:
            return wanted == live


def owned(document: Document) -> Mapping[str, Any]:
    """Return every field that has an owner."""
    fields: Mapping[str, Any] = {}
    for entry in document["metadata"].get("managedFields", ()):
        fields = union(fields, entry["fieldsV1"])
    return fields


@settings(max_examples=200, deadline=None)
@given(first=services(), second=services())
def test_applying_twice_is_applying_once(first: Document, second: Document) -> None:
    """The second time writes nothing, so that nobody who watches is woken."""
    store = Store()
    store.apply(first, manager="one")
    once = store.apply(second, manager="two", force=True)
    assert store.apply(second, manager="two") == once
    assert store.resource_version == int(once["metadata"]["resourceVersion"])


@settings(max_examples=200, deadline=None)
@given(mine=services(), theirs=services())
def test_letting_go_leaves_what_others_want(mine: Document, theirs: Document) -> None:
    """Whatever one applied and drops again, all that the other applied is still there."""
    store = Store()
    store.apply(mine, manager="one")
    store.apply(theirs, manager="two", force=True)
    bare = {**mine, "metadata": {"name": "reviews"}, "spec": {"clusterIP": "None"}}
    left = store.apply(bare, manager="one")
    assert within(theirs["spec"], left["spec"])
    assert within(theirs["metadata"], left["metadata"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(MANAGERS, services()), min_size=1, max_size=6))
def test_the_last_word_holds_and_nothing_is_owned_in_vain(applies: list[tuple[str, Document]]) -> None:
    """After any row of forced applies the last one is in the object, and every owned field exists."""
    store = Store()
    for manager, document in applies:
        live = store.apply(document, manager=manager, force=True)
        assert within(document["spec"], live["spec"])
        assert within(document["metadata"], live["metadata"])
        kind = store.kinds.served("", "v1", "services")
        assert kind is not None
        there = fields_of({key: live[key] for key in ("metadata", "spec")}, kind.layout, inner=True)
        assert not difference(owned(live), there)
