"""Time spans as users write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeapply.errors import UsageError
from safeapply.sandbox.delays import Span


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("0-2s", 0, 2),
        ("50ms", 0.05, 0.05),
        ("0-50ms", 0, 0.05),
        ("1s", 1, 1),
        ("50ms-1.5s", 0.05, 1.5),
        ("0", 0, 0),
    ],
)
def test_spans_are_read(text: str, low: float, high: float) -> None:
    """A unit after the second figure holds for the first one too, unless that has its own."""
    assert Span.parse(text) == Span(low, high)


@pytest.mark.parametrize("text", ["0-2s", "50ms", "0-50ms", "1s", "0.5-1.5s", "0s"])
def test_spans_are_printed_as_they_are_written(text: str) -> None:
    """What a user wrote comes back in reports."""
    assert str(Span.parse(text)) == text


@pytest.mark.parametrize("text", ["", "2s-1s", "fast", "1m", "-1s", "1s-", "1-2-3s"])
def test_other_texts_are_refused(text: str) -> None:
    """A span that cannot be read is the user's to correct."""
    with pytest.raises(UsageError, match="time span"):
        Span.parse(text)


@given(st.integers(0, 100_000), st.integers(0, 100_000))
def test_printing_loses_nothing(low: int, more: int) -> None:
    """A report can be fed back to the command line."""
    span = Span(low / 1000, (low + more) / 1000)
    assert Span.parse(str(span)) == span
