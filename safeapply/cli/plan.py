"""``safeapply plan``: show what apply would do, and why, without doing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, assert_never

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
    Phases,
    PlanFormat,
    PlanOutput,
    Prune,
    Recursive,
    SaveTo,
    Selector,
    SkipChecks,
    Soak,
)

if TYPE_CHECKING:
    from safeapply.commands.planning import Planned

__all__ = ["plan", "show"]

CHANGES_PENDING = 2
"""``--detailed-exitcode`` as Terraform has it: 0 nothing to do, 1 error, 2 changes."""
REFUSED = 4
ROOT = "istio-system"
SKIP = ("--skip-checks",)


@bundled
def plan(  # noqa: PLR0913  one parameter for each option
    *,
    filename: Filenames = None,
    kustomize: Kustomize = None,
    recursive: Recursive = False,
    namespace: NamespaceName = None,
    live: Live = None,
    output: PlanOutput = PlanFormat.TEXT,
    prune: Prune = False,
    applyset: ApplySetName = None,
    selector: Selector = None,
    soak: Soak = "1s",
    istio_namespace: IstioNamespace = ROOT,
    out: SaveTo = None,
    skip_checks: SkipChecks = False,
    phase: Phases = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say for each step what would fail if it did not wait.")
    ] = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 2 where there are changes, 0 where there are none.")
    ] = False,
    access: AccessOptions,
) -> None:
    """Show the steps from live to desired, what each waits for and why; write nothing."""
    import shlex
    from dataclasses import replace

    from safeapply.cli.durations import seconds_of
    from safeapply.commands.inputs import Files, Pruning, phases_of
    from safeapply.commands.planning import Wanted, plan_offline
    from safeapply.errors import UsageError
    from safeapply.resources.objects import Namespace

    phases = phases_of(phase)
    if out is not None and (live is not None or explain or phases):
        raise UsageError(
            "--out saves a whole plan for a cluster; it goes neither with --live nor with --explain nor --phase"
        )
    if out is not None:
        from safeapply.cli.saved import check_target

        check_target(out)
    files, seconds = (
        Files(filename, recursive, namespace, kustomize=kustomize).loaded(),
        seconds_of(soak, option="--soak"),
    )
    asked: list[Wanted] = []

    pruning = Pruning(prune, selector, applyset)

    def wants(default: Namespace) -> Wanted:
        wanted = Wanted.applied(files, default, pruning=pruning, root=istio_namespace, soak=seconds)
        wanted = replace(wanted, checked=not skip_checks)
        asked.append(wanted)
        return replace(wanted, explain=explain, phases=phases)

    if live is not None:
        default = Namespace(namespace or "default")
        made = plan_offline(wants(default), live, recursive=recursive, default=default)
    else:
        from safeapply.cli.supervision import run_to_end
        from safeapply.commands.online import plan_online

        made = run_to_end(plan_online(wants, access.value))
    show(made, output)
    if out is not None and not made.plan.refusals:
        from safeapply.cli.saved import Request, save

        digest = save(out, Request.of(pruning, namespace or "", istio_namespace, seconds), asked[0], made)
        # What is not in the file has to be said again: where Istio is, and what is not checked.
        also = (*(("-i", istio_namespace) if istio_namespace != ROOT else ()), *(SKIP if skip_checks else ()))
        command = shlex.join(("safeapply", "apply", str(out), "--digest", digest, *also))
        typer.echo(f"saved; carry it out with: {command}", err=True)
    if made.plan.refusals:
        raise typer.Exit(REFUSED)
    if detailed_exitcode and made.plan.steps:
        raise typer.Exit(CHANGES_PENDING)


def show(made: Planned, output: PlanFormat) -> None:
    """Print a plan to standard output."""
    if text := _printed(made, output).rstrip("\n"):
        typer.echo(text)


def _printed(made: Planned, output: PlanFormat) -> str:
    import os
    import sys

    from safeapply.adapters.dressing import columns, dresser
    from safeapply.report.outcome import would_be
    from safeapply.report.plan_json import plan_json
    from safeapply.report.plan_text import WIDTH, plan_text
    from safeapply.report.results import name_lines

    match output:
        case PlanFormat.TEXT:
            style, width = dresser(sys.stdout, os.environ), columns(sys.stdout) or WIDTH
            return plan_text(made.plan, live=made.live, desired=made.desired, style=style, width=width)
        case PlanFormat.JSON:
            return plan_json(made.plan)
        case PlanFormat.NAME:
            return "\n".join(name_lines(would_be(made.plan, "deleted")))
        case PlanFormat.MERMAID:
            from safeapply.report.plan_mermaid import plan_mermaid

            return plan_mermaid(made.plan)
        case PlanFormat.HTML:
            from safeapply.report.plan_page import plan_page

            return plan_page(made.plan, live=made.live, desired=made.desired)
        case _:
            assert_never(output)
