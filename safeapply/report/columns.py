"""Rows of cells as lines whose columns stand under each other, as kubectl prints them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from safeapply.visible import visible

__all__ = ["aligned"]


def aligned(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Yield one line for each row, without blanks at its end."""
    shown = [tuple(map(visible, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
