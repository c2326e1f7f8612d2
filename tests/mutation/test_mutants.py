"""The tests of the evaluator notice when any one of its rules is broken."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.mutation.mutants import CAUGHT, MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
WORKERS = 2


def test_every_mutant_is_caught(tmp_path: Path) -> None:
    """Of each mutant, some test of ``tests/istio`` fails."""
    with ThreadPoolExecutor(WORKERS) as pool:
        caught = list(pool.map(partial(is_caught, tmp_path), range(len(MUTANTS)), MUTANTS))
    CAUGHT.update({one.rule: found for one, found in zip(MUTANTS, caught, strict=True)})
    missed = [rule for rule, found in CAUGHT.items() if not found]
    assert not missed, "\n".join(missed)


def test_without_a_wrong_line_the_tests_pass(tmp_path: Path) -> None:
    """Else they would catch anything."""
    same = 'if "." in name or'
    assert not is_caught(tmp_path, 0, Mutant("none", "hosts", same, same))


def is_caught(directory: Path, number: int, mutant: Mutant) -> bool:
    """Tell whether the evaluator's tests fail on a copy of the project with one wrong line."""
    copy = directory / str(number)
    for part in ("safeapply", "tests/istio"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__", "sandbox"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    module = copy / "safeapply" / "istio" / f"{mutant.module}.py"
    text = module.read_text()
    assert text.count(mutant.line) == 1, f"{mutant.rule}: {mutant.line!r} has to stand once in {module.name}"
    module.write_text(text.replace(mutant.line, mutant.wrong))
    tests = (sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "tests/istio")
    done = subprocess.run(tests, cwd=copy, capture_output=True, text=True, check=False)
    shutil.rmtree(copy)
    # 1 is a failed test; 2 and more would be a mutant that cannot even be read.
    assert done.returncode in {0, 1}, done.stdout
    return done.returncode == 1
