"""The library for scripts that have an event loop: what ``safeapply`` has by the same names, to be awaited.

Cancelling a task stops a rollout before its next write: writes that have begun come to their end, the Lease is
given back, and the same call made again goes on from there. Nothing is printed, and nothing is asked.
"""

from __future__ import annotations

from safeapply.aio.looks import check, plan, wait
from safeapply.aio.rollouts import Rollout, apply, delete, rollback
from safeapply.aio.streams import events
from safeapply.commands.given import Manifests

__all__ = ["Manifests", "Rollout", "apply", "check", "delete", "events", "plan", "rollback", "wait"]
