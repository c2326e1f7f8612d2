"""Live objects on their way into the store."""

from __future__ import annotations

from safeapply.resources.objects import GroupKind
from safeapply.sandbox.apiserver import Store
from safeapply.sandbox.stored import StoredObjects

RULE = GroupKind("networking.istio.io", "DestinationRule")


def test_live_objects_keep_their_age() -> None:
    """Who is older decides who wins (ISTIO.md 4.10), so a dump is restored as old as it was."""
    rules = [
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "DestinationRule",
            "metadata": {"name": name, "namespace": "default"} | ({"creationTimestamp": born} if born else {}),
            "spec": {"host": "reviews"},
        }
        for name, born in (("a", "2026-01-01T00:00:02Z"), ("b", "2026-01-01T00:00:01Z"), ("c", ""))
    ]
    store = Store()
    StoredObjects(store).fill(rules, ())
    ages = {one["metadata"]["name"]: one["metadata"]["creationTimestamp"] for one in store.list(RULE)}
    assert sorted(ages, key=ages.__getitem__) == ["b", "a", "c"]
    assert ages["a"] == "2026-01-01T00:00:02Z"
