"""Runs the demo and draws what it printed: ``python -m docs.picture`` writes docs/demo.svg.

Not compared by a test, because each run counts other losses: what the README shows is one run as it was, by
``safeapply demo`` with its own defaults.
"""

from __future__ import annotations

import asyncio
import re
from io import StringIO
from typing import Final

from rich.console import Console

from docs.captures import DOCS
from safeapply.sandbox.demo import Demo, demo, print_demo

PICTURE: Final = DOCS / "demo.svg"
SEED: Final = 2
"""That of ``safeapply demo``: of the seeds 1 to 5 the one with the median of losses in kubectl's order."""
WIDTH: Final = 82


def picture(shown: Demo) -> str:
    """Return the printed table as an SVG that loads nothing from anywhere."""
    console = Console(file=StringIO(), record=True, width=WIDTH, force_terminal=True)
    print_demo(shown, console)
    drawn = console.export_svg(title="safeapply demo", unique_id="demo")
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)


def main() -> None:
    """Run, and write the picture."""
    PICTURE.write_text(picture(asyncio.run(demo(seed=SEED, rate=1000.0, tell=print))))


if __name__ == "__main__":
    main()
