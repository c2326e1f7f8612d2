"""How long ``import safeapply`` takes, and how long until ``apply`` can be called."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from benchmarks.figures import Figure

RUNS = 5
PROBE = "import time; started = time.process_time(); {work}; print(time.process_time() - started)"


def figures() -> Iterator[Figure]:
    """Yield the CPU seconds of a new process, the least of some runs: the rest is what else the machine does."""
    yield Figure("import safeapply", _seconds("import safeapply"), "CPU s", "< 0.150")
    yield Figure("import safeapply; safeapply.apply", _seconds("import safeapply; safeapply.apply"), "CPU s", "")


def _seconds(work: str) -> float:
    command = [sys.executable, "-c", PROBE.format(work=work)]
    runs = (subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(RUNS))
    return round(min(map(float, runs)), 4)
