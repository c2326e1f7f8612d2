"""Durations as Go writes them, which is what kubectl's users type: ``90s``, ``1m30s``, ``250ms``."""

from __future__ import annotations

import re

from safeapply.errors import UsageError

__all__ = ["seconds_of"]

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+")
PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


def seconds_of(text: str, *, option: str) -> float:
    """Return a duration in seconds; a bare ``0`` is allowed, as in Go.

    Raises:
        UsageError: naming the option.
    """
    if text == "0":
        return 0.0
    if not DURATION.fullmatch(text):
        raise UsageError(f"{option} {text}: not a duration; write it as 500ms, 90s, 5m or 1m30s")
    return sum(float(number) * UNITS[unit] for number, unit in PART.findall(text))
