"""Tell at the end how many worlds the oracle has judged."""

from __future__ import annotations

import pytest

from tests.oracle.profiles import COUNTS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the counts of this run."""
    if COUNTS:
        terminalreporter.section("oracle")
        for what, number in sorted(COUNTS.items()):
            terminalreporter.write_line(f"{number:>7} {what}")
