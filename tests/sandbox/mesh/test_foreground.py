"""The command under test runs to its end, and nothing of it stays."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from safeapply.errors import UsageError
from safeapply.sandbox.foreground import require_command, run_command
from safeapply.sandbox.janitor import Janitor

Until = Callable[[Callable[[], object], str], None]


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143)])
async def test_the_exit_code_is_the_one_a_shell_would_give(run: Path, script: str, code: int) -> None:
    """A command that died of a signal gives 128 and the signal's number."""
    with Janitor(run) as janitor:
        assert await run_command(["sh", "-c", script], env=os.environ, janitor=janitor) == code


async def test_what_a_command_leaves_in_the_background_ends_with_it(
    run: Path, until: Until, alive: Callable[[int], bool]
) -> None:
    """A shell's background job would otherwise go on sending requests to a mesh that is gone."""
    note = run / "pid"
    with Janitor(run) as janitor:
        await run_command(["sh", "-c", f"sleep 300 & echo $! > {note}"], env=os.environ, janitor=janitor)
        sleeper = int(note.read_text())
        until(lambda: not alive(sleeper), "the background job is still there")


async def test_a_cancelled_command_is_ended(run: Path, until: Until, alive: Callable[[int], bool]) -> None:
    """Ctrl-C during the command ends it and its children before anything else goes."""
    note = run / "pid"
    with Janitor(run) as janitor:
        command = ["sh", "-c", f"echo $$ > {note}.new; mv {note}.new {note}; sleep 300; true"]
        task = asyncio.create_task(run_command(command, env=os.environ, janitor=janitor))
        await asyncio.to_thread(until, note.exists, "the command did not start")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not alive(int(note.read_text()))


@pytest.mark.parametrize(("command", "sentence"), [([], "after --"), (["/no/such/program"], "no such program")])
def test_a_program_that_does_not_exist_is_told_before_a_mesh_starts(command: list[str], sentence: str) -> None:
    """It is a mistake in the command line."""
    with pytest.raises(UsageError, match=sentence):
        require_command(command)


def test_a_command_can_ask_a_question_on_the_terminal(tmp_path: Path) -> None:
    """The command is in the foreground while it runs, and we are again afterwards."""
    code = textwrap.dedent(f"""
        import asyncio, os
        from pathlib import Path
        from safeapply.sandbox.foreground import run_command
        from safeapply.sandbox.janitor import Janitor

        with Janitor(Path({str(tmp_path / "run")!r})) as janitor:
            code = asyncio.run(run_command(["sh", "-c", "read x; test $x = yes"], env=os.environ, janitor=janitor))
        print("code", code, input(), flush=True)
    """)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["setsid", "--ctty", sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        os.write(ours, b"yes\nafterwards\n")
        said = b""
        while b"code 0 afterwards" not in said:
            said += os.read(ours, 4096)
        process.wait(10)
    os.close(ours)
