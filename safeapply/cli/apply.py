"""``safeapply apply`` and ``safeapply delete``: what kubectl does under these names, without a lost request."""

from __future__ import annotations

from typing import Annotated

import typer

from safeapply.cli.options import (
    ApplySetName,
    Context,
    DryRun,
    Exclude,
    Filenames,
    ForceConflicts,
    IstioNamespace,
    Kubeconfig,
    LockNamespace,
    LockTimeout,
    MaxConnections,
    MetricsFile,
    NamespaceName,
    NoRecord,
    OnTimeout,
    OnTimeoutOption,
    Phases,
    ProxyAddresses,
    Prune,
    Recursive,
    Report,
    RolloutFormat,
    RolloutOutput,
    SavedPlan,
    Selector,
    SkipChecks,
    Soak,
    StepTimeout,
    Timeout,
    Verbose,
    Via,
    ViaOption,
    Yes,
)

__all__ = ["apply", "delete"]


def apply(  # noqa: PLR0913  one parameter for each option
    plan_file: SavedPlan = None,
    *,
    filename: Filenames = None,
    recursive: Recursive = False,
    namespace: NamespaceName = None,
    yes: Yes = False,
    output: RolloutOutput = RolloutFormat.TEXT,
    dry_run: Annotated[
        DryRun,
        typer.Option("--dry-run", help="server: plan and let the server check; client: plan by the files alone."),
    ] = DryRun.NONE,
    prune: Prune = False,
    applyset: ApplySetName = None,
    selector: Selector = None,
    soak: Soak = "1s",
    barrier_timeout: StepTimeout = "5m",
    timeout: Timeout = "0",
    on_timeout: OnTimeoutOption = OnTimeout.STOP,
    no_record: NoRecord = False,
    lock_timeout: LockTimeout = "20s",
    lock_namespace: LockNamespace = None,
    exclude: Exclude = None,
    max_connections: MaxConnections = 64,
    via: ViaOption = Via.PORT_FORWARD,
    proxy_addresses: ProxyAddresses = None,
    force_conflicts: ForceConflicts = False,
    skip_checks: SkipChecks = False,
    phase: Phases = None,
    istio_namespace: IstioNamespace = "istio-system",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    verbose: Verbose = False,
    report: Report = None,
    metrics_file: MetricsFile = None,
    server_side: Annotated[  # noqa: ARG001  accepted, because it is always so
        bool, typer.Option("--server-side", help="Accepted for kubectl's users: every write is server-side.")
    ] = True,
) -> None:
    """Write manifests in an order that loses no request, waiting for the Envoys in between."""
    from dataclasses import replace

    from safeapply.cli.durations import seconds_of
    from safeapply.cli.saved import load
    from safeapply.cli.session import Terminal, rolled_out
    from safeapply.cli.telling import Telling
    from safeapply.commands.inputs import Files, Pruning, phases_of
    from safeapply.commands.manner import Manner
    from safeapply.commands.planning import Wanted
    from safeapply.commands.reach import reach_of
    from safeapply.errors import UsageError
    from safeapply.resources.objects import Namespace

    files, seconds = Files(filename, recursive, namespace), seconds_of(soak, option="--soak")

    pruning, phases = Pruning(prune, selector, applyset), phases_of(phase)

    if plan_file is not None and (filename or prune or phases):
        raise UsageError(f"{plan_file} is a saved plan, which has its manifests: leave out -f, --prune and --phase")
    saved = load(plan_file) if plan_file is not None else None

    def wants(default: Namespace) -> Wanted:
        if saved is not None:
            return saved.wanted
        wanted = Wanted.applied(
            files, default, pruning=pruning, root=istio_namespace, soak=seconds, checked=not skip_checks
        )
        return replace(wanted, phases=phases)

    manner = Manner(
        reach=reach_of(via, proxy_addresses, max_connections, exclude),
        kubeconfig=kubeconfig,
        context=context,
        root_namespace=Namespace(istio_namespace),
        dry_run=dry_run,
        force_conflicts=force_conflicts,
        barrier_timeout=seconds_of(barrier_timeout, option="--barrier-timeout"),
        timeout=seconds_of(timeout, option="--timeout"),
        on_timeout=on_timeout,
        record=not no_record,
        lock_timeout=seconds_of(lock_timeout, option="--lock-timeout"),
        lock_namespace=Namespace(lock_namespace) if lock_namespace else None,
        soak=seconds,
        deletion="pruned",
        any_plan=yes and saved is None,
        check=saved.check if saved is not None else None,
    )
    telling = Telling(output, dry_run, manner.deletion, report)
    terminal = Terminal(telling, yes or saved is not None, verbose, metrics_file)
    raise typer.Exit(rolled_out(wants, manner, terminal))


def delete(  # noqa: PLR0913  one parameter for each option
    *,
    filename: Filenames = None,
    recursive: Recursive = False,
    namespace: NamespaceName = None,
    yes: Yes = False,
    output: RolloutOutput = RolloutFormat.TEXT,
    dry_run: Annotated[
        DryRun, typer.Option("--dry-run", help="server or client: show the plan, and write nothing.")
    ] = DryRun.NONE,
    soak: Soak = "1s",
    barrier_timeout: StepTimeout = "5m",
    timeout: Timeout = "0",
    on_timeout: OnTimeoutOption = OnTimeout.STOP,
    no_record: NoRecord = False,
    lock_timeout: LockTimeout = "20s",
    lock_namespace: LockNamespace = None,
    exclude: Exclude = None,
    max_connections: MaxConnections = 64,
    via: ViaOption = Via.PORT_FORWARD,
    proxy_addresses: ProxyAddresses = None,
    istio_namespace: IstioNamespace = "istio-system",
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    verbose: Verbose = False,
    report: Report = None,
    metrics_file: MetricsFile = None,
) -> None:
    """Delete the objects of manifests: routes first, and what they name when no proxy names it any more."""
    from safeapply.cli.durations import seconds_of
    from safeapply.cli.session import Terminal, rolled_out
    from safeapply.cli.telling import Telling
    from safeapply.commands.inputs import Files
    from safeapply.commands.manner import Manner
    from safeapply.commands.planning import Wanted
    from safeapply.commands.reach import reach_of
    from safeapply.resources.objects import Namespace

    files, seconds = Files(filename, recursive, namespace), seconds_of(soak, option="--soak")

    def wants(default: Namespace) -> Wanted:
        return Wanted.deleted(files, default, root=istio_namespace, soak=seconds)

    manner = Manner(
        reach=reach_of(via, proxy_addresses, max_connections, exclude),
        kubeconfig=kubeconfig,
        context=context,
        root_namespace=Namespace(istio_namespace),
        dry_run=dry_run,
        barrier_timeout=seconds_of(barrier_timeout, option="--barrier-timeout"),
        timeout=seconds_of(timeout, option="--timeout"),
        on_timeout=on_timeout,
        record=not no_record,
        lock_timeout=seconds_of(lock_timeout, option="--lock-timeout"),
        lock_namespace=Namespace(lock_namespace) if lock_namespace else None,
        soak=seconds,
        any_plan=yes,
    )
    telling = Telling(output, dry_run, manner.deletion, report)
    terminal = Terminal(telling, yes, verbose, metrics_file)
    raise typer.Exit(rolled_out(wants, manner, terminal))
