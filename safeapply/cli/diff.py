"""``safeapply diff``: what apply would change, as ``kubectl diff --server-side`` shows it; or step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from safeapply.cli.access import AccessOptions
from safeapply.cli.bundles import bundled
from safeapply.cli.options import (
    ApplySetName,
    Filenames,
    IstioNamespace,
    Kustomize,
    Live,
    NamespaceName,
    Prune,
    Recursive,
    Selector,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from safeapply.commands.online import Wants
    from safeapply.commands.planning import Planned, Wanted
    from safeapply.plans.becoming import Versions
    from safeapply.resources.objects import Namespace

__all__ = ["diff"]

DIFFERENT = 1
FAILED = 2
"""Kubectl's scripts take 1 for a difference, so that no error may end with it."""
REFUSED = 4


@bundled
def diff(  # noqa: PLR0913  one parameter for each option
    *,
    filename: Filenames = None,
    kustomize: Kustomize = None,
    recursive: Recursive = False,
    namespace: NamespaceName = None,
    live: Live = None,
    prune: Prune = False,
    applyset: ApplySetName = None,
    selector: Selector = None,
    istio_namespace: IstioNamespace = "istio-system",
    steps: Annotated[bool, typer.Option("--steps", help="Show what each step of the plan changes.")] = False,
    show_managed_fields: Annotated[
        bool, typer.Option("--show-managed-fields", help="Also show who owns which field.")
    ] = False,
    access: AccessOptions,
) -> None:
    """Show what apply would change, field by field; write nothing.

    Exit code 0 where nothing differs, 1 where something does, more than 1 on an error. KUBECTL_EXTERNAL_DIFF names
    another program than diff -u -N.
    """
    from safeapply.commands.inputs import Files, Pruning
    from safeapply.commands.planning import Wanted
    from safeapply.errors import SafeApplyError

    files, pruning = (
        Files(filename, recursive, namespace, kustomize=kustomize).loaded(),
        Pruning(prune, selector, applyset),
    )

    def wants(default: Namespace) -> Wanted:
        return Wanted.applied(files, default, pruning=pruning, root=istio_namespace, soak=0.0, checked=False)

    try:
        made = _planned(wants, namespace, live, recursive=recursive, access=access)
        differs = _steps(made, show_managed_fields) if steps else _all(made, show_managed_fields)
    except SafeApplyError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(max(error.exit_code, FAILED)) from error
    if differs:
        raise typer.Exit(DIFFERENT)


def _planned(
    wants: Wants,
    namespace: str | None,
    live: str | None,
    *,
    recursive: bool,
    access: AccessOptions,
) -> Planned:
    from safeapply.commands.planning import plan_offline
    from safeapply.resources.objects import Namespace

    if live is None:
        from safeapply.cli.supervision import run_to_end
        from safeapply.commands.online import plan_online

        return run_to_end(plan_online(wants, access.value))
    default = Namespace(namespace or "default")
    return plan_offline(wants(default), live, recursive=recursive, default=default)


def _all(made: Planned, managed_fields: bool) -> bool:  # noqa: FBT001  passed on
    from safeapply.plans.becoming import versions_of

    return _shown(versions_of(made.changes, made.live), managed_fields=managed_fields)


def _steps(made: Planned, managed_fields: bool) -> bool:  # noqa: FBT001  passed on
    from safeapply.cli.telling import show
    from safeapply.plans.becoming import versions_by_step

    if made.plan.refusals:
        show(made)
        raise typer.Exit(REFUSED)
    found = versions_by_step(made.plan, made.live, made.desired)
    for number, (step, versions) in enumerate(zip(made.plan.steps, found, strict=True), start=1):
        typer.echo(f"Step {number} of {len(found)}: {step.phase.value}")
        _shown(versions, managed_fields=managed_fields)
    return bool(found)


def _shown(versions: Iterable[Versions], *, managed_fields: bool) -> bool:
    import os
    import sys

    from safeapply.adapters.differ import show_differences
    from safeapply.report.diffs import side_by_side

    before, after = side_by_side(versions, managed_fields=managed_fields)
    sys.stdout.flush()
    return show_differences(before, after, os.environ)
