"""``safeapply check``: what is wrong with a mesh at rest, in files, in a cluster, or in files over either."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from safeapply.cli.access import AccessOptions
from safeapply.cli.bundles import bundled
from safeapply.cli.options import Filenames, IstioNamespace, Kustomize, Recursive

if TYPE_CHECKING:
    from safeapply.checks.findings import Severity
    from safeapply.commands.checking import Looked

__all__ = ["check"]

FOUND = 4
"""The exit code of ``apply`` where a check fails, too."""


class Form(Enum):
    """How findings are written to standard output."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"


class FailOn(Enum):
    """The least bad finding that makes the command exit 4."""

    ERROR = "error"
    WARNING = "warning"


@bundled
def check(  # noqa: PLR0913  one parameter for each option
    *,
    filename: Filenames = None,
    kustomize: Kustomize = None,
    recursive: Recursive = False,
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace", "-n", help="Namespace of objects that do not name one; without -f, look there only."
        ),
    ] = None,
    live: Annotated[
        str | None,
        typer.Option(
            "--live",
            metavar="DIR|cluster",
            help="What the files of -f are to be applied to; without -f, what is checked. By default the files are "
            "checked alone, and the cluster where there are none.",
        ),
    ] = None,
    output: Annotated[Form, typer.Option("--output", "-o", help="Form of the result.")] = Form.TEXT,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="Exit 4 where there is anything as bad as this.")
    ] = FailOn.ERROR,
    tls: Annotated[
        bool,
        typer.Option("--tls", help="Show for each port what clients send and servers accept, and nothing else."),
    ] = False,
    istio_namespace: IstioNamespace = "istio-system",
    access: AccessOptions,
) -> None:
    """Find requests that fail and rules that do nothing, in files or in a cluster; write nothing."""
    from safeapply.checks.findings import Severity
    from safeapply.cli.supervision import run_to_end
    from safeapply.commands.checking import CLUSTER, check_cluster, check_files
    from safeapply.commands.inputs import Files
    from safeapply.errors import UsageError
    from safeapply.resources.objects import Namespace

    if tls and output in {Form.SARIF, Form.JUNIT}:
        raise UsageError(
            f"--tls shows a table, not findings; it goes with -o text and -o json, not with {output.value}"
        )
    files = Files(filename, recursive, namespace, kustomize=kustomize).loaded()
    root = Namespace(istio_namespace)
    online = live == CLUSTER or (live is None and not files.named)
    looked = run_to_end(check_cluster(files, root, access.value)) if online else check_files(files, live, root)
    if tls:
        _show_tls(looked, output)
        return
    failing = {one for one in Severity if one.rank <= Severity(fail_on.value).rank}
    typer.echo(_written(looked, output, failing).rstrip("\n"))
    if any(one.severity in failing for one in looked.checked.findings):
        raise typer.Exit(FOUND)


def _show_tls(looked: Looked, output: Form) -> None:
    from safeapply.checks.mutual_tls import Status
    from safeapply.report.encounters import encounters_json, encounters_text

    found = looked.encounters()
    text = encounters_json(found) if output is Form.JSON else encounters_text(found)
    typer.echo(text.rstrip("\n") or "No host with known pods.")
    if any(one.status is not Status.OK for one in found):
        raise typer.Exit(FOUND)


def _written(looked: Looked, output: Form, failing: set[Severity]) -> str:
    import os
    import sys

    from safeapply import __version__
    from safeapply.adapters.dressing import columns, dresser
    from safeapply.report.findings import assumptions, findings_json, findings_text
    from safeapply.report.junit import findings_junit
    from safeapply.report.plan_text import WIDTH
    from safeapply.report.sarif import findings_sarif

    findings = looked.checked.findings
    match output:
        case Form.JSON:
            return findings_json(looked.checked)
        case Form.SARIF:
            return findings_sarif(findings, version=__version__)
        case Form.JUNIT:
            return findings_junit(findings, looked.objects, failing)
        case Form.TEXT:
            note = assumptions(looked.checked)
            if note:
                typer.echo(note, err=True)
            return findings_text(
                findings, style=dresser(sys.stdout, os.environ), width=columns(sys.stdout) or WIDTH
            )
