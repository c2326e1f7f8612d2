"""``safeapply rollback``: back to what the last rollout found, as carefully as it went in."""

from __future__ import annotations

from typing import Annotated

import typer

from safeapply.cli.options import (
    Context,
    DryRun,
    Exclude,
    ForceConflicts,
    IstioNamespace,
    Kubeconfig,
    LockNamespace,
    LockTimeout,
    MaxConnections,
    MetricsFile,
    ProxyAddresses,
    Report,
    RolloutFormat,
    RolloutOutput,
    Soak,
    StepTimeout,
    Timeout,
    Verbose,
    Via,
    ViaOption,
    Yes,
)

__all__ = ["rollback"]


def rollback(  # noqa: PLR0913  one parameter for each option
    *,
    yes: Yes = False,
    output: RolloutOutput = RolloutFormat.TEXT,
    dry_run: Annotated[DryRun, typer.Option("--dry-run", help="server or client: show the plan.")] = DryRun.NONE,
    soak: Soak = "1s",
    barrier_timeout: StepTimeout = "5m",
    timeout: Timeout = "0",
    lock_timeout: LockTimeout = "20s",
    lock_namespace: LockNamespace = None,
    exclude: Exclude = None,
    max_connections: MaxConnections = 64,
    via: ViaOption = Via.PORT_FORWARD,
    proxy_addresses: ProxyAddresses = None,
    force_conflicts: ForceConflicts = False,
    istio_namespace: IstioNamespace = "istio-system",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    verbose: Verbose = False,
    report: Report = None,
    metrics_file: MetricsFile = None,
) -> None:
    """Go back to what the last rollout found, in an order that loses no request; once more, one further back.

    The values of Secrets are not kept: a Secret that was changed or deleted stays as it is, and is named.
    """
    from safeapply.cli.durations import seconds_of
    from safeapply.cli.session import Terminal, rolled_back
    from safeapply.cli.telling import Telling
    from safeapply.commands.manner import Manner
    from safeapply.commands.reach import reach_of
    from safeapply.resources.objects import Namespace

    manner = Manner(
        reach=reach_of(via, proxy_addresses, max_connections, exclude),
        kubeconfig=kubeconfig,
        context=context,
        root_namespace=Namespace(istio_namespace),
        dry_run=dry_run,
        force_conflicts=force_conflicts,
        barrier_timeout=seconds_of(barrier_timeout, option="--barrier-timeout"),
        timeout=seconds_of(timeout, option="--timeout"),
        lock_timeout=seconds_of(lock_timeout, option="--lock-timeout"),
        lock_namespace=Namespace(lock_namespace) if lock_namespace else None,
        soak=seconds_of(soak, option="--soak"),
        any_plan=yes,
    )
    telling = Telling(output, dry_run, manner.deletion, report)
    terminal = Terminal(telling, yes, verbose, metrics_file)
    raise typer.Exit(rolled_back(manner, terminal))
