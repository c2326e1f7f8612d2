"""Processes of our own that must not outlive us: backends and traffic, each on a Python of its own.

They speak one JSON document per line over their standard streams. The end of standard input is the end of
the parent, however it died, so a child needs no signal to know that it is over. Each runs in a session of its
own: a Ctrl-C meant for the parent does not reach it before the parent has read its results.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from safeapply.errors import SandboxError
from safeapply.resources.objects import Document

__all__ = ["Child", "obey", "raise_file_limit"]

LINE_LIMIT = 256 * 1024 * 1024
STOP_SECONDS = 2.0


class Child:
    """A child process that answers each document with one document, in order."""

    def __init__(self, process: asyncio.subprocess.Process, module: str) -> None:
        self._process = process
        self._module = module
        self._asked: deque[asyncio.Future[Any]] = deque()
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, module: str) -> Self:
        """Run ``python -m module``; the child is ready to be asked at once."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
            start_new_session=True,
        )
        return cls(process, module)

    @property
    def pid(self) -> int:
        """The process id, for tests that look whether it is gone."""
        return self._process.pid

    async def ask(self, question: Document) -> Any:  # noqa: ANN401 - JSON
        """Send a document and return the child's answer to it.

        Raises:
            SandboxError: the child has ended.
        """
        if self._process.stdin is None or self._listening.done():
            raise SandboxError(f"{self._module} has ended; what it said is above")
        answer = asyncio.get_running_loop().create_future()
        self._asked.append(answer)
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            await self._process.stdin.drain()
        return await answer

    async def stop(self) -> None:
        """End the child: politely by the end of its input, then by force."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._listening

    async def _listen(self) -> None:
        """Hand each line to who asked for it, even where nobody waits for it any more."""
        while self._process.stdout is not None and (line := await self._process.stdout.readline()):
            answer = self._asked.popleft()
            if not answer.done():
                answer.set_result(json.loads(line))
        for answer in self._asked:
            if not answer.done():
                answer.set_exception(SandboxError(f"{self._module} has ended; what it said is above"))

    async def __aenter__(self) -> Self:
        """Return the running child."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the child."""
        await self.stop()


async def obey(handle: Callable[[Document], Awaitable[object]]) -> None:
    """Answer the parent, line by line, until it closes our input or is gone."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        answer = json.dumps(await handle(json.loads(line)), separators=(",", ":"))
        try:
            print(answer, flush=True)  # noqa: T201 - the pipe to the parent
        except BrokenPipeError:
            return


def raise_file_limit() -> None:
    """Allow this process, and those it starts, as many sockets as the system grants."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
