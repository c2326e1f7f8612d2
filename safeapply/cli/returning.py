"""The way back of ``safeapply rollback``, from the record to the end. Ports meet adapters here."""

from __future__ import annotations

import typer

from safeapply.adapters.connection import connected
from safeapply.adapters.kube import KubeCluster
from safeapply.cli.options import DryRun
from safeapply.cli.planning import plan_against
from safeapply.cli.rights import Rights
from safeapply.cli.session import REFUSED, Manner, carried_out, consent, replanning
from safeapply.cli.supervision import run_to_end
from safeapply.cli.telling import refuse, tell
from safeapply.cli.way_back import history_of, way_back
from safeapply.errors import InterruptedRolloutError
from safeapply.rollout.history import Record, Returned, State

__all__ = ["roll_back"]


def roll_back(manner: Manner) -> int:
    """Find the record, plan, ask, carry out, and return the exit code.

    Raises:
        UsageError: there is nothing to go back from.
        SafeApplyError: with the exit code that belongs to it.
    """

    async def work() -> int:
        async with connected(kubeconfig=manner.kubeconfig, context=manner.context) as connection:
            cluster = KubeCluster(connection, manner.force_conflicts)
            history = history_of(cluster, manner.root_namespace)
            rights = Rights(
                connection, cluster.plural, manner.reach.way, manner.root_namespace, manner.lock_namespace
            )
            async with rights.all_named():
                record = await history.latest()
                wanted = way_back(record.found, manner.root_namespace, manner.soak)
                made = await plan_against(wanted, cluster, dry_run=manner.dry_run is not DryRun.CLIENT)
            _introduce(record)
            if made.plan.refusals:
                refuse(made, manner.output)
                return REFUSED
            if manner.dry_run is not DryRun.NONE:
                tell([], made, manner.telling)
                return 0
            if not made.plan.steps:
                await history.mark(record, State.ROLLED_BACK)
                tell([], made, manner.telling)
                return 0
            await rights.check(made)
            await consent(made, manner)
            return await carried_out(
                made, replanning(wanted, cluster), connection, cluster, manner, Returned(history, record)
            )

    try:
        return run_to_end(work())
    except KeyboardInterrupt:
        raise InterruptedRolloutError("interrupted; nothing was written") from None


def _introduce(record: Record) -> None:
    """Say whose rollout this is about, and what cannot be put back."""
    typer.echo(f"back to what rollout {record.revision} of {record.by} found at {record.at}", err=True)
    for one in record.found:
        if one.lost:
            typer.echo(f"warning: {one.id} stays as it is: the values of Secrets are not kept", err=True)
