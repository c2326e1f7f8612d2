"""safeapply: ``kubectl apply`` for Istio meshes, without lost requests.

The library under the command: ``plan``, ``apply``, ``delete``, ``rollback``, ``check`` and ``wait``, and the same
in ``safeapply.aio`` for scripts that have an event loop. Errors are in ``safeapply.errors``, with an ``exit_code``;
what an ``Event`` may be, in ``safeapply.rollout.events``. Everything else is the tool's own business. Importing
does nothing but name things: they are loaded when they are first used (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safeapply import aio, errors
    from safeapply.aio import Manifests, Rollout
    from safeapply.blocking import apply, check, delete, plan, rollback, wait
    from safeapply.checks.findings import Finding
    from safeapply.errors import SafeApplyError
    from safeapply.plans.plan import Plan, Step
    from safeapply.rollout.events import Event

__all__ = [
    "Event",
    "Finding",
    "Manifests",
    "Plan",
    "Rollout",
    "SafeApplyError",
    "Step",
    "aio",
    "apply",
    "check",
    "delete",
    "errors",
    "plan",
    "rollback",
    "wait",
]

__version__ = "0.1.0"

_HOMES = {
    "Event": "safeapply.rollout.events",
    "Finding": "safeapply.checks.findings",
    "Manifests": "safeapply.aio",
    "Plan": "safeapply.plans.plan",
    "Rollout": "safeapply.aio",
    "SafeApplyError": "safeapply.errors",
    "Step": "safeapply.plans.plan",
    "apply": "safeapply.blocking",
    "check": "safeapply.blocking",
    "delete": "safeapply.blocking",
    "plan": "safeapply.blocking",
    "rollback": "safeapply.blocking",
    "wait": "safeapply.blocking",
}
_MODULES = frozenset({"aio", "errors"})


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f"safeapply.{name}")
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return what can be loaded, for completion; not only what was."""
    return __all__
