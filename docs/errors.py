"""Makes the page of all errors and their next steps of the classes themselves; ``docs.captures`` writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from safeapply.errors import SafeApplyError

HEAD = """\
# Errors, and what to do next

An error stands on standard error after `error:`. However a rollout ends, the mesh is in a safe state, and the same
command goes on from there. From Python errors are the classes of `safeapply.errors`.

| exit code | error | what it is | next step |
|---|---|---|---|
"""
REFUSED = """
## Why a plan is refused

Nothing was written. Each refusal shows the request that would fail, and what to do; `plan -o json` has its code.
Errors at rest that a change would add are refused first, by the codes of [findings](findings.md).

| code | what it is | next step |
|---|---|---|
"""
REFUSALS: Final[dict[str, tuple[str, str]]] = {
    "dangling-reference": (
        "A route would name a subset or host that will not exist: IST0101 of `check`, found by the planner itself",
        "Add what is named, or correct the name",
    ),
    "in-use": (
        "What stays still needs what would go",
        "Change or delete what needs it first or in the same run, or keep it",
    ),
    "missing-delegate": (
        "A rule would hand over to a VirtualService that will not exist: SA0103 of `check`",
        "Keep or add the delegate, or take the rule out",
    ),
    "tls-conflict": (
        "Clients would send what servers do not accept, or the other way round: IST0113 of `check`",
        "Let the PeerAuthentication be PERMISSIVE, or the DestinationRule say what the server accepts",
    ),
    "mesh-config": (
        "The files change Istio's own settings, or what istiod reads, for many objects of the mesh at once",
        "Let the objects say it for themselves, apply them, and change the settings with kubectl after",
    ),
    "no-safe-order": (
        "In every order that was searched some request fails in between; it is shown",
        "Do what the refusal says; mostly: add what is new, then move the routes, then remove the rest",
    ),
    "cycle": (
        "Writes wait for each other in a circle, which is shown",
        "Give the new version a name of its own, apply it beside the old one, and delete the old one after",
    ),
    "foreign-owner": (
        "Another controller (Argo Rollouts, Flagger, Knative) writes the object",
        "Say it to that controller, and take the object out of the files",
    ),
    "applyset": (
        "The set of `--prune` is another tool's, or an object is in two of them",
        "Hand it over, or take the object out of one, as the refusal says",
    ),
}


def page() -> str:
    """Return the page."""
    refusals = (f"| `{code}` | {what} | {step} |\n" for code, (what, step) in REFUSALS.items())
    return HEAD + "".join(_row(one) for one in kinds()) + REFUSED + "".join(refusals)


def kinds() -> tuple[type[SafeApplyError], ...]:
    """Return every error that the page has a row for, by exit code."""
    return tuple(sorted(_tree(SafeApplyError), key=lambda kind: (kind.exit_code, kind.__name__)))


def _tree(root: type[SafeApplyError]) -> Iterator[type[SafeApplyError]]:
    for one in root.__subclasses__():
        if one.__module__ == root.__module__:
            yield one
            yield from _tree(one)


def _row(kind: type[SafeApplyError]) -> str:
    told = re.sub(r"\s+", " ", (kind.__doc__ or "").split("\n\n")[0]).rstrip(".").replace("|", r"\|")
    return f"| {_code(kind)} | `{kind.__name__}` | {told} | {kind.next_step} |\n"


def _code(kind: type[SafeApplyError]) -> str:
    return "that of its cause" if kind.__name__ == "RolledBackError" else str(kind.exit_code)
