"""What can be said of an expectation on one Envoy: that it holds, or what it lacks, each in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from safeapply.xds.names import ClusterName, Host, Origin

__all__ = [
    "Absent",
    "Disconnected",
    "Holds",
    "NoReadyEndpoint",
    "NotReferred",
    "OtherwiseAccepted",
    "OtherwiseSent",
    "Rejected",
    "Shortfall",
    "StillMade",
    "StillPresent",
    "StillRefers",
    "Unknown",
    "Unreachable",
    "Verdict",
    "Warming",
]


@dataclass(frozen=True, slots=True)
class Holds:
    """The expectation holds."""

    def __str__(self) -> str:
        """Say it to an operator, as all verdicts do."""
        return "as expected"


@dataclass(frozen=True, slots=True)
class Absent:
    """The cluster has not arrived."""

    cluster: ClusterName

    def __str__(self) -> str:
        """Say it."""
        return f"has no cluster {self.cluster} yet"


@dataclass(frozen=True, slots=True)
class Warming:
    """The cluster has arrived and takes no traffic: its endpoints have not."""

    cluster: ClusterName

    def __str__(self) -> str:
        """Say it."""
        return f"cluster {self.cluster} is still warming: its endpoints have not arrived"


@dataclass(frozen=True, slots=True)
class NoReadyEndpoint:
    """The cluster is active and empty, although pods stand behind it."""

    cluster: ClusterName

    def __str__(self) -> str:
        """Say it."""
        return f"cluster {self.cluster} has no healthy endpoint yet"


@dataclass(frozen=True, slots=True)
class StillPresent:
    """The cluster has not gone."""

    cluster: ClusterName

    def __str__(self) -> str:
        """Say it."""
        return f"still has cluster {self.cluster}"


@dataclass(frozen=True, slots=True)
class StillRefers:
    """Something still names the cluster."""

    cluster: ClusterName
    where: str

    def __str__(self) -> str:
        """Say it."""
        return f"{self.where} still names {self.cluster}"


@dataclass(frozen=True, slots=True)
class StillMade:
    """Something still comes from the object."""

    origin: Origin
    where: str

    def __str__(self) -> str:
        """Say it."""
        return f"{self.where} still comes from {self.origin}"


@dataclass(frozen=True, slots=True)
class NotReferred:
    """The route has not moved."""

    cluster: ClusterName
    domain: Host | None

    def __str__(self) -> str:
        """Say it."""
        place = f"the route of {self.domain}" if self.domain else "no listener"
        return f"{place} does not name {self.cluster} yet" if self.domain else f"{place} names {self.cluster} yet"


@dataclass(frozen=True, slots=True)
class OtherwiseSent:
    """Connections through the cluster begin in another way than they should by now."""

    cluster: ClusterName
    sent: str

    def __str__(self) -> str:
        """Say it."""
        return f"cluster {self.cluster} still sends {self.sent}"


@dataclass(frozen=True, slots=True)
class OtherwiseAccepted:
    """The inbound listener takes something else than it should by now."""

    port: int
    accepted: str

    def __str__(self) -> str:
        """Say it."""
        return f"{f'port {self.port}' if self.port else 'every other port'} still accepts {self.accepted}"


@dataclass(frozen=True, slots=True)
class Unknown:
    """The answer of the Envoy proves nothing. It never opens a barrier."""

    why: str

    def __str__(self) -> str:
        """Say it."""
        return f"cannot be read: {self.why}"


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The Envoy could not be asked. It never opens a barrier either."""

    why: str

    def __str__(self) -> str:
        """Say it."""
        return f"cannot be reached: {self.why}"


Shortfall: TypeAlias = (
    Absent
    | Warming
    | NoReadyEndpoint
    | StillPresent
    | StillRefers
    | StillMade
    | NotReferred
    | OtherwiseSent
    | OtherwiseAccepted
    | Unknown
)


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The Envoy hears from no istiod, so what it lacks will not come before it does again."""

    shortfall: Shortfall

    def __str__(self) -> str:
        """Say it."""
        return f"is not connected to istiod; {self.shortfall}"


@dataclass(frozen=True, slots=True)
class Rejected:
    """The Envoy refused an update since the barrier closed, so what it lacks will not come by itself."""

    types: tuple[str, ...]
    """``CDS``, ``LDS``, ``RDS``."""
    reason: str
    """Envoy's own words, where it keeps them; else empty."""
    shortfall: Shortfall

    def __str__(self) -> str:
        """Say it."""
        reason = f" ({self.reason})" if self.reason else ""
        return f"rejected {' and '.join(self.types)}{reason}; {self.shortfall}"


Verdict: TypeAlias = Holds | Shortfall | Unreachable | Disconnected | Rejected
