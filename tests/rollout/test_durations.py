"""Durations as people say them."""

from __future__ import annotations

import pytest

from safeapply.rollout.durations import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.0001, "0 s"),
        (0.04, "40 ms"),
        (0.0994, "99 ms"),
        (0.0996, "0.1 s"),
        (0.1, "0.1 s"),
        (0.84, "0.8 s"),
        (1.0, "1 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3599.7, "1 h 00 min"),
        (3720, "1 h 02 min"),
    ],
)
def test_a_duration_has_the_precision_that_helps(seconds: float, text: str) -> None:
    """Short ones in tenths, long ones in minutes, and no 60 seconds in a minute."""
    assert duration(seconds) == text
