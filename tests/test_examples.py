"""The examples and the README say what the command does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/plan.txt"))


def planned(example: Path) -> subprocess.CompletedProcess[str]:
    """Return what ``safeapply plan`` prints for an example, with no cluster at all."""
    command = (sys.executable, "-m", "safeapply", "plan", "--live", "live", "-f", "desired")
    return subprocess.run(command, cwd=example, capture_output=True, text=True, check=False)


def test_there_are_five_examples() -> None:
    """Each has a story, what is live, what is wanted, and the printed plan."""
    assert len(EXAMPLES) >= 5
    assert all((one / "README.md").is_file() for one in EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_the_printed_plan_is_the_one_that_is_made(example: Path) -> None:
    """plan.txt is what the command prints today, to the letter."""
    result = planned(example)
    assert result.stderr == ""
    assert result.returncode == 0
    assert result.stdout == (example / "plan.txt").read_text()


def test_the_session_in_the_readme_is_a_real_one() -> None:
    """The plan that the README shows is the first example's."""
    assert (EXAMPLES[0] / "plan.txt").read_text().rstrip("\n") in (ROOT / "README.md").read_text()
