"""docs/errors.md has every way in which a command ends, and what to do then."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from docs.errors import REFUSALS, kinds
from safeapply import errors
from safeapply.errors import SafeApplyError

ROOT = Path(__file__).parents[1]
CLASSES = frozenset(
    one
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, SafeApplyError) and one is not SafeApplyError
)


def codes_in_the_planner() -> set[str]:
    """Return the code of every refusal that the source makes: ``Refusal(code=...)``, by keyword or first."""
    found: set[str] = set()
    for file in (ROOT / "safeapply").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Refusal":
                given = [word.value for word in node.keywords if word.arg == "code"] or node.args[:1]
                found |= {
                    one.value
                    for value in given
                    for one in ast.walk(value)
                    if isinstance(one, ast.Constant) and isinstance(one.value, str)
                }
    return found


def test_every_error_says_its_own_next_step() -> None:
    """None inherits the words of another one, and the page has a row for each."""
    assert set(kinds()) == CLASSES
    assert all("next_step" in vars(one) for one in CLASSES)


def test_every_refusal_of_the_planner_is_on_the_page() -> None:
    """By the code that ``plan -o json`` gives it; no code is there that nobody gives."""
    assert set(REFUSALS) == codes_in_the_planner()


def test_the_readme_has_every_exit_code() -> None:
    """The table of ``apply`` and the classes agree."""
    table = (ROOT / "README.md").read_text().partition("| exit code of")[2].partition("\n\n")[0]
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert told == {0, *(one.exit_code for one in CLASSES)}
