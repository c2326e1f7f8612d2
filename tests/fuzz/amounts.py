"""How many inputs: a seeded few in every ``make test`` (1,280), and by ``make test-long`` 165,000.

Those are 90,000 files, 50,000 identities of objects, 20,000 answers of an Envoy, each read for nine expectations,
and 5,000 rollouts with one answer of the API server changed.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

_COMMON = settings(
    deadline=None,
    print_blob=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def few(number: int) -> settings:
    """Return settings for the same few inputs each time."""
    return settings(_COMMON, max_examples=number, derandomize=True)


def many(number: int) -> settings:
    """Return settings for new inputs each time."""
    return settings(_COMMON, max_examples=number)
