"""Makes the page of the library's functions of their own docstrings and types; ``docs.captures`` writes it."""

from __future__ import annotations

import ast
import inspect
import textwrap
import typing
from collections.abc import Iterator
from itertools import pairwise

import safeapply
from safeapply import aio
from safeapply.aio.options import Connecting, Reaching, Recording, Rolling
from safeapply.checks.findings import Finding
from safeapply.plans.plan import Caution, Operation, Plan, Refusal, Step
from safeapply.rollout.events import Event

HEAD = """\
# The library

```python
import safeapply

rollout = safeapply.apply("deploy/", on_timeout="rollback")
print(f"{len(rollout.written)} writes in {rollout.seconds:.1f} s")
```

Every function is there twice: in `safeapply` it blocks, in `safeapply.aio` it is awaited. All times are in seconds.
Manifests are a path, or YAML text (a string with a line break), or an object as a dict, or any number of these.
Importing sets nothing up, and nothing is printed or asked: who calls `apply` agrees to every plan that is safe.

Errors are in `safeapply.errors` ([all of them](errors.md)), each a `SafeApplyError`: `str(error)` is what the
command would say, and `error.exit_code` how it would end. A task that is cancelled, and a blocking function at
Ctrl-C, stops before its next write; the same call made again goes on from there.

This page is made of the docstrings by `python -m docs.captures`.
"""


def page() -> str:
    """Return the page."""
    functions = [name for name in aio.__all__ if inspect.isfunction(getattr(aio, name))]
    told = (line for name in functions for line in _function(name))
    return "\n".join((HEAD, *told, *_options(), *_values()))


def _function(name: str) -> Iterator[str]:
    function = getattr(aio, name)
    home = "safeapply.aio" if not hasattr(safeapply, name) else "safeapply"
    yield f"## `{home}.{name}`\n"
    yield f"```python\n{name}{_signature(function)}\n```\n"
    yield f"{_told(function)}\n"


def _signature(function: typing.Any) -> str:  # noqa: ANN401  any function
    signature = inspect.signature(function)
    inner = "".join(f"\n    {one}," for one in _parameters(signature))
    return f"({inner}\n) -> {signature.return_annotation}"


def _parameters(signature: inspect.Signature) -> Iterator[str]:
    starred = False
    for one in signature.parameters.values():
        if one.kind is one.KEYWORD_ONLY and not starred:
            yield "*"
        starred = starred or one.kind in {one.KEYWORD_ONLY, one.VAR_POSITIONAL}
        star = "*" if one.kind is one.VAR_POSITIONAL else "**" if one.kind is one.VAR_KEYWORD else ""
        default = "" if one.default is one.empty else f" = {one.default!r}"
        yield f"{star}{one.name}: {one.annotation}{default}"


def _told(thing: object) -> str:
    """Return a docstring as Markdown: its sections in bold, what they list as a list."""
    lines = []
    section = False
    for line in (inspect.getdoc(thing) or "").splitlines():
        if line in {"Args:", "Returns:", "Raises:"}:
            section = True
            lines.append(f"**{line}**\n")
        elif section and line.startswith("    ") and not line.startswith("     ") and ": " in line:
            name, _, rest = line.strip().partition(": ")
            lines.append(f"- `{name}`: {rest}" if " " not in name else line.strip())
        else:
            lines.append(line.strip())
    return "\n".join(lines)


def _options() -> Iterator[str]:
    """Tell of the options that several functions share."""
    yield "## Options\n"
    yield "What a function takes as `**options`. Each of these sets holds those before it.\n"
    known: set[str] = set()
    for kind in (Connecting, Reaching, Rolling, Recording):
        own = {key: text for key, text in kind.__annotations__.items() if key not in known}
        known |= own.keys()
        yield f"### `{kind.__name__}`\n"
        lines = "".join(f"{key}: {_type(text)}\n" for key, text in own.items())
        yield f"```python\n{lines}```\n"
        yield f"{_told(kind)}\n"


def _type(annotation: typing.Any) -> str:  # noqa: ANN401  what a TypedDict holds
    text = annotation.__forward_arg__ if isinstance(annotation, typing.ForwardRef) else str(annotation)
    # As the formatter has it, which reads this page, too.
    return text.replace("'", '"')


def _values() -> Iterator[str]:
    """Tell of what the functions give."""
    yield "## Values\n"
    yield "What functions return and events carry: frozen dataclasses.\n"
    for home, kind in VALUES:
        yield from _value(f"{home}.{kind.__name__}", kind)
    yield "## Events\n"
    yield "An `Event` is one of these, all in `safeapply.rollout.events`; `at` is in seconds on one clock.\n"
    for kind in typing.get_args(Event):
        yield from _value(kind.__name__, kind)


def _value(name: str, kind: type) -> Iterator[str]:
    yield f"### `{name}`\n"
    yield f"{_told(kind)}\n"
    yield from (f"- `{one}`{f': {told}' if told else ''}" for one, told in _members(kind))
    yield ""


def _members(kind: type) -> Iterator[tuple[str, str]]:
    """Yield the fields of a dataclass with their types, its properties, and what is said of each."""
    (tree,) = (
        one for one in ast.parse(textwrap.dedent(inspect.getsource(kind))).body if isinstance(one, ast.ClassDef)
    )
    for node, following in pairwise([*tree.body, ast.Pass()]):
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=form):
                yield f"{name}: {ast.unparse(form)}", _string(following)
            case ast.FunctionDef(name=name, returns=ast.expr() as form):
                if isinstance(member := getattr(kind, name), property):
                    yield f"{name}: {ast.unparse(form)}", inspect.getdoc(member) or ""
            case _:
                pass


def _string(node: ast.stmt) -> str:
    """Return what is said below a field, in one line; nothing where another statement follows."""
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return " ".join(text.split())
        case _:
            return ""


VALUES = (
    ("safeapply", aio.Rollout),
    ("safeapply", Plan),
    ("safeapply", Step),
    ("safeapply.plans.plan", Operation),
    ("safeapply.plans.plan", Refusal),
    ("safeapply.plans.plan", Caution),
    ("safeapply", Finding),
)
