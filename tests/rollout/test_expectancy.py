"""How long a rollout may still take: said only when something is known."""

from __future__ import annotations

from docs.rollout_story import STORY, waiting
from safeapply.rollout.expectancy import left
from safeapply.rollout.progress import progress_of


def test_nothing_is_expected_before_a_barrier_has_opened() -> None:
    """There is nothing to judge by; and nothing is left when all is done."""
    assert left(progress_of(STORY[:7]), 2.0) is None
    assert left(progress_of(STORY), 6.0) is None


def test_a_barrier_is_expected_to_take_as_long_as_those_before() -> None:
    """The one before took 3.4 s; one that takes longer is not guessed at any more."""
    progress = progress_of((*STORY[:11], waiting(5.6, 1, step=3)))
    assert left(progress, 6.6) == 3.4 - 1.0
    assert left(progress, 20.0) is None
