"""What happens during a rollout, as typed values; terminal, log and report listen (DESIGN 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from safeapply.istio.proxies import ProxyId
from safeapply.plans.plan import Action, Phase, Plan
from safeapply.resources.objects import ResourceId

__all__ = [
    "BarrierPassed",
    "Event",
    "LeftOut",
    "NoProxies",
    "PlanStarted",
    "Queued",
    "Replanned",
    "ReplicasAsked",
    "Settled",
    "Soaking",
    "StepDone",
    "StepStarted",
    "Stopped",
    "Straggler",
    "Unasked",
    "Waiting",
    "WorkloadsAwaited",
    "Wrote",
]


@dataclass(frozen=True, slots=True)
class Queued:
    """Another rollout holds the Lease; this one waits for it before it starts."""

    at: float
    """Seconds on the rollout's clock, as in every event."""
    why: str
    patience: float
    """How many seconds it will wait."""


@dataclass(frozen=True, slots=True)
class PlanStarted:
    """The rollout begins; the event carries the whole plan, so that a listener can draw it before it runs."""

    at: float
    plan: Plan


@dataclass(frozen=True, slots=True)
class Replanned:
    """Something has changed under the rollout, and what remains is still what was planned: it goes on."""

    at: float
    step: int
    """The first step that is new; those before it have been done."""
    why: str
    plan: Plan
    """The steps that were done, and those that are to come."""
    left: int
    """How many are to come."""


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A step is next: its barrier, its soak, its writes."""

    at: float
    step: int
    """1-based. The wait after the last step counts as one more."""
    total: int
    phase: Phase


@dataclass(frozen=True, slots=True)
class Straggler:
    """A proxy for which some expectation does not hold yet, and why."""

    proxy: ProxyId
    why: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A barrier is closed; sent when it begins, whenever the count changes, and every now and then."""

    at: float
    step: int
    converged: int
    total: int
    stragglers: tuple[Straggler, ...]


@dataclass(frozen=True, slots=True)
class WorkloadsAwaited:
    """How many of the workloads are rolled out; sent when that, or what the others lack, changes."""

    at: float
    step: int
    ready: int
    total: int
    stragglers: tuple[Straggler, ...]


@dataclass(frozen=True, slots=True)
class Unasked:
    """A replica of istiod that could not be asked what it has seen, and why."""

    replica: str
    why: str


@dataclass(frozen=True, slots=True)
class ReplicasAsked:
    """Before a removal: which replicas of istiod have seen all writes, and of which that is not known."""

    at: float
    step: int
    seen: tuple[str, ...]
    unasked: tuple[Unasked, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Who was not asked before a step, and why: excluded by the user, or without an Envoy that could be read."""

    at: float
    step: int
    proxies: tuple[Straggler, ...]


@dataclass(frozen=True, slots=True)
class BarrierPassed:
    """Every concerned proxy shows what the step needs."""

    at: float
    step: int
    proxies: int
    seconds: float
    slowest: ProxyId | None
    """The proxy that was waited for last; None where none had to be."""


@dataclass(frozen=True, slots=True)
class NoProxies:
    """The mesh runs no Envoy, so there is nothing to wait for."""

    at: float


@dataclass(frozen=True, slots=True)
class Soaking:
    """Nothing refers to what goes any more; requests parked in filters get this long."""

    at: float
    step: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Wrote:
    """One object was written or deleted."""

    at: float
    step: int
    action: Action
    resource: ResourceId
    word: str
    """As kubectl says it: created, configured, unchanged, deleted."""
    resource_version: str
    """Empty for a deletion."""
    uid: str = ""
    """Which object of this name it is."""


@dataclass(frozen=True, slots=True)
class StepDone:
    """All writes of a step are acknowledged."""

    at: float
    step: int


@dataclass(frozen=True, slots=True)
class Settled:
    """All is written, and the proxies show it."""

    at: float
    seconds: float
    """Since the plan started."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The rollout ended early, in a safe state."""

    at: float
    step: int
    """The step that was not finished."""
    why: str


Event: TypeAlias = (
    Queued
    | PlanStarted
    | Replanned
    | StepStarted
    | Waiting
    | WorkloadsAwaited
    | ReplicasAsked
    | LeftOut
    | BarrierPassed
    | NoProxies
    | Soaking
    | Wrote
    | StepDone
    | Settled
    | Stopped
)
