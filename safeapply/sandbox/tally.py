"""What the traffic says about a change: requests that the mesh served before and after, but not in between.

Pure. A probe (one request on one proxy) is judged when every round before the change served it and every round
after it does; a probe that was never served, or is not any more, says nothing about order and is reported
apart, as lost or gained.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from safeapply.sandbox.exchanges import SERVED

__all__ = ["Failure", "Phase", "Sightings", "Tally", "tally"]

Phase = Mapping[int, Mapping[str, int]]
"""Per probe, how many of its requests ended how."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One request that was not served while the change was made."""

    probe: int
    after: float
    """Seconds after the change began."""
    flag: str


@dataclass(frozen=True, slots=True)
class Sightings:
    """What the clients saw, in the three phases of a run."""

    before: Phase
    during: Phase
    after: Phase
    failures: Sequence[Failure]
    """Of the phase ``during`` alone."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The verdict on one run."""

    requests: int = 0
    failed: int = 0
    by_flag: Mapping[str, int] = field(default_factory=dict)
    by_proxy: Mapping[str, int] = field(default_factory=dict)
    by_request: Mapping[str, int] = field(default_factory=dict)
    by_second: Mapping[int, int] = field(default_factory=dict)
    lost: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Requests that were served before and are not any more, with the proxies concerned."""
    gained: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Requests that were not served before and are now."""


def tally(sightings: Sightings, names: Sequence[tuple[str, str]]) -> Tally:
    """Judge a run; ``names`` gives each probe's proxy and request."""
    before = {probe for probe in range(len(names)) if _served(sightings.before, probe)}
    after = {probe for probe in range(len(names)) if _served(sightings.after, probe)}
    judged = before & after
    failures = [failure for failure in sightings.failures if failure.probe in judged]
    return Tally(
        requests=sum(sum(sightings.during.get(probe, {}).values()) for probe in judged),
        failed=len(failures),
        by_flag=_count([failure.flag for failure in failures]),
        by_proxy=_count([names[failure.probe][0] for failure in failures]),
        by_request=_count([names[failure.probe][1] for failure in failures]),
        by_second=dict(sorted(Counter(int(failure.after) for failure in failures).items())),
        lost=_by_request(before - after, names),
        gained=_by_request(after - before, names),
    )


def _served(phase: Phase, probe: int) -> bool:
    outcomes = phase.get(probe, {})
    return bool(outcomes) and set(outcomes) == {SERVED}


def _count(words: Sequence[str]) -> dict[str, int]:
    return dict(Counter(words).most_common())


def _by_request(probes: set[int], names: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for probe in sorted(probes):
        proxy, request = names[probe]
        found.setdefault(request, []).append(proxy)
    return {request: tuple(proxies) for request, proxies in found.items()}
