"""The command line: words in, ``safeapply.commands`` carries them out, and what is printed.

Commands import what they need when they run, so that ``safeapply --help`` answers at once.
"""

from __future__ import annotations

import gc
import os
import sys

import typer

from safeapply.cli.endings import EndedBySignal, end_in_order, secure_streams
from safeapply.errors import SafeApplyError

__all__ = ["main"]

INTERRUPTED = 130
GARBAGE = 200_000
"""How many new containers there have to be before the collector looks at them; Python's own figure is 700."""


def main() -> None:
    """Run ``safeapply``; every error is a sentence and an exit code, never a traceback."""
    # A mesh of 20,000 objects makes millions of values that live as long as the command: a quarter of the time of a
    # large plan went into looking for garbage among them.
    gc.set_threshold(GARBAGE)
    if os.path.expanduser("~") == "~":  # noqa: PTH111  Path raises instead
        # A user without home and name, as in many containers: the Kubernetes client cannot even be imported.
        os.environ["HOME"] = "/"
    secure_streams()
    sys.exit(_exit_code())


def _exit_code() -> int:
    """Run the command that the arguments name, and return how it ended."""
    try:
        end_in_order()
        code = _called_app()
        sys.stdout.flush()
    except SafeApplyError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except EndedBySignal as ended:
        return ended.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        sys.stderr.write(f"error: {_told(error)}\n")
        return SafeApplyError.exit_code
    return code


def _called_app() -> int:
    try:
        _app()(prog_name=_called())
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else SafeApplyError.exit_code if end.code else 0
    return 0


def _told(error: OSError) -> str:
    """Return a fault of the machine as a sentence: what no part of the program has seen coming is output."""
    what = error.filename or "standard output"
    return f"{what}: {error.strerror or error}; what was printed so far is not all of it"


def _called() -> str:
    """Return how the command was called: as a plugin of kubectl, or by its own name."""
    name = os.path.basename(sys.argv[0])  # noqa: PTH119  no path is meant
    return "kubectl safeapply" if name.startswith("kubectl-") else "safeapply"


def _app() -> typer.Typer:
    from safeapply.cli.apply import apply, delete
    from safeapply.cli.check import check
    from safeapply.cli.completion import completion
    from safeapply.cli.demo import demo
    from safeapply.cli.diff import diff
    from safeapply.cli.plan import plan
    from safeapply.cli.rbac import rbac
    from safeapply.cli.rollback import rollback
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
    app.command()(diff)
    app.command()(check)
    app.command()(delete)
    app.command()(rollback)
    app.command()(wait)
    app.command()(status)
    app.command()(rbac)
    app.command()(demo)
    app.add_typer(sandbox, name="sandbox")
    app.command()(completion)
    app.command()(version)
    return app


def version() -> None:
    """Print the version."""
    from safeapply import __version__

    typer.echo(f"safeapply {__version__}")
