"""Run a command, kill it without a word at random instants, and run it again until it is done.

A program of its own, so that whoever counts the failed requests sees one command: ``killing.py SEED COMMAND...``.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Sequence

AT_MOST = 6
"""Kills of one rollout; a run that is always killed early would never end."""
LONGEST = 4.0
"""Seconds: about what a run takes that nobody kills."""
CHANGED = 5
"""What was under way when a run was killed may arrive after the next one has planned: it is run again."""


def run_until_done(seed: int, command: Sequence[str]) -> int:
    """Return the exit code of the last run, which nobody killed."""
    draw = random.Random(seed)
    for _ in range(AT_MOST):
        instant = draw.uniform(0.0, LONGEST)
        with subprocess.Popen(command) as process:
            try:
                code = process.wait(instant)
            except subprocess.TimeoutExpired:
                process.kill()
                sys.stderr.write(f"killed after {instant:.3f} s\n")
                continue
        if code != CHANGED:
            return code
    deadline = time.monotonic() + 60.0
    code = CHANGED
    while code == CHANGED and time.monotonic() < deadline:
        code = subprocess.run(command, check=False).returncode
    return code


if __name__ == "__main__":
    sys.exit(run_until_done(int(sys.argv[1]), sys.argv[2:]))
