"""Everything that may go wrong around a rollout, at random moments and by seed: servers, streams, Envoys.

The clients whose Envoys are ended are named, because a request that is under way in a process that is killed is
nobody's to save; all other proxies are to serve all the time.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from safeapply.sandbox.apiserver.faults import ApiFaults
from safeapply.sandbox.bootstrap import role_of_pod
from safeapply.sandbox.mesh import Mesh

__all__ = ["Disturbances"]

PAUSE = (0.2, 1.0)
"""Seconds between two disturbances."""
OUTAGE = (0.1, 1.0)
"""Seconds for which a server is away, or an Envoy refuses."""
KINDS = ("CDS", "EDS", "LDS", "RDS")


class Disturbances:
    """Disturbs a mesh for as long as its context lasts, and leaves it whole."""

    def __init__(self, mesh: Mesh, seed: int) -> None:
        self._mesh = mesh
        self._random = random.Random(f"{seed}/disturbances")  # noqa: S311 - a simulation
        clients = [pod for pod in mesh.pods() if role_of_pod(pod) == "sidecar"]
        self._victims = [pod["metadata"] for pod in self._random.sample(clients, len(clients) // 4)]
        self.touched = {f"{one['name']}.{one['namespace']}" for one in self._victims}
        """The proxies whose Envoys may be ended, as ``pod.namespace``."""
        self.strokes: Counter[str] = Counter()
        """How often each disturbance befell the mesh."""
        self._faults = ApiFaults(seed)
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def drawn(self) -> Mapping[str, int]:
        """What went wrong, and how often."""
        return {**Counter(fault.value for fault in self._faults.drawn), **self.strokes}

    async def __aenter__(self) -> Self:
        """Begin."""
        self._mesh.api.faults = self._faults
        self._task = asyncio.create_task(self._disturb())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End with the disturbance that is under way, so that nothing stays broken."""
        self._mesh.api.faults = None
        if self._task is not None:
            self._over.set()
            await self._task

    async def _disturb(self) -> None:
        strokes = (self._api_server, self._control_plane, self._refusal, self._envoy)
        while not await self._over_within(self._random.uniform(*PAUSE)):
            stroke = self._random.choice(strokes)
            self.strokes[stroke.__name__.strip("_")] += 1
            await stroke(self._random.uniform(*OUTAGE))

    async def _over_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()
        return self._over.is_set()

    async def _api_server(self, seconds: float) -> None:
        await self._mesh.restart_api(seconds=seconds)

    async def _control_plane(self, seconds: float) -> None:
        await self._mesh.control_plane.restart(self._random.randrange(self._mesh.scene.replicas), seconds=seconds)

    async def _refusal(self, seconds: float) -> None:
        """Let an Envoy refuse what it is sent of one type, for a while."""
        proxy, kind = self._random.choice(self._mesh.proxies), self._random.choice(KINDS)
        self._mesh.control_plane.corrupt(proxy, kind)
        await asyncio.sleep(seconds)
        self._mesh.control_plane.mend(proxy, kind)

    async def _envoy(self, seconds: float) -> None:
        """End an Envoy with its pod, and start one of the same name."""
        if not self._victims:
            return
        victim = self._random.choice(self._victims)
        for pod in self._mesh.pods():
            if (pod["metadata"]["name"], pod["metadata"]["namespace"]) == (victim["name"], victim["namespace"]):
                self._mesh.kill(pod)
                await asyncio.sleep(seconds)
                self._mesh.start(pod)
