"""The demo tells the truth about each way, in the same words for all."""

from __future__ import annotations

import io

from rich.console import Console

from safeapply.resources.objects import GroupKind, Namespace, ResourceId
from safeapply.sandbox.controlplane.deliveries import Delivery
from safeapply.sandbox.controlplane.snapshots import Write
from safeapply.sandbox.delays import Delays, Span
from safeapply.sandbox.demo import barriers, demo, methods, print_demo

RULES = GroupKind("networking.istio.io", "DestinationRule")
DELAYS = Delays(lag=Span(0.0, 0.5), push=Span(0.0, 0.3))


def _write(version: int, at: float) -> Write:
    return Write(ResourceId(RULES.group, RULES.kind, Namespace("default"), "reviews"), version, at)


def _push(proxy: str, version: int, due: float) -> Delivery:
    return Delivery(proxy, 0, version, {("", RULES): version}, due, due, ("CDS",))


def test_writes_are_grouped_by_what_had_arrived_everywhere() -> None:
    """A write that follows before the slowest proxy has the one before it belongs to the same group."""
    writes = [_write(1, 0.0), _write(2, 0.5), _write(3, 5.0)]
    deliveries = [
        _push("a", 1, 0.2),
        _push("b", 2, 1.0),
        _push("a", 2, 1.5),
        _push("a", 3, 6.0),
        _push("b", 3, 7.0),
    ]
    assert [[write.resource_version for write in group] for group in barriers(writes, deliveries)] == [[1, 2], [3]]


def test_the_ways_differ_in_nothing_but_the_way() -> None:
    """All end with the very same manifests; the pauses are those that the names say."""
    by_name = {method.name: " ".join(method.command) for method in methods()}
    assert list(by_name) == ["kubectl", "sleep-1s", "sleep-5s", "safeapply"]
    assert all("demo_mesh/desired" in command for command in by_name.values())
    assert "sleep" not in by_name["kubectl"]
    assert by_name["sleep-1s"].count("; sleep 1; ") == 2
    assert by_name["sleep-5s"].count("; sleep 5; ") == 2


async def test_the_same_change_loses_requests_in_kubectls_order_and_none_by_safeapply() -> None:
    """One seed, two ways: the table and the JSON say what failed, why, and how long it took."""
    ways = [method for method in methods() if method.name in {"kubectl", "safeapply"}]
    result = await demo(proxies=6, seed=3, delays=DELAYS, ways=ways)
    document = result.to_document()
    kubectl, safeapply = document["runs"]
    assert kubectl["failed"] > 0
    assert kubectl["byFlag"] == {"NC": kubectl["failed"]}
    assert safeapply["failed"] == 0
    assert safeapply["requests"] > 0
    assert safeapply["seconds"] > safeapply["soakSeconds"] > 0
    assert 0 < safeapply["propagationSeconds"] < safeapply["seconds"]
    assert (document["proxies"], document["seed"]) == (6, 3)

    page = io.StringIO()
    print_demo(result, Console(file=page, width=120))
    assert "informer lag 0-500ms per replica and kind" in " ".join(page.getvalue().split())
    assert "NC" in page.getvalue()
