"""A rollout from end to end: connect, plan, ask, carry out, tell. Ports meet adapters here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

from safeapply.adapters.clock import SystemClock
from safeapply.adapters.multicluster import Connections, all_connected
from safeapply.adapters.processes import has_ended, own_process
from safeapply.adapters.tracing import tracing
from safeapply.commands.choices import DryRun, OnTimeout
from safeapply.commands.manner import Manner, Operator
from safeapply.commands.online import Wants
from safeapply.commands.planning import Planned, Wanted, plan_against
from safeapply.commands.primaries import check_primaries
from safeapply.commands.rights import Rights
from safeapply.commands.way_back import history_of, holder, own_managers, way_back
from safeapply.errors import (
    BarrierTimeoutError,
    ClusterError,
    RefusedError,
    RolledBackError,
    WorkloadFailedError,
)
from safeapply.plans.found import Found, continued, found_by
from safeapply.plans.records import Record, State, places_of
from safeapply.plans.rights import Right, keeping
from safeapply.ports import Cluster, Istiods
from safeapply.resources.objects import Namespace
from safeapply.rollout.events import Event
from safeapply.rollout.executor import Fresh, RolloutOptions, carry_out
from safeapply.rollout.history import Chronicle, History, Recorded, Returned
from safeapply.rollout.lock import Lock
from safeapply.rollout.notes import Notes
from safeapply.visible import visible

__all__ = ["roll_back", "roll_out"]

PARTING_SECONDS = 5.0

Replan = Callable[[], Awaitable[Fresh]]


async def roll_out(wants: Wants, manner: Manner, operator: Operator) -> Planned:
    """Plan, ask, carry out, and return the plan; one with refusals was not begun.

    Cancelled, it lets the writes that have begun come to their end, begins no other, and gives the Lease back.

    Raises:
        SafeApplyError: with the exit code that belongs to it.
    """
    async with _opened(manner, operator) as rollout:
        wanted = wants(Namespace(rollout.connections.home.namespace))
        made = await rollout.planned(wanted)
        if manner.check is not None:
            manner.check(made)
        if made.plan.refusals:
            operator.refused(made)
            return made
        if not (made.plan.steps or made.plan.left) or manner.dry_run is not DryRun.NONE:
            if manner.record and manner.dry_run is DryRun.NONE:
                await _conclude(rollout.history, made)
            operator.ended(made, ())
            return made
        found = found_by(made.plan, made.live, own_managers(force_conflicts=manner.force_conflicts))
        chronicle = Recorded(rollout.history, found) if manner.record and found else None
        await rollout.agreed(made, () if chronicle is None else await rollout.places(found))
        try:
            await rollout.carried_out(made, wanted, chronicle)
        except (BarrierTimeoutError, WorkloadFailedError) as error:
            if manner.on_timeout is OnTimeout.STOP:
                raise
            operator.turning_back(str(error))
            await rollout.gone_back(made, found, chronicle)
            raise RolledBackError(error) from error
        return made


async def roll_back(manner: Manner, operator: Operator, by: str = "") -> Planned:
    """Find the record of the last rollout, plan the way back, ask, and go it.

    Args:
        manner: how it is carried out.
        operator: who is asked and told.
        by: whose rollout, in the API server's words; by default a rollout of whoever asks, and of nobody else.

    Raises:
        UsageError: there is nothing to go back from.
        SafeApplyError: with the exit code that belongs to it.
    """
    async with _opened(manner, operator, by) as rollout:
        async with rollout.rights.all_named():
            record = await rollout.history.latest()
        wanted = way_back(record.found, manner.root_namespace, manner.soak)
        made = await rollout.planned(wanted)
        _introduce(record, operator)
        if made.plan.refusals:
            operator.refused(made)
            return made
        if not made.plan.steps or manner.dry_run is not DryRun.NONE:
            if manner.dry_run is DryRun.NONE:
                await rollout.history.mark(record, State.ROLLED_BACK)
            operator.ended(made, ())
            return made
        await rollout.agreed(made, await rollout.places(()))
        await rollout.carried_out(made, wanted, Returned(rollout.history, record))
        return made


@dataclass(frozen=True, slots=True)
class _Rollout:
    """A rollout that is connected."""

    connections: Connections
    cluster: Cluster
    rights: Rights
    history: History
    manner: Manner
    operator: Operator

    async def planned(self, wanted: Wanted) -> Planned:
        manner = self.manner
        async with self.rights.all_named():
            made = await plan_against(wanted, self.cluster, dry_run=manner.dry_run is not DryRun.CLIENT)
        check_primaries(made.live.values(), manner.root_namespace, manner.reach.exclude)
        return made

    async def places(self, found: tuple[Found, ...]) -> tuple[Right, ...]:
        """Return what it takes to record what is found."""
        return keeping(await self.history.owner(), places_of(found, self.history.namespace))

    async def agreed(self, made: Planned, records: tuple[Right, ...]) -> None:
        await self.rights.check(made, records)
        await self.operator.agree(made)

    async def carried_out(self, made: Planned, wanted: Wanted, chronicle: Chronicle | None) -> None:
        events, clock = list[Event](), SystemClock()
        proxies, pages = self.manner.reach.proxies(self.connections), self.connections.istiods()
        options, notes = self._options(made, wanted, chronicle, pages), Notes(self.cluster, clock, holder())
        traces = tracing(clock)
        try:
            async with self.operator.listening() as listener:

                def emit(event: Event) -> None:
                    events.append(event)
                    listener(event)
                    notes(event)
                    traces(event)

                await carry_out(
                    made.plan, cluster=self.cluster, proxies=proxies, clock=clock, emit=emit, options=options
                )
        finally:
            await _closed(proxies.close(), pages.close(), notes.close(), traces.close())
            self.operator.ended(made, events)

    def _options(
        self, made: Planned, wanted: Wanted, chronicle: Chronicle | None, pages: Istiods
    ) -> RolloutOptions:
        manner = self.manner
        return RolloutOptions(
            istiods=pages,
            root_namespace=manner.root_namespace,
            exclude=manner.reach.exclude,
            live=made.live,
            replan=self._replanning(wanted),
            any_plan=manner.any_plan,
            barrier_timeout=manner.barrier_timeout,
            timeout=manner.timeout,
            chronicle=chronicle,
            deletion=manner.deletion,
            lock=Lock(manner.lease_namespace, holder(), own_process(), has_ended, patience=manner.lock_timeout),
        )

    def _replanning(self, wanted: Wanted) -> Replan:
        """Return what plans once more, when the mesh has changed meanwhile."""

        async def replan() -> Fresh:
            # What the operator has agreed to is not judged again half-way.
            again = await plan_against(replace(wanted, checked=False), self.cluster)
            return Fresh(again.plan, again.live)

        return replan

    async def gone_back(self, there: Planned, found: tuple[Found, ...], chronicle: Recorded | None) -> None:
        """Plan the way back and go it; it has as much time as the way there had.

        It touches what this run has touched, and the run that it goes on with; nothing else that is recorded.

        Raises:
            SafeApplyError: it is refused, or does not end either.
        """
        record = chronicle.record if chronicle else None
        if record is not None:
            found = continued(found, record.found, record.earlier, there.plan.unchanged)
        wanted = way_back(found, self.manner.root_namespace, self.manner.soak)
        made = await plan_against(wanted, self.cluster)
        if made.plan.refusals:
            self.operator.refused(made)
            told = tuple(one.told for one in made.plan.refusals)
            raise RefusedError(
                told, "there is no safe way back; the mesh is in a safe state, and nothing more was written"
            )
        whole = record is not None and {one.id for one in record.found} == {one.id for one in found}
        # Where another, stopped rollout is in the same record, its way back is not gone by this.
        back = Returned(chronicle.history, record) if chronicle and record and whole else None
        again = replace(self, manner=replace(self.manner, deletion="deleted", check=None))
        await again.carried_out(made, wanted, back)


async def _closed(*closing: Coroutine[object, object, None]) -> None:
    """Close what a rollout has open, politely for a moment: a server that is silent keeps nobody from ending."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PARTING_SECONDS):
            await asyncio.gather(*closing)


@asynccontextmanager
async def _opened(manner: Manner, operator: Operator, by: str = "") -> AsyncIterator[_Rollout]:
    async with all_connected(manner.access) as connections:
        cluster = connections.cluster(force_conflicts=manner.force_conflicts)
        rights = Rights(
            connections,
            cluster.plural,
            manner.reach.way,
            manner.root_namespace,
            manner.lease_namespace,
        )
        history = history_of(cluster, manner.lease_namespace, by)
        yield _Rollout(connections, cluster, rights, history, manner, operator)


async def _conclude(history: History, made: Planned) -> None:
    """Note the end of a run that was killed when all was written; whoever may not has nothing to note."""
    with suppress(ClusterError):
        await history.conclude(made.plan.unchanged, made.live)


def _introduce(record: Record, operator: Operator) -> None:
    """Say whose rollout this is about, and what cannot be put back."""
    operator.say(visible(f"back to what rollout {record.revision} of {record.by} found at {record.at}"))
    for one in record.found:
        if one.lost:
            operator.say(f"warning: {one.id} stays as it is: the values of Secrets are not kept")
