"""Child processes answer in order, and end with their parent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from safeapply.errors import SandboxError
from safeapply.sandbox.children import Child

Until = Callable[[Callable[[], object], str], None]
ANSWERING = "safeapply.sandbox.answering"


async def test_an_abandoned_question_does_not_shift_the_answers(run: Path) -> None:
    """Who is cancelled while waiting leaves the answer to nobody, and the next question gets its own."""
    async with await Child.start(ANSWERING) as child:
        abandoned = asyncio.create_task(
            child.ask({"do": "listen", "path": str(run / ("x" * 200)), "pod": "p", "labels": ""})
        )
        await asyncio.sleep(0)
        abandoned.cancel()
        answer = await child.ask({"do": "listen", "path": str(run / "b.sock"), "pod": "p", "labels": ""})
    assert answer is None


async def test_a_child_that_has_ended_is_one_sentence() -> None:
    """Asking a dead child is an error of ours, at once and later."""
    async with await Child.start(ANSWERING) as child:
        os.kill(child.pid, signal.SIGKILL)
        for _ in range(2):
            with pytest.raises(SandboxError, match="has ended"):
                await child.ask({"do": "close", "path": "x"})


def test_a_child_ends_with_a_parent_that_was_killed(until: Until, alive: Callable[[int], bool]) -> None:
    """SIGKILL gives the parent no last word; the end of the pipe is enough."""
    code = textwrap.dedent(f"""
        import asyncio
        from safeapply.sandbox.children import Child

        async def main():
            child = await Child.start({ANSWERING!r})
            print(child.pid, flush=True)
            await asyncio.sleep(300)

        asyncio.run(main())
    """)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    until(lambda: not alive(child), "the child outlived its parent")
