"""Tell at the end how many mutants were caught."""

from __future__ import annotations

import pytest

from tests.mutation.mutants import CAUGHT, MUTANTS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the score of this run."""
    if CAUGHT:
        terminalreporter.section("mutants of view")
        terminalreporter.write_line(f"{sum(CAUGHT.values()):>7} of {len(MUTANTS)} caught")
