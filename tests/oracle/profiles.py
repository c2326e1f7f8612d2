"""How many random transitions to judge: the few of every ``make test``, or the many of a night.

``HYPOTHESIS_PROFILE=nightly`` chooses, or ``pytest tests/oracle --hypothesis-profile=oracle-nightly``.
"""

from __future__ import annotations

import os
from collections import Counter

from hypothesis import HealthCheck, settings

_COMMON = settings(
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
settings.register_profile("oracle", _COMMON, max_examples=500, derandomize=True)
settings.register_profile("oracle-nightly", _COMMON, max_examples=20_000)

COUNTS: Counter[str] = Counter()
"""What was judged in this run, told at its end."""


def chosen() -> settings:
    """Return the profile that the environment or the command line asks for."""
    asked = {os.environ.get("HYPOTHESIS_PROFILE"), settings.get_current_profile_name()}
    nightly = not asked.isdisjoint({"nightly", "oracle-nightly"})
    return settings.get_profile("oracle-nightly" if nightly else "oracle")
