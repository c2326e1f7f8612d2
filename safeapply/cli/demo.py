"""``safeapply demo``: one change, by kubectl, by hand and by safeapply, on equal meshes of real Envoys."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import typer

from safeapply.cli.options import Output, OutputFormat
from safeapply.cli.sandbox import DEFAULT_DELAY, DEFAULT_LAG, Delay, Lag, Proxies, Seed

__all__ = ["demo"]


def demo(
    *,
    proxies: Proxies = 10,
    # Of the seeds 1 to 5 the one with the median of losses in kubectl's order (0 to 196, by `make bench`).
    seed: Seed = 2,
    lag: Lag = DEFAULT_LAG,
    delay: Delay = DEFAULT_DELAY,
    rps: Annotated[float, typer.Option("--rps", min=1, help="Requests per second, in all.")] = 1000.0,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Rename a subset under load in four ways, and count what each way loses."""
    from rich.console import Console

    from safeapply.sandbox.delays import Delays, Span
    from safeapply.sandbox.extra import require_extra

    require_extra()
    from safeapply.sandbox.demo import demo as run
    from safeapply.sandbox.demo import print_demo

    delays = Delays(lag=Span.parse(lag), push=Span.parse(delay))
    result = asyncio.run(
        run(
            proxies=proxies,
            seed=seed,
            delays=delays,
            rate=rps,
            tell=lambda words: typer.echo(words, err=True),
        )
    )
    if output is OutputFormat.JSON:
        typer.echo(json.dumps(result.to_document(), indent=2))
    else:
        print_demo(result, Console())
