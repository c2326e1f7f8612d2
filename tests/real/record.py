"""What a run of the tests says at its end, a line each."""

from __future__ import annotations

__all__ = ["LINES"]

LINES: list[str] = []
