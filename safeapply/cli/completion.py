"""``safeapply completion SHELL``: what a shell has to read so that TAB completes commands and options."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

__all__ = ["completion"]


class Shell(Enum):
    """A shell that can complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    context: typer.Context,
    shell: Annotated[Shell, typer.Argument(help="Which shell is to complete.")],
) -> None:
    """Print what makes a shell complete; in bash: source <(safeapply completion bash)."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    name = (context.find_root().info_name or "safeapply").rpartition("/")[2]
    variable = f"_{name}_COMPLETE".replace("-", "_").upper()
    typer.echo(get_completion_script(prog_name=name, complete_var=variable, shell=shell.value))
