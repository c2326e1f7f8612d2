"""How long the proxies of a barrier took: the middle one, nearly all, and the last by name."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Final

from safeapply.istio.proxies import ProxyId
from safeapply.rollout.progress import StepProgress

__all__ = ["Propagation", "propagation"]

_MEDIAN: Final = 0.50
_NEARLY_ALL: Final = 0.99


@dataclass(frozen=True, slots=True)
class Propagation:
    """Seconds from the begin of a barrier until a proxy showed what it waits for, over all of its proxies.

    As exact as the questions are frequent; a proxy that showed it at the first look counts as 0.
    """

    proxies: int
    p50: float
    p99: float
    slowest: tuple[ProxyId, float]


def propagation(step: StepProgress) -> Propagation | None:
    """Return the figures by nearest rank; None unless all have arrived and some had to be waited for."""
    if step.stragglers or not step.arrivals or not step.proxies:
        return None
    waited = sorted(seconds for _, seconds in step.arrivals)
    times = [0.0] * (step.proxies - len(waited)) + waited
    return Propagation(len(times), _rank(times, _MEDIAN), _rank(times, _NEARLY_ALL), step.slowest[0])


def _rank(times: list[float], share: float) -> float:
    return times[max(0, ceil(share * len(times)) - 1)]
