"""A plan: plain data, complete and printable (DESIGN 4.6). The executor decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from safeapply.errors import Refused
from safeapply.istio.proxies import Traits
from safeapply.resources.objects import Resource, ResourceId
from safeapply.xds.expectations import Expectation

__all__ = ["Action", "Caution", "Operation", "Phase", "Plan", "Refusal", "Step"]


class Phase(Enum):
    """What a step does to the mesh (DESIGN 2)."""

    WIDEN = "widen"
    SWITCH = "switch"
    NARROW = "narrow"


class Action(Enum):
    """What is done to one object."""

    APPLY = "apply"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Operation:
    """One write."""

    action: Action
    resource: Resource
    """The full manifest to apply, without resourceVersion; for a deletion, the live object."""
    bridge: bool = False
    """An intermediate version, neither live nor desired."""
    manager: str = ""
    """Who owns the fields; empty for ``safeapply`` itself."""


@dataclass(frozen=True, slots=True)
class Step:
    """Writes that may reach the mesh in any order, and what must hold before the first of them."""

    phase: Phase
    operations: tuple[Operation, ...]
    expectations: tuple[Expectation, ...]
    """Preconditions, read from the proxies; empty where the order of the writes alone is enough."""
    soak_seconds: float
    """How long to wait after the expectations hold: for requests parked in one of an Envoy's filters."""
    why: str
    without: str = ""
    """What would fail if these writes were made together with those of the step before; empty if not asked."""
    workloads: tuple[ResourceId, ...] = ()
    """Workloads that must be rolled out before, because the step moves requests to their pods."""


@dataclass(frozen=True, slots=True)
class Caution:
    """Something that no order of writes can help, or that could not be checked."""

    code: str
    message: str
    objects: tuple[ResourceId, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing will be written."""

    code: str
    objects: tuple[ResourceId, ...]
    proxy_class: str
    """The proxies on which the request would fail."""
    request: str
    """The request that would fail, and how."""
    remedy: str
    """What the operator can do."""

    @property
    def told(self) -> Refused:
        """It as errors carry it."""
        return Refused(self.code, tuple(map(str, self.objects)), self.proxy_class, self.request, self.remedy)


@dataclass(frozen=True, slots=True)
class Plan:
    """From live to desired, in steps; or the refusals, and then no steps."""

    steps: tuple[Step, ...] = ()
    settled: tuple[Expectation, ...] = ()
    """What the proxies show once the last step has reached all of them."""
    workloads: tuple[ResourceId, ...] = ()
    """Workloads that no step waits for: the rollout is done when they are rolled out too."""
    warnings: tuple[Caution, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    unchanged: tuple[ResourceId, ...] = ()
    """Desired objects that are live already, word for word."""
    versions: Mapping[ResourceId, str] = field(default_factory=dict, hash=False)
    """resourceVersion of every touched live object that the plan saw; absent for objects to be created."""
    traits: Traits = Traits()  # noqa: RUF009  frozen
    """What tells proxy classes apart in this mesh."""
    left: tuple[Step, ...] = ()
    """What another run is to do, where only some phases were asked for; ``settled`` is what its first needs."""
