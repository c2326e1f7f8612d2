"""The docs show what the tool says today."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.captures import DOCS, captures

CAPTURES = dict(captures())


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: str(path.relative_to(DOCS)))
def test_a_capture_is_what_is_shown_today(path: Path) -> None:
    """If this fails and the change is meant: python -m docs.captures."""
    assert path.read_text() == CAPTURES[path]
