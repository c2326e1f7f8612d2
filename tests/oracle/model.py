"""What the oracle's small worlds are made of: values only, and nothing of safeapply.

A host is written ``name.namespace``: its Service lives in that namespace and has one port. All names are resolved
already, since the oracle judges orders of writes, not the reading of names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType, TypeAlias

Namespace = NewType("Namespace", str)
Host = NewType("Host", str)
Subset = NewType("Subset", str)
MatchKey = NewType("MatchKey", str)

ROOT = Namespace("istio-system")
ANY_HOST = Host("*")
WHOLE = Subset("")
"""The subset of a destination that names none: the cluster of the whole service."""

ExportTo: TypeAlias = tuple[str, ...]
"""As written in the resource: ``()`` unset, ``(".",)`` private, ``("*",)`` public, else names of namespaces."""


@dataclass(frozen=True, slots=True, order=True)
class Service:
    """A Service: the base cluster of its host exists for every client."""

    host: Host

    @property
    def namespace(self) -> Namespace:
        """Return where the Service lives."""
        return Namespace(self.host.rpartition(".")[2])


@dataclass(frozen=True, slots=True, order=True)
class Destination:
    """One share of a split."""

    host: Host
    subset: Subset = WHOLE
    weight: int = 100


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """One http rule: what it matches (``None`` is everything), its split, and its mirrors."""

    split: tuple[Destination, ...]
    key: MatchKey | None = None
    mirrors: tuple[Destination, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class VirtualService:
    """A VirtualService bound to the mesh."""

    name: str
    namespace: Namespace
    hosts: tuple[Host, ...]
    rules: tuple[Rule, ...]
    created: int
    export_to: ExportTo = ()


@dataclass(frozen=True, slots=True, order=True)
class DestinationRule:
    """A DestinationRule without traffic policy; of its subsets only the names matter here."""

    name: str
    namespace: Namespace
    host: Host
    subsets: frozenset[Subset]
    created: int
    export_to: ExportTo = ()


Item: TypeAlias = Service | VirtualService | DestinationRule


@dataclass(frozen=True, slots=True, order=True)
class ItemId:
    """Which object: versions of one object share it."""

    kind: str
    namespace: Namespace
    name: str


def id_of(item: Item) -> ItemId:
    """Return which object this is a version of."""
    name = item.host.partition(".")[0] if isinstance(item, Service) else item.name
    return ItemId(type(item).__name__, item.namespace, name)


@dataclass(frozen=True, slots=True, order=True)
class Cluster:
    """An outbound cluster of an Envoy; there is one port, so host and subset say which."""

    host: Host
    subset: Subset = WHOLE


@dataclass(frozen=True, slots=True)
class World:
    """All objects as one istiod sees them at one instant."""

    services: frozenset[Service] = frozenset()
    virtual_services: frozenset[VirtualService] = frozenset()
    destination_rules: frozenset[DestinationRule] = frozenset()

    def items(self) -> tuple[Item, ...]:
        """Return every object."""
        return (*self.services, *self.virtual_services, *self.destination_rules)


def world_of(*items: Item) -> World:
    """Return the world that holds these objects."""
    return World(
        frozenset(item for item in items if isinstance(item, Service)),
        frozenset(item for item in items if isinstance(item, VirtualService)),
        frozenset(item for item in items if isinstance(item, DestinationRule)),
    )
