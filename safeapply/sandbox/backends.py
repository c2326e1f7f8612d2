"""The application containers of the embedded mesh: every pod port is a unix socket that answers.

This is the parent's half; the sockets live in the process of ``answering``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from safeapply.errors import SandboxError
from safeapply.sandbox.children import Child

__all__ = ["Backends"]


class Backends:
    """Opens and closes the sockets of pods."""

    def __init__(self, child: Child) -> None:
        self._child = child

    @classmethod
    async def start(cls) -> Self:
        """Start the process that will answer for every pod."""
        return cls(await Child.start("safeapply.sandbox.answering"))

    @property
    def pid(self) -> int:
        """The process that answers."""
        return self._child.pid

    async def listen(self, path: Path, *, pod: str, labels: Mapping[str, str]) -> None:
        """Answer on a socket in the name of a pod; when this returns, a client can connect.

        Raises:
            SandboxError: the socket could not be opened.
        """
        said = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        await self._order({"do": "listen", "path": str(path), "pod": pod, "labels": said})

    async def close(self, path: Path) -> None:
        """Stop answering on a socket and drop its connections."""
        await self._order({"do": "close", "path": str(path)})

    async def stop(self) -> None:
        """End all of them."""
        await self._child.stop()

    async def _order(self, order: Mapping[str, str]) -> None:
        fault = await self._child.ask(order)
        if fault is not None:
            raise SandboxError(f"a pod cannot listen: {fault}")

    async def __aenter__(self) -> Self:
        """Return the running backends."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End them."""
        await self.stop()
