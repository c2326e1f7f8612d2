"""Carry out a plan, and decide nothing (DESIGN 6).

Expectations are preconditions of a step, read from the proxies each time, so there is no journal: a run that is
killed is run again, and every state in which it can be killed is safe.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import assert_never

from safeapply.errors import SafeApplyError
from safeapply.istio.replicas import Written, written
from safeapply.istio.snapshot import ISTIO_SYSTEM
from safeapply.plans.plan import Action, Operation, Plan, Step
from safeapply.ports import Clock, Cluster, Istiods, Proxies
from safeapply.resources.objects import Namespace, Resource, ResourceId
from safeapply.rollout.events import (
    Event,
    PlanStarted,
    Settled,
    Soaking,
    StepDone,
    StepStarted,
    Stopped,
    Wrote,
)
from safeapply.rollout.lock import Lock, held
from safeapply.rollout.poller import DEFAULT_PACE, Pace, Poller
from safeapply.rollout.readiness import Readiness
from safeapply.xds.expectations import Expectation

__all__ = ["RolloutOptions", "carry_out"]

INTERRUPTED = "interrupted; the mesh is in a safe state, and the same command goes on from here"


@dataclass(frozen=True, slots=True)
class RolloutOptions:
    """How patiently and how broadly a plan is carried out."""

    barrier_timeout: float = 300.0
    """Seconds that one barrier may stay closed: single waits reach 13 s on a busy istiod (ENVOY.md 8)."""
    writes_at_once: int = 8
    deletion: str = "deleted"
    """What is said of an object that is taken away; kubectl says ``pruned`` where a file was."""
    pace: Pace = DEFAULT_PACE
    lock: Lock | None = None
    istiods: Istiods | None = None
    """Where the replicas of istiod can be asked what they have seen, before something is removed."""
    root_namespace: Namespace = ISTIO_SYSTEM
    live: tuple[Written, ...] = ()
    """What was live when the plan was made: a run that goes on where a killed one stopped did not write it."""


DEFAULT_OPTIONS = RolloutOptions()


async def carry_out(
    plan: Plan,
    *,
    cluster: Cluster,
    proxies: Proxies,
    clock: Clock,
    emit: Callable[[Event], None],
    options: RolloutOptions = DEFAULT_OPTIONS,
) -> None:
    """Write every step when its expectations hold, and return when the proxies show the last one.

    Raises:
        BarrierTimeoutError: a barrier did not open; the mesh is in a safe state.
        ClusterChangedError: an object is not what the plan saw.
        LockedError: another rollout is under way.
        ClusterError: the API server refused a write or fell silent.
    """
    if not plan.steps:
        return
    poller = Poller(
        cluster, proxies, clock, emit, plan.label_keys, options.pace, options.istiods, options.root_namespace
    )
    readiness = Readiness(cluster, clock, emit)
    rollout = _Rollout(plan, cluster, clock, emit, options, poller, readiness, versions=dict(plan.versions))
    rollout.writes.update({one.id: one for one in options.live})
    lock: AbstractAsyncContextManager[None] = (
        held(options.lock, cluster, clock, emit) if options.lock else nullcontext()
    )
    async with lock:
        await rollout.run()


@dataclass(slots=True)
class _Rollout:
    plan: Plan
    cluster: Cluster
    clock: Clock
    emit: Callable[[Event], None]
    options: RolloutOptions
    poller: Poller
    readiness: Readiness
    versions: dict[ResourceId, str]
    """The resourceVersion that each touched object must have when it is written next."""
    writes: dict[ResourceId, Written] = field(default_factory=dict)
    """The last write of every object, whoever made it."""
    step: int = field(default=1)

    async def run(self) -> None:
        started = self.clock.now()
        self.emit(PlanStarted(started, self.plan))
        try:
            for step in self.plan.steps:
                await self._take(step)
                self.step += 1
            await self._wait_for_workloads(self.plan.workloads)
            if self.plan.settled:
                await self._wait(self.plan.settled)
        except SafeApplyError as error:
            self.emit(Stopped(self.clock.now(), self.step, str(error)))
            raise
        except asyncio.CancelledError:
            self.emit(Stopped(self.clock.now(), self.step, INTERRUPTED))
            raise
        self.emit(Settled(self.clock.now(), self.clock.now() - started))

    async def _take(self, step: Step) -> None:
        self.emit(StepStarted(self.clock.now(), self.step, len(self.plan.steps), step.phase))
        await self._wait_for_workloads(step.workloads)
        if step.expectations:
            await self._wait(step.expectations, writes=tuple(self.writes.values()))
        if step.soak_seconds:
            self.emit(Soaking(self.clock.now(), self.step, step.soak_seconds))
            await self.clock.sleep(step.soak_seconds)
        await self._write_all(step)
        self.emit(StepDone(self.clock.now(), self.step))

    async def _wait_for_workloads(self, workloads: Sequence[ResourceId]) -> None:
        if workloads:
            await self.readiness.wait(self.step, workloads, patience=self.options.barrier_timeout)

    async def _wait(self, expectations: Sequence[Expectation], *, writes: Sequence[Written] = ()) -> None:
        patience = self.options.barrier_timeout
        await self.poller.wait(self.step, expectations, patience=patience, writes=writes)

    async def _write_all(self, step: Step) -> None:
        """Write side by side, and let each write that has begun come to its end before anything else is told."""
        gate, waiting = asyncio.Semaphore(self.options.writes_at_once), deque(step.operations)

        async def write() -> None:
            async with gate:
                if waiting:
                    await self._write(waiting.popleft())

        writing = asyncio.gather(*(write() for _ in step.operations), return_exceptions=True)
        try:
            results = await asyncio.shield(writing)
        except asyncio.CancelledError:
            waiting.clear()
            await writing
            raise
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _write(self, operation: Operation) -> None:
        one = operation.resource.id
        known = self.versions.get(one, "")
        match operation.action:
            case Action.APPLY:
                made = await self._apply(operation, known)
                self.versions[one] = version = made.resource_version
                before = self.writes.get(one)
                self.writes[one] = written(made, created=not known or (before is not None and before.created))
                word = "created" if not known else "unchanged" if version == known else "configured"
            case Action.DELETE:
                await self.cluster.delete(_at(operation.resource, known))
                self.versions.pop(one, None)
                self.writes[one] = written(_at(operation.resource, known), deleted=True)
                version, word = "", self.options.deletion
            case _:
                assert_never(operation.action)
        self.emit(Wrote(self.clock.now(), self.step, operation.action, one, word, version))

    async def _apply(self, operation: Operation, known: str) -> Resource:
        """Write an object at the version that the plan saw; where it saw none, there must be none."""
        if known or operation.manager:
            return await self.cluster.apply(_at(operation.resource, known), manager=operation.manager)
        return await self.cluster.create(_at(operation.resource, ""))


def _at(resource: Resource, version: str) -> Resource:
    """Return the resource with the resourceVersion that it must have when it is written."""
    metadata = {**resource.metadata, "resourceVersion": version}
    if not version:
        del metadata["resourceVersion"]
    return Resource(resource.id, {**resource.document, "metadata": metadata}, resource.origin)
