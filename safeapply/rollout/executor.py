"""Carry out a plan, and decide nothing (DESIGN 6).

Expectations are preconditions of a step, read from the proxies each time, so there is no journal: a run that is
killed is run again, and every state in which it can be killed is safe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass, replace

from safeapply.errors import ClusterChangedError, ClusterUnreachableError, RejectedError, SafeApplyError
from safeapply.istio.mesh_settings import ISTIO_SYSTEM
from safeapply.istio.replicas import Written
from safeapply.plans.plan import Operation, Plan, Step
from safeapply.plans.remains import joined, overtaken, surprises
from safeapply.ports import Clock, Cluster, Istiods, Proxies
from safeapply.resources.objects import Namespace, Resource, ResourceId
from safeapply.rollout.events import (
    Event,
    PlanStarted,
    Replanned,
    Settled,
    Soaking,
    StepDone,
    StepStarted,
    Stopped,
)
from safeapply.rollout.ground import Ground
from safeapply.rollout.history import Chronicle
from safeapply.rollout.lock import Hold, Lock, held
from safeapply.rollout.poller import DEFAULT_PACE, Pace, Poller
from safeapply.rollout.readiness import Readiness
from safeapply.rollout.writer import Writer
from safeapply.xds.expectations import Expectation

__all__ = ["Fresh", "RolloutOptions", "carry_out"]

BETWEEN_LOOKS = 5.0
"""Seconds at least between two looks at what others write, while a barrier is closed."""
REST = 5.0
"""How many times as long as a look took there is none after it: of 20,000 objects the API server sends 20 MB."""
MOST_PLANS = 20
"""After so many plans in one rollout, whatever disturbs it is not going to end."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """A plan that was made anew, and the live objects that it was made with."""

    plan: Plan
    live: Mapping[ResourceId, Resource]


INTERRUPTED = "interrupted; the mesh is in a safe state, and the same command goes on from here"


@dataclass(frozen=True, slots=True)
class RolloutOptions:
    """How patiently and how broadly a plan is carried out."""

    barrier_timeout: float = 300.0
    """Seconds that one barrier may stay closed: single waits reach 13 s on a busy istiod (ENVOY.md 8)."""
    timeout: float = 0.0
    """Seconds for everything; 0 for as long as it takes."""
    chronicle: Chronicle | None = None
    """Where it is noted what the rollout found, and that it is done."""
    writes_at_once: int = 8
    deletion: str = "deleted"
    """What is said of an object that is taken away; kubectl says ``pruned`` where a file was."""
    pace: Pace = DEFAULT_PACE
    lock: Lock | None = None
    istiods: Istiods | None = None
    """Where the replicas of istiod can be asked what they have seen, before something is removed."""
    root_namespace: Namespace = ISTIO_SYSTEM
    exclude: tuple[str, ...] = ()
    """``NAMESPACE/POD`` patterns of proxies that do not count."""
    live: Mapping[ResourceId, Resource] | None = None
    """What the plan was made with: all that decides where requests go is to be so still before each step."""
    any_plan: bool = False
    """Whether, as long as nothing is written, another plan than the one that was shown will do: nobody is asked."""
    replan: Callable[[], Awaitable[Fresh]] | None = None
    """Reads the cluster and plans again, when it is not what the plan saw."""


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
    if not (plan.steps or plan.left):
        return
    poller = Poller(
        cluster,
        proxies,
        clock,
        emit,
        plan.traits,
        options.pace,
        options.istiods,
        options.root_namespace,
        options.exclude,
    )
    readiness = Readiness(cluster, clock, emit)
    lock: AbstractAsyncContextManager[Hold | None] = (
        held(options.lock, cluster, clock, emit) if options.lock else nullcontext()
    )
    async with lock as hold:
        writer = Writer(cluster, clock, emit, options.writes_at_once, options.deletion)
        writer.stand_on(plan.versions, options.live)
        await _Rollout(plan, cluster, clock, emit, options, poller, readiness, hold, writer).run()


@dataclass(slots=True)
class _Rollout:
    plan: Plan
    cluster: Cluster
    clock: Clock
    emit: Callable[[Event], None]
    options: RolloutOptions
    poller: Poller
    readiness: Readiness
    hold: Hold | None
    writer: Writer
    step: int = 1
    deadline: float = float("inf")
    plans: int = 1

    async def run(self) -> None:
        started = self.clock.now()
        self.deadline = started + (self.options.timeout or float("inf"))
        self.emit(PlanStarted(started, self.plan))
        try:
            if self.options.chronicle:
                await self.options.chronicle.begin()
            while self.step <= len(self.plan.steps):
                await self._take_or_plan_again(self.plan.steps[self.step - 1])
            await self._end()
        except SafeApplyError as error:
            self.emit(Stopped(self.clock.now(), self.step, str(error)))
            raise
        except asyncio.CancelledError:
            self.emit(Stopped(self.clock.now(), self.step, INTERRUPTED))
            raise
        self.emit(Settled(self.clock.now(), self.clock.now() - started))

    async def _end(self) -> None:
        """Wait until the proxies show the last step; of a part, until the first step that is left could follow."""
        await self._wait_for_workloads(self.plan.workloads)
        if self.plan.settled:
            await self._wait(self.plan.settled, writes=self.writer.last if self.plan.left else ())
        if self.plan.left:
            await self._soak(self.plan.left[0])
        elif self.options.chronicle:
            await self.options.chronicle.settled()

    async def _soak(self, step: Step) -> None:
        if step.soak_seconds:
            self.emit(Soaking(self.clock.now(), self.step, step.soak_seconds))
            await self.clock.sleep(step.soak_seconds)

    async def _take_or_plan_again(self, step: Step) -> None:
        """Take a step; where the cluster is not what the plan saw, plan again, and go on if that is the same plan.

        A write whose answer was lost looks like a change by somebody else, and is found out in the same way.
        """
        try:
            await self._take(step)
            self.step += 1
            self.writer.done = []
        except ClusterChangedError as error:
            await self._plan_again(error, f"{error.resource} changed ({error.reason})")
        except ClusterUnreachableError as error:
            await self._plan_again(error, str(error))

    async def _plan_again(self, error: ClusterChangedError | ClusterUnreachableError, why: str) -> None:
        if self.options.replan is None or self.plans >= MOST_PLANS:
            raise error
        self.plans += 1
        try:
            fresh = await self.options.replan()
        except RejectedError as rejected:
            # Whoever changed something owns a field now, or a webhook minds: the plan cannot be gone on with.
            raise ClusterChangedError(rejected.resource, why, (str(rejected),)) from rejected
        done = self.writer.done
        left = [o for step in self.plan.steps[self.step - 1 :] for o in step.operations if o not in done]
        untouched = self.options.any_plan and self.step == 1 and not done and not fresh.plan.refusals
        if not untouched and (difference := surprises(left, fresh.plan)):
            resource, reason = (
                (error.resource, error.reason) if isinstance(error, ClusterChangedError) else ("the cluster", why)
            )
            raise ClusterChangedError(resource, reason, difference) from error
        self._go_on(fresh, () if untouched else left, why)

    def _go_on(self, fresh: Fresh, left: Sequence[Operation], why: str) -> None:
        """Take what was done for the first steps of a plan, and the new plan for the others."""
        for operation in overtaken(left, fresh.plan):
            self.writer.tell_overtaken(self.step, operation, fresh.live)
        present = self.plan.steps[self.step - 1]
        done = (replace(present, operations=tuple(self.writer.done)),) if self.writer.done else ()
        self.plan = joined((*self.plan.steps[: self.step - 1], *done), fresh.plan)
        self.step += len(done)
        self.writer.stand_on(self.plan.versions, fresh.live)
        self.emit(Replanned(self.clock.now(), self.step, why, self.plan, len(fresh.plan.steps)))

    async def _take(self, step: Step) -> None:
        self.emit(StepStarted(self.clock.now(), self.step, len(self.plan.steps), step.phase))
        await self._wait_for_workloads(step.workloads)
        if step.expectations:
            await self._wait_on_ground(step)
        await self._soak(step)
        if self.hold is not None:
            await self.hold.assure()
        if self.writer.ground is not None:
            await self.writer.ground.check(self.cluster)
        await self.writer.write(self.step, step.operations)
        self.emit(StepDone(self.clock.now(), self.step))

    async def _wait_for_workloads(self, workloads: Sequence[ResourceId]) -> None:
        if workloads:
            await self.readiness.wait(self.step, workloads, patience=self._patience())

    def _patience(self) -> float:
        """Return how many seconds the next wait may take."""
        return max(0.0, min(self.options.barrier_timeout, self.deadline - self.clock.now()))

    async def _wait_on_ground(self, step: Step) -> None:
        """Wait for a step's expectations, as long as the plan stands: what others wrote may never let them hold."""
        tasks = [asyncio.ensure_future(self._wait(step.expectations, writes=self.writer.last))]
        if self.writer.ground is not None:
            tasks.append(asyncio.ensure_future(self._until_shaken(self.writer.ground)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _until_shaken(self, ground: Ground) -> None:
        """Look at the ground every so often, without end.

        Raises:
            ClusterChangedError: it is not what it was.
        """
        took = 0.0
        while True:
            await self.clock.sleep(max(BETWEEN_LOOKS, REST * took))
            begun, took = self.clock.now(), 0.0
            # An API server that is silent for a moment has changed nothing.
            with suppress(ClusterUnreachableError):
                await ground.check(self.cluster)
                took = self.clock.now() - begun

    async def _wait(self, expectations: Sequence[Expectation], *, writes: Sequence[Written] = ()) -> None:
        await self.poller.wait(self.step, expectations, patience=self._patience(), writes=writes)
