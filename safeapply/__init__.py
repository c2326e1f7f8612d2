"""safeapply: ``kubectl apply`` for Istio meshes, without lost requests.

The library under the command: read manifests, ``plan``, look at the ``Plan``, and ``apply`` it through the ports of
``safeapply.ports``. Everything else is the tool's own business. Names are loaded when they are first used
(PEP 562), so that ``safeapply --help`` answers at once.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safeapply.errors import SafeApplyError
    from safeapply.plans.changes import Change, changes_between
    from safeapply.plans.plan import Plan, Step
    from safeapply.plans.planner import PlanOptions, plan
    from safeapply.rollout.executor import carry_out as apply

__all__ = [
    "Change",
    "Plan",
    "PlanOptions",
    "SafeApplyError",
    "Step",
    "apply",
    "changes_between",
    "plan",
]

__version__ = "0.1.0"

_HOMES = {
    "Change": "safeapply.plans.changes.Change",
    "Plan": "safeapply.plans.plan.Plan",
    "PlanOptions": "safeapply.plans.planner.PlanOptions",
    "SafeApplyError": "safeapply.errors.SafeApplyError",
    "Step": "safeapply.plans.plan.Step",
    "apply": "safeapply.rollout.executor.carry_out",
    "changes_between": "safeapply.plans.changes.changes_between",
    "plan": "safeapply.plans.planner.plan",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    module, _, attribute = _HOMES[name].rpartition(".")
    return getattr(import_module(module), attribute)
