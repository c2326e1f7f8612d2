"""How long, in words: one way for errors, progress and reports alike."""

from __future__ import annotations

__all__ = ["duration"]

_MINUTE = 60
_HOUR = 3600


def duration(seconds: float) -> str:
    """Return ``40 ms``, ``0.8 s``, ``12 s``, ``2 min 05 s`` or ``1 h 02 min``."""
    if 0.001 <= round(seconds, 3) < 0.1:  # noqa: PLR2004  below, tenths of a second say nothing
        return f"{seconds * 1000:.0f} ms"
    if round(seconds, 1) < 10:  # noqa: PLR2004  from here on, tenths are noise
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"
