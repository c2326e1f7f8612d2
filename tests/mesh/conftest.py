"""Tell at the end what became of the random transitions."""

from __future__ import annotations

import pytest

from tests.mesh.counts import COUNTS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the counts of this run."""
    if COUNTS:
        terminalreporter.section("random transitions on real Envoys")
        for what, number in sorted(COUNTS.items()):
            terminalreporter.write_line(f"{number:>7} {what}")
