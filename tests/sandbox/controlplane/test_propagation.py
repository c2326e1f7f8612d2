"""How long writes took to reach the slowest proxy, reckoned from the books."""

from __future__ import annotations

from safeapply.resources.objects import Namespace, ResourceId
from safeapply.sandbox.controlplane.deliveries import Delivery, propagation
from safeapply.sandbox.controlplane.snapshots import Write

RULE = ResourceId("networking.istio.io", "DestinationRule", Namespace("default"), "x")
ROUTE = ResourceId("networking.istio.io", "VirtualService", Namespace("default"), "x")
FIRST, SECOND = Write(RULE, 5, at=10.0), Write(ROUTE, 6, at=10.2)


def push(proxy: str, due: float, *writes: Write, types: tuple[str, ...] = ("CDS",)) -> Delivery:
    """Return a delivery that contains these writes."""
    seen = {each.source: each.resource_version for each in writes}
    return Delivery(proxy, 0, max(seen.values(), default=0), seen, due, due + 0.01, types)


def test_the_slowest_proxy_counts_from_the_last_write() -> None:
    """The delay runs from the last write to the push that completes the set at the last proxy."""
    pushes = [push("a", 11.0, FIRST, SECOND), push("b", 11.5, FIRST), push("b", 12.0, FIRST, SECOND)]
    assert propagation([FIRST, SECOND], pushes) == 12.0 - 10.2


def test_pushes_after_the_first_complete_one_do_not_count() -> None:
    """Whatever is pushed later is due to other writes."""
    pushes = [push("a", 11.0, FIRST), push("a", 19.0, FIRST, SECOND)]
    assert propagation([FIRST], pushes) == 1.0


def test_proxies_that_nothing_changes_for_do_not_count() -> None:
    """An empty push is nobody's wait; a part of the writes may be all that concerns a proxy."""
    pushes = [
        push("a", 11.0, FIRST),
        push("a", 15.0, FIRST, SECOND, types=()),
        push("b", 19.0, FIRST, SECOND, types=()),
    ]
    assert propagation([FIRST, SECOND], pushes) == 11.0 - 10.2


def test_nothing_written_takes_no_time() -> None:
    """Without writes, or without a push that has them, the delay is 0."""
    assert propagation([], [push("a", 11.0, FIRST)]) == 0
    assert propagation([SECOND], [push("a", 11.0, FIRST)]) == 0
