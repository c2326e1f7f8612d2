"""docs/findings.md lists what can be found, by the names that reports give."""

from __future__ import annotations

from pathlib import Path

from safeapply.checks.catalogue import NAMES

PAGE = Path(__file__).parents[2] / "docs" / "findings.md"


def test_the_page_lists_every_code_and_no_other() -> None:
    """In the same order, with the same names, each with a severity, what is wrong and what to do."""
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    assert {code: name for code, name, *_ in rows[1:]} == dict(NAMES)
    assert [row[0] for row in rows[1:]] == list(NAMES)
    assert all(len(row) == 5 and all(row) for row in rows)
