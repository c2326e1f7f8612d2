"""``safeapply rollback``: back to what the last rollout found, as carefully as it went in."""

from __future__ import annotations

from typing import Annotated

import typer

from safeapply.cli.access import AccessOptions
from safeapply.cli.bundles import bundled
from safeapply.cli.carrying import CarryingOptions
from safeapply.cli.options import (
    DryRun,
    ForceConflicts,
)

__all__ = ["rollback"]


@bundled
def rollback(
    *,
    dry_run: Annotated[DryRun, typer.Option("--dry-run", help="server or client: show the plan.")] = DryRun.NONE,
    force_conflicts: ForceConflicts = False,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="USERNAME",
            help="Go back from a rollout of this user, as kubectl auth whoami has it; the plan is shown even "
            "with --yes. By default only from your own.",
        ),
    ] = "",
    carrying: CarryingOptions,
    access: AccessOptions,
) -> None:
    """Go back to what your last rollout found, in an order that loses no request; once more, one further back.

    The values of Secrets are not kept: a Secret that was changed or deleted stays as it is, and is named.
    """
    from dataclasses import replace

    from safeapply.cli.session import rolled_back

    manner = replace(carrying.manner(access, dry_run), force_conflicts=force_conflicts)
    terminal = replace(carrying.terminal(manner), shows=bool(by))
    raise typer.Exit(rolled_back(manner, terminal, by))
