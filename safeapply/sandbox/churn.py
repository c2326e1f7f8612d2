"""Proxies that come and go while something else happens: pods killed, started and replaced at random, by seed.

Half of the clients are never touched; what they are served is what a rollout under churn is judged by.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from safeapply.resources.objects import Document
from safeapply.sandbox.bootstrap import role_of_pod
from safeapply.sandbox.mesh import Mesh

__all__ = ["Churn"]

PAUSE = (0.1, 0.5)
"""Seconds between two strokes of fate."""


class Churn:
    """Kills, starts and replaces client pods for as long as its context lasts."""

    def __init__(self, mesh: Mesh, seed: int) -> None:
        self._mesh = mesh
        self._random = random.Random(f"{seed}/churn")  # noqa: S311 - a simulation
        clients = [pod for pod in mesh.pods() if role_of_pod(pod) == "sidecar"]
        self._running = list(self._random.sample(clients, len(clients) // 2))
        self._most = len(self._running)
        self._task: asyncio.Task[None] | None = None
        self.touched = {_name(pod) for pod in self._running}
        """The proxies that may be killed, as ``pod.namespace``, those that were started among them."""
        self.killed = 0
        self.started = 0

    async def __aenter__(self) -> Self:
        """Begin."""
        self._task = asyncio.create_task(self._stir())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; what runs stays."""
        if self._task is not None:
            self._task.cancel()
            (ended,) = await asyncio.gather(self._task, return_exceptions=True)
            if ended is not None and not isinstance(ended, asyncio.CancelledError):
                raise ended

    async def _stir(self) -> None:
        strokes = (self._kill, self._start, self._replace)
        while True:
            await asyncio.sleep(self._random.uniform(*PAUSE))
            self._random.choice(strokes)()

    def _kill(self) -> None:
        if self._running:
            self._mesh.kill(self._running.pop(self._random.randrange(len(self._running))))
            self.killed += 1

    def _start(self) -> None:
        """Start a pod of a new name, as a Deployment would."""
        if len(self._running) < self._most:
            self.started += 1
            self._begin(_renamed(self._models[0], f"newcomer-{self.started}"))

    def _replace(self) -> None:
        """Kill a pod and start one of the same name, as a StatefulSet would."""
        if self._running:
            victim = self._running.pop(self._random.randrange(len(self._running)))
            self._mesh.kill(victim)
            self.killed += 1
            self.started += 1
            self._begin(victim)

    def _begin(self, pod: Document) -> None:
        self.touched.add(_name(pod))
        self._running.append(pod)
        self._mesh.start(pod)

    @property
    def _models(self) -> Sequence[Document]:
        return [pod for pod in self._mesh.pods() if role_of_pod(pod) == "sidecar"]


def _name(pod: Document) -> str:
    return f"{pod['metadata']['name']}.{pod['metadata']['namespace']}"


def _renamed(pod: Document, name: str) -> Document:
    return {**pod, "metadata": {**pod["metadata"], "name": name}}
