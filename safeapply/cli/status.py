"""``safeapply status``: the proxies of a mesh, and what istiod says of each."""

from __future__ import annotations

from typing import Annotated

import typer

from safeapply.cli.access import AccessOptions
from safeapply.cli.bundles import bundled
from safeapply.cli.options import IstioNamespace, Output, OutputFormat

__all__ = ["status"]


@bundled
def status(
    *,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Only the proxies of this namespace; by default of all.")
    ] = None,
    output: Output = OutputFormat.TEXT,
    istio_namespace: IstioNamespace = "istio-system",
    access: AccessOptions,
) -> None:
    """Show every proxy: role, version, revision, node, readiness, and what istiod says of it."""
    from safeapply.adapters.multicluster import all_connected
    from safeapply.cli.supervision import run_to_end
    from safeapply.istio.replicas import Census
    from safeapply.report.roll import roll_json, roll_notes, roll_text
    from safeapply.resources.objects import Namespace
    from safeapply.rollout.census import take_census

    root, only = Namespace(istio_namespace), Namespace(namespace) if namespace else None

    async def look() -> Census:
        async with all_connected(access.value) as connections:
            pages = connections.istiods()
            try:
                return await take_census(connections.cluster(), pages, root)
            finally:
                await pages.close()

    census = run_to_end(look())
    text = roll_json(census, only) if output is OutputFormat.JSON else roll_text(census, only)
    if text:
        typer.echo(text.rstrip("\n"))
    for note in roll_notes(census, only, root):
        typer.echo(note, err=True)
