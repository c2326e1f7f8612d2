"""``safeapply sandbox``: a mesh on this machine, in the background or for the length of one command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from safeapply.adapters.textfiles import check_writable, replace_text
from safeapply.errors import UsageError

__all__ = ["app"]

app = typer.Typer(help="A whole Istio mesh on this machine, with real Envoys and no cluster.", no_args_is_help=True)

DEFAULT_LAG = "0-1s"
DEFAULT_DELAY = "0-2s"


class Format(Enum):
    """How to print."""

    JSON = "json"


Name: TypeAlias = Annotated[str, typer.Option("--name", help="Which sandbox, where there are several.")]
Live: TypeAlias = Annotated[
    list[Path] | None, typer.Option("--live", metavar="DIR", help="Manifests that are live from the start.")
]
Proxies: TypeAlias = Annotated[int, typer.Option("--proxies", min=1, help="How many Envoys.")]
Seed: TypeAlias = Annotated[int, typer.Option("--seed", help="What the delays are drawn from.")]
Lag: TypeAlias = Annotated[
    str, typer.Option("--lag", metavar="SPAN", help="Informer lag for each replica and kind of object.")
]
Delay: TypeAlias = Annotated[str, typer.Option("--delay", metavar="SPAN", help="Push delay for each proxy.")]
Remotes: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--remote",
        metavar="NAME",
        help="A further cluster of the mesh, with as many Envoys and a context of this name; repeatable.",
    ),
]
MutualTls: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--mtls",
        help="Give every pod a sidecar with a certificate, so that PeerAuthentications and tls settings count.",
    ),
]


@app.callback()
def sandbox() -> None:
    """A whole Istio mesh on this machine, with real Envoys and no cluster."""
    from safeapply.sandbox.extra import require_extra

    require_extra()


@app.command()
def up(  # noqa: PLR0913  one parameter for each option
    *,
    name: Name = "default",
    live: Live = None,
    proxies: Proxies = 10,
    seed: Seed = 1,
    lag: Lag = DEFAULT_LAG,
    delay: Delay = DEFAULT_DELAY,
    remote: Remotes = None,
    mtls: MutualTls = False,
) -> None:
    """Start a mesh in the background and print how to reach it.

    Standard output is one line for the shell: eval "$(safeapply sandbox up)"
    """
    from safeapply.sandbox import background
    from safeapply.sandbox.delays import Span

    spans = {"lag": str(Span.parse(lag)), "push": str(Span.parse(delay))}
    options = {"proxies": proxies, "seed": seed, "remotes": list(remote or ()), "mutual_tls": mtls, **spans}
    state = background.up(name, live=live or (), options=options)
    typer.echo(f"sandbox {name}: {state.proxies} Envoys serve; the API server is {state.server}", err=True)
    typer.echo(f"kubeconfig: {state.kubeconfig}", err=True)
    typer.echo(f"stop it with: {background.down_command(name)}", err=True)
    typer.echo(f"export KUBECONFIG={state.kubeconfig}")


@app.command()
def down(*, name: Name = "default") -> None:
    """Stop a mesh in the background; nothing of it is left."""
    from safeapply.sandbox import background

    if background.down(name):
        typer.echo(f"sandbox {name} is stopped")
    else:
        typer.echo(f"sandbox {name} does not run", err=True)


@app.command()
def status(
    *, name: Name = "default", output: Annotated[Format | None, typer.Option("-o", "--output")] = None
) -> None:
    """Show whether a mesh runs in the background; exits 1 where none does."""
    from safeapply.sandbox.states import directory_of, read_state

    state = read_state(directory_of(name))
    if output is Format.JSON:
        typer.echo(json.dumps({"running": state is not None, **(asdict(state) if state else {"name": name})}))
    elif state is None:
        typer.echo(f"sandbox {name} does not run")
    else:
        width = max(map(len, asdict(state)))
        for key, value in asdict(state).items():
            typer.echo(f"{key:{width}}  {value}")
    if state is None:
        raise typer.Exit(1)


@app.command(context_settings={"allow_interspersed_args": False, "ignore_unknown_options": False})
def run(  # noqa: PLR0913  one parameter for each option
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND...", help="What to run, with KUBECONFIG set.")
    ],
    *,
    live: Live = None,
    desired: Annotated[
        list[Path] | None,
        typer.Option(
            "--desired", metavar="DIR", help="The final configuration; by default what COMMAND reads by -f."
        ),
    ] = None,
    proxies: Proxies = 10,
    seed: Seed = 1,
    lag: Lag = DEFAULT_LAG,
    delay: Delay = DEFAULT_DELAY,
    remote: Remotes = None,
    mtls: MutualTls = False,
    rps: Annotated[float, typer.Option("--rps", min=1, help="Requests per second, in all.")] = 1000,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write the report there too.")
    ] = None,
) -> None:
    """Run COMMAND on a fresh mesh while requests flow through every Envoy, and count those that fail.

    The last line of standard output is the report, as JSON. The exit code is COMMAND's.
    """
    from safeapply.sandbox.delays import Delays, Span
    from safeapply.sandbox.foreground import require_command
    from safeapply.sandbox.interrupts import InterruptedBySignal, run_until_signalled
    from safeapply.sandbox.loading import files_of_command, read_documents

    require_command(command)
    if report is not None:
        _check(report)
    delays = Delays(lag=Span.parse(lag), push=Span.parse(delay))
    wanted = read_documents(desired if desired is not None else files_of_command(command))
    present = read_documents(live or ())

    from safeapply.sandbox.mesh import Scene
    from safeapply.sandbox.run import run_under_load

    scene = Scene(
        live=present,
        desired=wanted,
        proxies=proxies,
        seed=seed,
        delays=delays,
        remotes=tuple(remote or ()),
        mutual_tls=mtls,
    )
    _announce(proxies, seed, delays.lag, delays.push)
    try:
        result = run_until_signalled(run_under_load(command, scene=scene, rate=rps))
    except InterruptedBySignal as interrupt:
        raise typer.Exit(interrupt.exit_code) from None
    document = result.to_document()
    _summarise(document)
    typer.echo(json.dumps(document))
    if report is not None:
        try:
            replace_text(report, json.dumps(document, indent=2) + "\n")
        except OSError as error:
            typer.echo(f"warning: --report {report}: {error.strerror}; the result stands above", err=True)
    raise typer.Exit(result.exit_code)


def _announce(proxies: int, seed: int, lag: object, delay: object) -> None:
    """Say what the delays are, so that nobody need believe a figure without them."""
    typer.echo(
        f"mesh: {proxies} Envoys, 2 istiod replicas; informer lag {lag} per replica and kind, "
        f"debounce 0.1 s, push delay {delay} per proxy; seed {seed}",
        err=True,
    )


def _summarise(document: Mapping[str, object]) -> None:
    flags = document["byFlag"]
    said = ", ".join(f"{count} {flag}" for flag, count in flags.items()) if isinstance(flags, Mapping) else ""
    typer.echo(
        f"{document['failed']} of {document['requests']} requests failed"
        + (f" ({said})" if said else "")
        + f"; the command took {document['seconds']} s and exited with {document['exitCode']}",
        err=True,
    )


def _check(path: Path) -> None:
    """Look at the report's path before a mesh is started for it.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        check_writable(path)
    except OSError as error:
        raise UsageError(f"--report {path}: {error.strerror}; name a file that can be written") from error
