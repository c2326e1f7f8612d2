"""What a run of the random transitions came to."""

from __future__ import annotations

from collections import Counter

COUNTS: Counter[str] = Counter()
"""By outcome; told at the end of the run."""
