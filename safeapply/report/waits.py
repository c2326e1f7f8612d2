"""What ``safeapply wait`` says at its end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from safeapply.errors import BarrierTimeoutError
from safeapply.rollout.events import BarrierPassed, Event, LeftOut, ReplicasAsked
from safeapply.visible import visible, visible_json

__all__ = ["met_lines", "wait_json"]

FORMAT_VERSION: Final = "1"


def met_lines(conditions: Iterable[str]) -> tuple[str, ...]:
    """Return kubectl's line for every condition."""
    return tuple(visible(f"{one} condition met") for one in conditions)


def wait_json(
    conditions: Sequence[str], events: Sequence[Event], seconds: float, failure: BarrierTimeoutError | None
) -> str:
    """Return the same as indented JSON, with a newline at the end; the stragglers where time was too short."""
    asked = [event for event in events if isinstance(event, ReplicasAsked)]
    document: dict[str, Any] = {
        "formatVersion": FORMAT_VERSION,
        "outcome": "met" if failure is None else "timeout",
        "for": list(conditions),
        "seconds": round(seconds, 3),
        "proxies": max((event.proxies for event in events if isinstance(event, BarrierPassed)), default=0),
    }
    left_out = {one.proxy: one.why for event in events if isinstance(event, LeftOut) for one in event.proxies}
    if left_out:
        document["notCounted"] = [{"proxy": proxy, "why": why} for proxy, why in left_out.items()]
    if asked:
        document["istiod"] = {
            "seenBy": sorted({name for event in asked for name in event.seen}),
            "notChecked": [{"replica": one.replica, "why": one.why} for event in asked for one in event.unasked],
        }
    if failure is not None:
        document |= {"why": failure.behind, "stragglers": list(failure.stragglers)}
    return visible_json(json.dumps(document, indent=2, ensure_ascii=False)) + "\n"
