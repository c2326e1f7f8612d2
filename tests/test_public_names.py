"""What ``import safeapply`` offers, and nothing else."""

from __future__ import annotations

import safeapply


def test_all_is_sorted_and_every_name_is_there() -> None:
    """The list is the contract: each name can be loaded, and none is missing."""
    assert sorted(safeapply.__all__) == safeapply.__all__
    assert all(getattr(safeapply, name) is not None for name in safeapply.__all__)
    assert dir(safeapply) == safeapply.__all__
    assert set(safeapply._HOMES) | safeapply._MODULES == set(safeapply.__all__)


def test_plan_and_apply_are_functions() -> None:
    """No package may bear these names."""
    assert callable(safeapply.plan)
    assert callable(safeapply.apply)
