"""The command line: the one place that wires ports to adapters.

Commands import what they need when they run, so that ``safeapply --help`` answers at once.
"""

from __future__ import annotations

import sys

import typer

from safeapply.errors import SafeApplyError

__all__ = ["main"]

INTERRUPTED = 130


def main() -> None:
    """Run ``safeapply``; every error is a sentence and an exit code, never a traceback."""
    try:
        _app()()
    except SafeApplyError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _app() -> typer.Typer:
    from safeapply.cli.apply import apply, delete
    from safeapply.cli.demo import demo
    from safeapply.cli.plan import plan
    from safeapply.cli.sandbox import app as sandbox
    from safeapply.cli.status import status
    from safeapply.cli.wait import wait

    app = typer.Typer(
        name="safeapply",
        help="kubectl apply for Istio meshes, without lost requests.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command()(apply)
    app.command()(plan)
    app.command()(delete)
    app.command()(wait)
    app.command()(status)
    app.command()(demo)
    app.add_typer(sandbox, name="sandbox")
    app.command()(version)
    return app


def version() -> None:
    """Print the version."""
    from safeapply import __version__

    typer.echo(f"safeapply {__version__}")
