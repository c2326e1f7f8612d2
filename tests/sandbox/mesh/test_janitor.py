"""What is left when a process dies without a word is cleared up by another."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

from safeapply.sandbox.janitor import Janitor

Until = Callable[[Callable[[], object], str], None]

VICTIM = """
    import subprocess, sys, time
    from pathlib import Path
    from safeapply.sandbox.janitor import Janitor

    janitor = Janitor(Path(sys.argv[1]))
    group = subprocess.Popen(["sh", "-c", "sleep 300 & echo $!; wait"], process_group=0, stdout=subprocess.PIPE)
    janitor.watch(group.pid)
    print(group.stdout.readline().decode().strip(), janitor.pid, flush=True)
    time.sleep(300)
"""


def test_after_a_sigkill_neither_grandchildren_nor_directory_stay(
    run: Path, until: Until, alive: Callable[[int], bool]
) -> None:
    """The background job of a killed process's child ends, and the run directory goes."""
    code = textwrap.dedent(VICTIM)
    with subprocess.Popen([sys.executable, "-c", code, str(run)], stdout=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        sleeper, janitor = map(int, victim.stdout.readline().split())
        assert alive(sleeper)
        victim.send_signal(signal.SIGKILL)
    until(lambda: not alive(sleeper), "the grandchild outlived the kill")
    until(lambda: not run.exists(), "the run directory outlived the kill")
    until(lambda: not alive(janitor), "the janitor outlived its work")


def test_a_group_that_was_forgotten_is_spared(run: Path, alive: Callable[[int], bool]) -> None:
    """A number that may belong to somebody else by now is not killed."""
    with subprocess.Popen(["sleep", "300"], process_group=0) as sleeper:
        with Janitor(run) as janitor:
            janitor.watch(sleeper.pid)
            janitor.forget(sleeper.pid)
        assert alive(sleeper.pid)
        sleeper.kill()
    assert not run.exists()
