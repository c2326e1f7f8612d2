"""Options that go together, declared once: a command takes a dataclass of them as one parameter."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, cast

__all__ = ["bundled"]

Command = TypeVar("Command", bound=Callable[..., None])


def bundled(command: Command) -> Command:
    """Give a command an option for each field of each of its parameters that is a dataclass.

    Typer reads ``__signature__``: there each such parameter gives way to its fields, with their annotations and
    defaults; when the command runs, the values are put together again.
    """
    parameters = inspect.signature(command, eval_str=True).parameters
    bundles: dict[str, Any] = {
        name: one.annotation for name, one in parameters.items() if is_dataclass(one.annotation)
    }

    @functools.wraps(command)
    def run(*args: Any, **given: Any) -> None:  # noqa: ANN401  the values of any options
        made = {
            name: bundle(**{field.name: given.pop(field.name) for field in fields(bundle)})
            for name, bundle in bundles.items()
        }
        command(*args, **given, **made)

    spread = [part for name, one in parameters.items() for part in _parts(one, bundles.get(name))]
    vars(run)["__signature__"] = inspect.Signature(spread)
    return cast("Command", run)


def _parts(parameter: inspect.Parameter, bundle: Any) -> list[inspect.Parameter]:  # noqa: ANN401  a class
    if bundle is None:
        return [parameter]
    declared = inspect.signature(bundle, eval_str=True).parameters.values()
    return [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in declared]
