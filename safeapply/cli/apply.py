"""``safeapply apply`` and ``safeapply delete``: what kubectl does under these names, without a lost request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from safeapply.cli.access import AccessOptions
from safeapply.cli.bundles import bundled
from safeapply.cli.carrying import CarryingOptions
from safeapply.cli.options import (
    ApplySetName,
    Digest,
    DryRun,
    Filenames,
    ForceConflicts,
    Kustomize,
    NamespaceName,
    NoRecord,
    OnTimeout,
    OnTimeoutOption,
    Phases,
    Prune,
    Recursive,
    SavedPlan,
    Selector,
    SkipChecks,
)

if TYPE_CHECKING:
    from safeapply.commands.planning import Wanted
    from safeapply.resources.objects import Namespace

__all__ = ["apply", "delete"]


@bundled
def apply(  # noqa: PLR0913  one parameter for each option
    plan_file: SavedPlan = None,
    *,
    digest: Digest = None,
    filename: Filenames = None,
    kustomize: Kustomize = None,
    recursive: Recursive = False,
    namespace: NamespaceName = None,
    dry_run: Annotated[
        DryRun,
        typer.Option("--dry-run", help="server: plan and let the server check; client: plan by the files alone."),
    ] = DryRun.NONE,
    prune: Prune = False,
    applyset: ApplySetName = None,
    selector: Selector = None,
    on_timeout: OnTimeoutOption = OnTimeout.STOP,
    no_record: NoRecord = False,
    force_conflicts: ForceConflicts = False,
    skip_checks: SkipChecks = False,
    phase: Phases = None,
    server_side: Annotated[  # noqa: ARG001  accepted, because it is always so
        bool, typer.Option("--server-side", help="Accepted for kubectl's users: every write is server-side.")
    ] = True,
    carrying: CarryingOptions,
    access: AccessOptions,
) -> None:
    """Write manifests in an order that loses no request, waiting for the Envoys in between."""
    from dataclasses import replace

    from safeapply.cli.saved import load
    from safeapply.cli.session import rolled_out
    from safeapply.commands.inputs import Files, Pruning, phases_of
    from safeapply.commands.planning import Wanted
    from safeapply.errors import UsageError

    files, pruning, phases = (
        Files(filename, recursive, namespace, kustomize=kustomize).loaded(),
        Pruning(prune, selector, applyset),
        phases_of(phase),
    )
    root, soak = carrying.istio_namespace, carrying.soak_seconds

    if plan_file is not None and (files.named or prune or phases):
        raise UsageError(f"{plan_file} is a saved plan, which has its manifests: leave out -f, --prune and --phase")
    if digest is not None and plan_file is None:
        raise UsageError("--digest is that of a saved plan; name the plan's file, too")
    saved = load(plan_file) if plan_file is not None else None
    if saved is not None and digest is not None:
        saved.agree(digest)

    def wants(default: Namespace) -> Wanted:
        if saved is not None:
            return saved.wanted(root, checked=not skip_checks)
        wanted = Wanted.applied(files, default, pruning=pruning, root=root, soak=soak, checked=not skip_checks)
        return replace(wanted, phases=phases)

    manner = replace(
        carrying.manner(access, dry_run),
        force_conflicts=force_conflicts,
        on_timeout=on_timeout,
        record=not no_record,
        deletion="pruned",
        any_plan=carrying.yes and saved is None,
        check=saved.check if saved is not None else None,
    )
    terminal = carrying.terminal(manner, agreed=digest is not None, shows=saved is not None)
    raise typer.Exit(rolled_out(wants, manner, terminal))


@bundled
def delete(  # noqa: PLR0913  one parameter for each option
    *,
    filename: Filenames = None,
    kustomize: Kustomize = None,
    recursive: Recursive = False,
    namespace: NamespaceName = None,
    dry_run: Annotated[
        DryRun, typer.Option("--dry-run", help="server or client: show the plan, and write nothing.")
    ] = DryRun.NONE,
    on_timeout: OnTimeoutOption = OnTimeout.STOP,
    no_record: NoRecord = False,
    carrying: CarryingOptions,
    access: AccessOptions,
) -> None:
    """Delete the objects of manifests: routes first, and what they name when no proxy names it any more."""
    from dataclasses import replace

    from safeapply.cli.session import rolled_out
    from safeapply.commands.inputs import Files
    from safeapply.commands.planning import Wanted

    files, root, soak = (
        Files(filename, recursive, namespace, kustomize=kustomize).loaded(),
        carrying.istio_namespace,
        carrying.soak_seconds,
    )

    def wants(default: Namespace) -> Wanted:
        return Wanted.deleted(files, default, root=root, soak=soak)

    manner = replace(carrying.manner(access, dry_run), on_timeout=on_timeout, record=not no_record)
    raise typer.Exit(rolled_out(wants, manner, carrying.terminal(manner)))
