"""What is handed out, built once by ``make dist``."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 400.0


@dataclass(frozen=True, slots=True)
class Dist:
    """What ``make dist`` has built, and the environment that it installed the wheel into."""

    files: Path
    clean: Path

    def one(self, pattern: str) -> Path:
        """Return the one file of a name."""
        (found,) = self.files.glob(pattern)
        return found


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Dist:
    """Hand over what is built."""
    directory = tmp_path_factory.mktemp("packaging")
    built = Dist(directory / "dist", directory / "clean")
    made = subprocess.run(
        ["make", "dist", f"DIST={built.files}", f"CLEAN={built.clean}", f"PYTHON={sys.executable}"],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key != "MAKEFLAGS"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert made.returncode == 0, made.stdout[-2000:] + made.stderr[-2000:]
    return built
