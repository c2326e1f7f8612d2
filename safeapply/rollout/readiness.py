"""Wait until workloads are rolled out: the part of a barrier that the API server shows, and no Envoy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from safeapply.errors import BarrierTimeoutError, ClusterError, WorkloadFailedError
from safeapply.istio.kinds import POD
from safeapply.istio.proxies import ProxyId
from safeapply.ports import Clock, Cluster
from safeapply.resources.objects import Resource, ResourceId
from safeapply.rollout.durations import duration
from safeapply.rollout.events import Event, Straggler, WorkloadsAwaited
from safeapply.rollout.workloads import Failed, Lacking, RolledOut, Standing, lament, selector_of, standing_of

__all__ = ["Readiness"]

PAUSE = 0.5
"""Seconds between two looks: pods take seconds to start."""


@dataclass(slots=True)
class Readiness:
    """Follows workloads until all of them are rolled out."""

    cluster: Cluster
    clock: Clock
    emit: Callable[[Event], None]
    done: set[ResourceId] = field(default_factory=set)
    """Those that this rollout has seen rolled out; nothing it waits for later asks for them again."""

    async def wait(self, step: int, workloads: Sequence[ResourceId], *, patience: float) -> None:
        """Return when every workload is rolled out.

        Raises:
            BarrierTimeoutError: some are not within ``patience`` seconds; each is named with the reason of a pod.
            WorkloadFailedError: a controller has given up on one.
        """
        started, told = self.clock.now(), None
        while True:
            stragglers = await self._look([one for one in workloads if one not in self.done])
            if stragglers != told:
                ready = len(workloads) - len(stragglers)
                self.emit(WorkloadsAwaited(self.clock.now(), step, ready, len(workloads), stragglers))
            if not stragglers:
                return
            told, waited = stragglers, self.clock.now() - started
            if waited >= patience:
                raise _complaint(step, stragglers, len(workloads), patience)
            await self.clock.sleep(min(PAUSE, patience - waited))

    async def _look(self, workloads: Sequence[ResourceId]) -> tuple[Straggler, ...]:
        found = await asyncio.gather(*map(self._straggler, workloads))
        self.done.update(one for one, why in zip(workloads, found, strict=True) if why is None)
        return tuple(one for one in found if one is not None)

    async def _straggler(self, one: ResourceId) -> Straggler | None:
        """Return what a workload lacks, or None; while the API server is silent that is not known."""
        name = ProxyId(f"{one.kind.lower()} {one.namespace}/{one.name}")
        try:
            workload = await self.cluster.get(one)
            standing: Standing = standing_of(workload)
            if isinstance(standing, RolledOut):
                return None
            pods = "" if workload is None else await self._lament(workload)
        except ClusterError as error:
            return Straggler(name, str(error))
        why = f"{standing.why}{f': {pods}' if pods else ''}"
        match standing:
            case Failed():
                raise WorkloadFailedError(str(name), why)
            case Lacking():
                return Straggler(name, why)

    async def _lament(self, workload: Resource) -> str:
        """Return why the first of its pods that is not ready is not."""
        selector = selector_of(workload)
        if not selector:
            return ""
        pods = await self.cluster.select((POD,), (workload.id.namespace,), selector)
        laments = sorted((lament(pod), pod.id.name) for pod in pods)
        return next((f"pod {name}: {why}" for why, name in laments if why), "")


def _complaint(step: int, stragglers: Sequence[Straggler], total: int, patience: float) -> BarrierTimeoutError:
    return BarrierTimeoutError(
        f"the barrier before step {step} did not open within {duration(patience)}; the mesh is in a safe state, "
        "and the same command goes on from here",
        f"{len(stragglers)} of {total} workloads {'is' if len(stragglers) == 1 else 'are'} not rolled out",
        [f"{one.proxy}: {one.why}" for one in stragglers],
    )
