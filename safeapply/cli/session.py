"""A rollout from end to end: connect, plan, ask, carry out, tell. Ports meet adapters here."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from safeapply.adapters.clock import SystemClock
from safeapply.adapters.connection import Connection, connected
from safeapply.adapters.istiod import IstiodPages
from safeapply.adapters.kube import KubeCluster
from safeapply.adapters.processes import has_ended, own_process
from safeapply.adapters.terminal import listener_on
from safeapply.cli.options import DryRun, OnTimeout, RolloutFormat
from safeapply.cli.planning import Planned, Wanted, plan_against
from safeapply.cli.reach import Reach
from safeapply.cli.rights import Rights
from safeapply.cli.supervision import run_to_end
from safeapply.cli.telling import EventStream, Telling, refuse, show, tell
from safeapply.cli.way_back import OWN_MANAGERS, history_of, holder, way_back
from safeapply.errors import (
    BarrierTimeoutError,
    ClusterError,
    InterruptedRolloutError,
    RefusedError,
    RolledBackError,
    UsageError,
    WorkloadFailedError,
)
from safeapply.plans.found import Found, found_by
from safeapply.report.standing import standing
from safeapply.resources.objects import Namespace
from safeapply.rollout.events import Event
from safeapply.rollout.executor import Fresh, RolloutOptions, carry_out
from safeapply.rollout.history import Chronicle, History, Recorded, Returned
from safeapply.rollout.lock import Lock
from safeapply.rollout.progress import progress_of

__all__ = [
    "REFUSED",
    "Manner",
    "carried_out",
    "consent",
    "planned_online",
    "replanning",
    "roll_out",
]

REFUSED = 4

Replan = Callable[[], Awaitable[Fresh]]

Wants = Callable[[Namespace], Wanted]
"""What is wanted, once the default namespace is known."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a rollout is to be carried out."""

    kubeconfig: str | None
    context: str | None
    root_namespace: Namespace
    output: RolloutFormat
    yes: bool
    dry_run: DryRun
    force_conflicts: bool
    barrier_timeout: float
    timeout: float
    """Seconds for all waits of a rollout; 0 for no limit."""
    on_timeout: OnTimeout
    record: bool
    """Whether what the rollout finds is kept, so that there is a way back."""
    lock_timeout: float
    lock_namespace: Namespace
    soak: float
    """Seconds before a removal, on the way back too."""
    reach: Reach
    verbose: bool
    deletion: str
    """The word for what is taken away: deleted, or pruned."""
    report: Path | None
    """Where the JSON report of the rollout goes, beside what is printed."""
    check: Callable[[Planned], None] | None = None
    """Raises unless the plan is the one that was agreed to before."""

    @property
    def telling(self) -> Telling:
        """How its result is told."""
        return Telling(self.output, self.dry_run, self.deletion, self.report)


def planned_online(wants: Wants, *, kubeconfig: str | None, context: str | None) -> Planned:
    """Plan against a cluster and write nothing."""

    async def look() -> Planned:
        async with connected(kubeconfig=kubeconfig, context=context) as connection:
            return await plan_against(wants(Namespace(connection.namespace)), KubeCluster(connection))

    return run_to_end(look())


def roll_out(wants: Wants, manner: Manner) -> int:
    """Plan, ask, carry out, and return the exit code.

    Raises:
        SafeApplyError: with the exit code that belongs to it.
    """

    async def work() -> int:
        async with connected(kubeconfig=manner.kubeconfig, context=manner.context) as connection:
            cluster = KubeCluster(connection, manner.force_conflicts)
            wanted = wants(Namespace(connection.namespace))
            rights = Rights(
                connection,
                cluster.plural,
                manner.reach.way,
                manner.root_namespace,
                manner.lock_namespace,
                manner.record,
            )
            async with rights.all_named():
                made = await plan_against(wanted, cluster, dry_run=manner.dry_run is not DryRun.CLIENT)

            if manner.check is not None:
                manner.check(made)
            if made.plan.refusals:
                refuse(made, manner.output)
                return REFUSED
            history = history_of(cluster, manner.root_namespace)
            if not made.plan.steps or manner.dry_run is not DryRun.NONE:
                if manner.record and manner.dry_run is DryRun.NONE:
                    await _conclude(history, made)
                tell([], made, manner.telling)
                return 0
            await rights.check(made)
            await consent(made, manner)
            found = found_by(made.plan, made.live, OWN_MANAGERS)
            chronicle = Recorded(history, found) if manner.record else None
            try:
                return await carried_out(made, replanning(wanted, cluster), connection, cluster, manner, chronicle)
            except (BarrierTimeoutError, WorkloadFailedError) as error:
                if manner.on_timeout is OnTimeout.STOP:
                    raise
                typer.echo(f"error: {error}\nrolling back to what the rollout found", err=True)
                await _go_back(found, chronicle, connection, cluster, manner)
                raise RolledBackError(error) from error

    try:
        return run_to_end(work())
    except KeyboardInterrupt:
        raise InterruptedRolloutError("interrupted; nothing was written") from None


