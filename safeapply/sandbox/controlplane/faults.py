"""What may be made to go wrong while a mesh runs. Plain state, shared by all streams."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Faults"]


@dataclass(slots=True)
class Faults:
    """The faults that are on."""

    withheld: set[str] = field(default_factory=set)
    """Clusters whose endpoints are not sent, so that they warm (ENVOY.md 2)."""
    corrupted: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    """(proxy, type) whose resources are sent with a fault that Envoy refuses: those of these names, or all."""
    dropped: set[str] = field(default_factory=set)
    """Proxies that get no stream."""
