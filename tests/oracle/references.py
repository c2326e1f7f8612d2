"""What routes refer to, and which of it finds no cluster in a settled world."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from tests.oracle.delivery import RouteTable
from tests.oracle.model import Cluster, Host, Namespace, World
from tests.oracle.translation import clusters, named, routes, shares


@dataclass(frozen=True, slots=True)
class Transition:
    """From what is live to what is desired, for the proxies of some namespaces."""

    live: World
    desired: World
    clients: tuple[Namespace, ...]


Reference: TypeAlias = tuple[Namespace, Host, Cluster]
"""For calls by a client to a host, a cluster that some rule sends a share to."""


def references(tables: Mapping[Namespace, RouteTable], *, mirrors: bool = False) -> frozenset[Reference]:
    """Return what the routes of some clients name; mirrors are soft, and left out unless asked for.

    The cluster of the called service itself is left out: where it goes, the host goes with it.
    """
    return frozenset(
        (client, host, cluster)
        for client, table in tables.items()
        for host, rules in table.items()
        for rule in rules
        for cluster in (named if mirrors else shares)(rule)
        if cluster != Cluster(host)
    )


def dangling(world: World, clients: Iterable[Namespace], *, mirrors: bool = False) -> frozenset[Reference]:
    """Return the references of a settled world that find no cluster."""
    tables = {client: routes(world.services, world.virtual_services, client) for client in clients}
    held = {client: clusters(world.services, world.destination_rules, client) for client in tables}
    return frozenset(one for one in references(tables, mirrors=mirrors) if one[2] not in held[one[0]])


def newly_dangling(transition: Transition) -> frozenset[Reference]:
    """Return what dangles in the end and does not dangle yet: such a desired state is refused (DESIGN.md 4)."""
    return dangling(transition.desired, transition.clients) - dangling(transition.live, transition.clients)