def replanning(wanted: Wanted, cluster: KubeCluster) -> Replan:
    """Return what plans once more, when the mesh has changed meanwhile."""

    async def replan() -> Fresh:
        # What the operator has agreed to is not judged again half-way.
        again = await plan_against(replace(wanted, checked=False), cluster)
        return Fresh(again.plan, again.live)

    return replan


async def _conclude(history: History, made: Planned) -> None:
    """Note the end of a run that was killed when all was written; whoever may not has nothing to note."""
    with suppress(ClusterError):
        await history.conclude(made.plan.unchanged, made.live)


async def _go_back(
    found: tuple[Found, ...],
    chronicle: Recorded | None,
    connection: Connection,
    cluster: KubeCluster,
    manner: Manner,
) -> None:
    """Plan the way back and go it; it has as much time as the way there had.

    Raises:
        SafeApplyError: it is refused, or does not end either.
    """
    record = chronicle.record if chronicle else None
    wanted = way_back(record.found if record else found, manner.root_namespace, manner.soak)
    made = await plan_against(wanted, cluster)
    if made.plan.refusals:
        show(made)
        raise RefusedError("there is no safe way back; the mesh is in a safe state, and nothing more was written")
    back = Returned(chronicle.history, record) if chronicle and record else None
    again, manner = replanning(wanted, cluster), replace(manner, deletion="deleted", check=None)
    await carried_out(made, again, connection, cluster, manner, back)


async def carried_out(
    made: Planned,
    replan: Replan,
    connection: Connection,
    cluster: KubeCluster,
    manner: Manner,
    chronicle: Chronicle | None,
) -> int:
    """Carry a plan out, tell what happens, and return the exit code.

    Raises:
        SafeApplyError: with the exit code that belongs to it.
    """
    clock, events = SystemClock(), list[Event]()
    stream = EventStream() if manner.output is RolloutFormat.EVENTS else None
    proxies = manner.reach.proxies(connection)
    pages = IstiodPages(connection)
    options = RolloutOptions(
        istiods=pages,
        root_namespace=manner.root_namespace,
        exclude=manner.reach.exclude,
        live=made.live,
        replan=replan,
        any_plan=manner.yes and manner.check is None,
        barrier_timeout=manner.barrier_timeout,
        timeout=manner.timeout,
        chronicle=chronicle,
        deletion=manner.deletion,
        lock=Lock(manner.lock_namespace, holder(), own_process(), has_ended, patience=manner.lock_timeout),
    )
    try:
        # A picture on standard error and lines on standard output would write over each other on one terminal.
        lines = manner.verbose or (stream is not None and sys.stdout.isatty())
        async with listener_on(sys.stderr, os.environ, clock=clock, verbose=lines) as listener:

            def emit(event: Event) -> None:
                events.append(event)
                if stream is not None:
                    stream(event)
                listener(event)

            await carry_out(made.plan, cluster=cluster, proxies=proxies, clock=clock, emit=emit, options=options)
    except asyncio.CancelledError:
        raise InterruptedRolloutError(f"interrupted: {standing(progress_of(events, made.plan))}") from None
    finally:
        await asyncio.gather(proxies.close(), pages.close())
        tell(events, made, manner.telling, stream)
    return 0


async def consent(made: Planned, manner: Manner) -> None:
    """Show the plan and ask, unless ``--yes`` was given.

    Raises:
        UsageError: nobody can be asked, or the answer was no.
    """
    if manner.yes:
        return
    show(made)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("nothing was written: standard input is no terminal to ask on; give --yes to go ahead")
    typer.echo("Apply this plan? [y/N]: ", err=True, nl=False)
    if (await _line()).strip().lower() not in {"y", "yes"}:
        raise UsageError("nothing was written")


async def _line() -> str:
    """Read a line from the terminal, and no longer than until Ctrl-C: a thread could not be stopped."""
    loop, typed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin, typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline()
