"""How long each leg of a configuration's way takes in the embedded mesh, as spans to draw from.

The legs are Istio's (ISTIO.md 7.1): the API server to each replica's informer, the debounce, each proxy's place in
the push queue. Nothing is drawn here; whoever draws does it from a seed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from safeapply.errors import UsageError

__all__ = ["DEFAULT_DELAYS", "NO_DELAYS", "Delays", "Span"]

PARTS = {"ms": 1000.0, "s": 1.0}
SPAN = re.compile(r"(?P<low>\d+(?:\.\d+)?)(?P<low_unit>ms|s)?(?:-(?P<high>\d+(?:\.\d+)?)(?P<high_unit>ms|s)?)?")


@dataclass(frozen=True, slots=True)
class Span:
    """From so many seconds to so many, both included."""

    low: float
    high: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``0-2s``, ``50ms``, ``50ms-1.5s`` or ``0``.

        Raises:
            UsageError: the text is no span, or runs backwards.
        """
        found = SPAN.fullmatch(text.strip())
        if found is None:
            raise UsageError(f"{text!r} is not a time span; write 0-2s, 50ms or 50ms-1.5s")
        low_unit, high_unit = found["low_unit"], found["high_unit"]
        low = _seconds(found["low"], low_unit or high_unit)
        high = _seconds(found["high"], high_unit or low_unit) if found["high"] else low
        if high < low:
            raise UsageError(f"the time span {text!r} runs backwards; write {found['high']}-{found['low']}")
        return cls(low, high)

    def __str__(self) -> str:
        """Return the text that ``parse`` reads back to an equal span."""
        unit = "s" if self.high >= 1 or not self.high else "ms"
        low, high = _figure(self.low, unit), _figure(self.high, unit)
        return f"{low}{unit}" if low == high else f"{low}-{high}{unit}"


@dataclass(frozen=True, slots=True)
class Delays:
    """The spans of all legs."""

    lag: Span
    """API server to informer: drawn for each write, for each replica and kind of object."""
    push: Span
    """Snapshot to proxy: drawn by each proxy that has nothing pending."""
    debounce: float = 0.1
    """Quiet time before a snapshot is made: istio ``pilot/pkg/features/tuning.go``, PILOT_DEBOUNCE_AFTER."""
    debounce_max: float = 10.0
    """However unquiet: the same file, PILOT_DEBOUNCE_MAX."""


DEFAULT_DELAYS = Delays(
    # Nobody publishes this leg alone. Knative saw a VirtualService ready after 1 s with few of them, and after
    # 50 s with 800 (istio#25685); ENVOY.md 8 has 0.13 s to 4.5 s for all legs together.
    lag=Span(0.0, 1.0),
    # shpwrck/istio-scale-tests (2026): a push takes 2.0-2.3 s from 1 to 10 clusters; Airbnb's proxies converge
    # within 1.5 s to 4.5 s at the 90th percentile; istio PR 48542 speaks of more than 10 s under load (PEERS.md 8).
    # The top of the span is the lowest of these.
    push=Span(0.0, 2.0),
)

NO_DELAYS = Delays(lag=Span(0.0, 0.0), push=Span(0.0, 0.0), debounce=0.01)
"""For setting a mesh up before anything is measured."""


def _seconds(figure: str, unit: str | None) -> float:
    return float(figure) / PARTS[unit or "s"]


def _figure(seconds: float, unit: str) -> str:
    """Return the shortest figure that reads back to the same float."""
    scaled = seconds * PARTS[unit]
    for digits in range(1, 18):
        text = f"{scaled:.{digits}g}"
        if "e" not in text and float(text) / PARTS[unit] == seconds:
            return text
    return f"{scaled:.17f}".rstrip("0").rstrip(".")
