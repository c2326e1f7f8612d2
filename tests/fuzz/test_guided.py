"""Fuzzing led by coverage, where atheris installs: Linux, and the Pythons that it is built for."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris does not install here")


@pytest.mark.parametrize("target", ["manifests", "dumps"])
@pytest.mark.parametrize("runs", [500, pytest.param(50_000, marks=pytest.mark.long)])
def test_no_input_that_reaches_new_code_is_a_traceback(target: str, runs: int, tmp_path: Path) -> None:
    """From an empty corpus, or from good files; always the same inputs."""
    words = (sys.executable, "-m", "tests.fuzz.guided", target, str(tmp_path), "-seed=1", f"-runs={runs}")
    options = ("-timeout=20", "-rss_limit_mb=4096", f"-artifact_prefix={tmp_path}/", "-print_final_stats=1")
    done = subprocess.run((*words, *options), capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-4000:]
    assert f"stat::number_of_executed_units: {runs}" in done.stderr
