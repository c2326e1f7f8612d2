"""What is wanted on the way back from a rollout: everything as it was found."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterable
from typing import Final

from safeapply.adapters.applier import FIELD_MANAGER
from safeapply.adapters.clock import SystemClock
from safeapply.adapters.ownership import ARGO_CD, CLIENT_SIDE_MANAGERS
from safeapply.commands.planning import Wanted
from safeapply.plans.found import Found
from safeapply.ports import Cluster
from safeapply.resources.objects import Namespace, Resource
from safeapply.rollout.history import History

__all__ = ["history_of", "holder", "own_managers", "way_back"]

OWN_MANAGERS: Final = frozenset({FIELD_MANAGER, *CLIENT_SIDE_MANAGERS})
"""As far as nobody has to be forced."""


def own_managers(*, force_conflicts: bool) -> frozenset[str]:
    """Return the managers whose fields a rollout writes, its own and those that it takes over."""
    return OWN_MANAGERS | ({ARGO_CD} if force_conflicts else frozenset())


def way_back(found: Iterable[Found], root_namespace: Namespace, soak: float) -> Wanted:
    """Return what is wanted: what was there as it was, and what was not there gone."""
    listed = tuple(found)
    manifests = tuple(Resource(one.id, one.document) for one in listed if one.document is not None)
    doomed = frozenset(one.id for one in listed if not one.there)
    return Wanted(manifests, lambda one: one.id in doomed, root_namespace, soak, doomed, checked=False)


def history_of(cluster: Cluster, namespace: Namespace, user: str = "") -> History:
    """Return the records of a user in a mesh; by default those of whoever runs this command.

    Args:
        cluster: where they are.
        namespace: of the Lease; the head of the records is beside it.
        user: as the API server calls whoever wrote them.
    """
    return History(cluster, SystemClock(), namespace, holder(), user)


def holder() -> str:
    """Return who runs this command, where, and in which process."""
    return f"{_user()}@{socket.gethostname()} (pid {os.getpid()})"


def _user() -> str:
    """Return who runs this process; in a container its user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
