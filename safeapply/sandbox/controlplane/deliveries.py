"""What was sent to whom and when, and how long writes truly took to reach the slowest proxy. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from safeapply.sandbox.controlplane.snapshots import Snapshot, Source, Write

__all__ = ["Delivery", "Nack", "propagation"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One push to one proxy."""

    proxy: str
    replica: int
    resource_version: int
    """The highest of what it contains."""
    seen: Mapping[Source, int] = field(hash=False)
    """The last resource version of each kind in each cluster that it contains."""
    due: float
    """When it was to be sent, as drawn."""
    sent: float
    """When it was sent, as measured; both on the monotonic clock."""
    types: tuple[str, ...]
    """What changed for this proxy (``CDS``, ``EDS``, ``LDS``, ``RDS``); empty where nothing did."""

    def covers(self, write: Write) -> bool:
        """Tell whether the write is in it."""
        return Snapshot({}, self.seen).covers(write)


@dataclass(frozen=True, slots=True)
class Nack:
    """An Envoy's refusal of what it was sent."""

    proxy: str
    type: str
    text: str


def propagation(writes: Collection[Write], deliveries: Iterable[Delivery]) -> float:
    """Return the seconds from the last of the writes until the slowest proxy had all of them, as drawn.

    Counted are proxies to which the writes make a difference: one whose configuration does not change cannot be
    waited for, so its delay is nobody's. Where no proxy got anything, that is 0.
    """
    if not writes:
        return 0.0
    last = max(write.at for write in writes)
    by_proxy: dict[str, list[Delivery]] = {}
    for delivery in deliveries:
        by_proxy.setdefault(delivery.proxy, []).append(delivery)
    arrivals = (_arrival(writes, pushes) for pushes in by_proxy.values())
    return max((max(0.0, due - last) for due in arrivals if due is not None), default=0.0)


def _arrival(writes: Collection[Write], pushes: Iterable[Delivery]) -> float | None:
    """Return when the last push was due that brought a part of the writes, up to the first one with all of them."""
    arrival = None
    for push in sorted(pushes, key=lambda each: each.due):
        covered = sum(map(push.covers, writes))
        if covered and push.types:
            arrival = push.due
        if covered == len(writes):
            break
    return arrival
