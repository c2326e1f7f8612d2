"""What is lost, and how long it takes, on meshes of real Envoys under load: the embedded mesh, seeded."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.figures import Figure
from safeapply.sandbox.delays import DEFAULT_DELAYS, NO_DELAYS, Delays, Span
from safeapply.sandbox.demo import demo, methods

__all__ = ["figures"]

SEEDS = range(1, 6)
RATE = 1000.0
"""As on the mesh of ENVOY.md 8, so that losses can be compared."""
IDLE_RATE = 50.0
IDLE_ISTIOD = Delays(lag=Span(0.0, 0.05), push=Span(0.0, 0.05))


def figures() -> Iterator[Figure]:
    """Yield failed requests and the cost of waiting: a rename under load on 10 Envoys, by kubectl and safeapply."""
    for seed in SEEDS:
        lines = _measured("kubectl", "safeapply", seed=seed, delays=DEFAULT_DELAYS)
        yield _failed(lines["kubectl"], seed, "> 0")
        yield _failed(lines["safeapply"], seed, "0")
        yield Figure(f"safeapply, seed {seed}: time over true propagation", _ratio(lines), "ratio", "<= 1.25")
    lost = [_measured("kubectl", seed=seed, delays=IDLE_ISTIOD)["kubectl"]["failed"] for seed in SEEDS]
    yield Figure(f"kubectl, 0-50ms, failed of seeds 1-5: {lost}, median", statistics.median(lost), "", "6.5 (6-19)")
    idle = _measured("safeapply", seed=1, delays=NO_DELAYS, rate=IDLE_RATE)["safeapply"]
    yield Figure("whole command on an idle mesh, less soak", _less_soak(idle, "commandSeconds"), "s", "<= 1.2")


def _measured(*names: str, seed: int, delays: Delays, rate: float = RATE) -> Mapping[str, Mapping[str, Any]]:
    ways = [method for method in methods() if method.name in names]
    document = asyncio.run(demo(seed=seed, delays=delays, rate=rate, ways=ways)).to_document()
    return {line["method"]: line for line in document["runs"]}


def _failed(line: Mapping[str, Any], seed: int, target: str) -> Figure:
    return Figure(
        f"{line['method']}, seed {seed}: failed of {line['requests']}", line["failed"], "requests", target
    )


def _ratio(lines: Mapping[str, Mapping[str, Any]]) -> float:
    line = lines["safeapply"]
    return round(_less_soak(line, "seconds") / float(line["propagationSeconds"]), 3)


def _less_soak(line: Mapping[str, Any], field: str) -> float:
    return round(float(line[field]) - float(line["soakSeconds"]), 3)
