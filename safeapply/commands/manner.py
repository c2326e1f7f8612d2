"""How a rollout is carried out, and who is told and asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from safeapply.adapters.access import ClusterAccess
from safeapply.commands.choices import DryRun, OnTimeout
from safeapply.commands.planning import Planned
from safeapply.commands.reach import Reach
from safeapply.resources.objects import Namespace
from safeapply.rollout.events import Event

__all__ = ["Manner", "Operator"]


@dataclass(frozen=True, slots=True)
class Manner:
    """How a rollout is to be carried out; all times in seconds."""

    reach: Reach
    access: ClusterAccess = ClusterAccess()  # noqa: RUF009  frozen
    root_namespace: Namespace = Namespace("istio-system")  # noqa: RUF009  a string
    dry_run: DryRun = DryRun.NONE
    force_conflicts: bool = False
    barrier_timeout: float = 300.0
    timeout: float = 0.0
    """For all waits of a rollout; 0 for no limit."""
    on_timeout: OnTimeout = OnTimeout.STOP
    record: bool = True
    """Whether what the rollout finds is kept, so that there is a way back."""
    lock_timeout: float = 20.0
    lock_namespace: Namespace | None = None
    """Where the Lease stands; by default in the root namespace."""
    soak: float = 1.0
    """Before a removal, on the way back too."""
    deletion: str = "deleted"
    """The word for what is taken away: deleted, or pruned."""
    any_plan: bool = False
    """Whether, as long as nothing is written, another plan than the one that was shown will do."""
    check: Callable[[Planned], None] | None = None
    """Raises unless the plan is the one that was agreed to before."""

    @property
    def lease_namespace(self) -> Namespace:
        """Where the Lease of the rollout stands."""
        return self.lock_namespace or self.root_namespace


class Operator(Protocol):
    """Whoever starts a rollout: is asked once, and told all."""

    async def agree(self, made: Planned) -> None:
        """Return if the plan may be carried out, and raise if not."""

    def listening(self) -> AbstractAsyncContextManager[Callable[[Event], None]]:
        """Return who listens while a plan is carried out."""

    def say(self, sentence: str) -> None:
        """Take note of a sentence."""

    def turning_back(self, why: str) -> None:
        """Take note that the rollout takes too long, and that what comes next is the way back."""

    def refused(self, made: Planned) -> None:
        """Take note of a plan that has refusals; nothing will be written."""

    def ended(self, made: Planned, events: Sequence[Event]) -> None:
        """Take note of what was done, also where it ended early or was a dry-run."""
