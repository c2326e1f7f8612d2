"""A plan against a cluster, before a terminal."""

from __future__ import annotations

from safeapply.adapters.access import ClusterAccess
from safeapply.cli.supervision import run_to_end
from safeapply.commands.online import Wants, plan_online
from safeapply.commands.planning import Planned

__all__ = ["planned_online"]


def planned_online(wants: Wants, access: ClusterAccess) -> Planned:
    """Plan against a cluster and write nothing."""
    return run_to_end(plan_online(wants, access))
