"""Writes what the docs show of the tool, from the tool itself: ``python -m docs.captures``; a test compares."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from docs.api import page
from safeapply.report.event_lines import events_schema

DOCS = Path(__file__).parent


def captures() -> Iterator[tuple[Path, str]]:
    """Yield each file with what it has to hold."""
    yield DOCS / "api.md", page()
    yield DOCS / "events.schema.json", json.dumps(events_schema(), indent=2) + "\n"


def main() -> None:
    """Write them all."""
    for path, text in captures():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
