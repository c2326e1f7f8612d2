"""What becomes of requests: which rule takes them, and which part of them fails (DESIGN 1).

Requests are told apart by what a rule wants of them, as it is written. Two texts are known to be about different
requests only where their paths differ; else a rule may take what another one is written for, and whoever asks has
to expect both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from safeapply.istio.hosts import covers, most_specific
from safeapply.istio.proxies import ProxyClass, Role
from safeapply.istio.registry import called_options
from safeapply.istio.routes import ANYTHING, Aim, Entry, Table, tables
from safeapply.istio.snapshot import Snapshot
from safeapply.istio.view import Views
from safeapply.resources.objects import ResourceId
from safeapply.xds.names import ClusterName, Host, parse_cluster

__all__ = ["Demand", "Fate", "Promise"]

Share: TypeAlias = tuple[float, float]
Shares: TypeAlias = tuple[Share, ...]
ALL: Final[Shares] = ((0.0, 1.0),)
PATH: Final = re.compile(r"uri (prefix|exact) (\S+)")


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of some requests in a mesh at rest."""

    met: bool
    """Whether a route surely takes them."""
    failing: Shares
    """What surely fails of them."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What the routes of a proxy may ask for on behalf of requests that have to be served."""

    domain: Host
    port: int
    text: str
    """The match of a rule that is written for these requests; empty for those that no rule is written for."""
    clusters: frozenset[ClusterName] | None
    """Clusters that have to be there; None for a route, which is not there: 404 NR."""


@dataclass(frozen=True, slots=True)
class Promise:
    """Requests that are served before a rollout and after it, and so have to be in between (DESIGN 1)."""

    start: Views
    end: Views
    _fates: dict[tuple[ProxyClass, Host, int, str], tuple[Fate, Fate]] = field(default_factory=dict, init=False)

    def demands(self, snapshot: Snapshot, one: ProxyClass, route: ResourceId) -> Iterator[Demand]:
        """Yield what a VirtualService may ask for on proxies of a class, whichever versions they see.

        That some requests meet no route is told of sidecars only: gateways merge the routes of a host.
        """
        for table in tables(snapshot, one, route):
            for text in sorted(_texts(table) | self._texts(one, table.domain, table.port)):
                yield from self._demands(one, table, text)

    def _demands(self, one: ProxyClass, table: Table, text: str) -> Iterator[Demand]:
        before, after = self._fate(one, table.domain, table.port, text)
        rules, surely = _taking(table, text)
        failing = (*before.failing, *after.failing)
        if not surely and before.met and after.met and one.role is not Role.GATEWAY and _remainder(ALL, failing):
            yield Demand(table.domain, table.port, text, None)
        for aim in (aim for aims in rules for aim in aims):
            if _remainder((aim.share,), failing):
                yield Demand(table.domain, table.port, text, aim.clusters)

    def _fate(self, one: ProxyClass, domain: Host, port: int, text: str) -> tuple[Fate, Fate]:
        key = (one, domain, port, text)
        if key not in self._fates:
            before, after = (_fate(views, one, domain, port, text) for views in (self.start, self.end))
            self._fates[key] = (before, after)
        return self._fates[key]

    def _texts(self, one: ProxyClass, domain: Host, port: int) -> frozenset[str]:
        found = (_tables(views, one, domain, port) for views in (self.start, self.end))
        return frozenset(text for several in found for table in several for text in _texts(table))


def _texts(table: Table) -> frozenset[str]:
    return frozenset({ANYTHING}).union(*(entry.texts for entry, _ in table.entries))


def _taking(table: Table, text: str) -> tuple[list[tuple[Aim, ...]], bool]:
    """Return where the rules send that may take some requests, and whether one of them surely does."""
    found: list[tuple[Aim, ...]] = []
    for entry, aims in table.entries:
        if entry.takes_all or text in entry.texts:
            return [*found, aims], True
        if _may_take(entry, text):
            found.append(aims)
    return found, False


def _fate(views: Views, one: ProxyClass, domain: Host, port: int, text: str) -> Fate:
    found = _tables(views, one, domain, port)
    if not found:
        return Fate(met=True, failing=()) if _by_default(views, one, domain, port) else Fate(met=False, failing=ALL)
    ways = [(rules, surely) for rules, surely in (_taking(table, text) for table in found) if rules]
    if not ways:
        return Fate(met=False, failing=ALL)
    met, several = any(surely for _, surely in ways), sum(len(rules) for rules, _ in ways) > 1
    # Where several rules may take them, nobody can say that they fail.
    return Fate(met, () if several or not met else _missing(views, one, ways[0][0][0]))


def _tables(views: Views, one: ProxyClass, domain: Host, port: int) -> list[Table]:
    """Return the tables that a domain has in a mesh at rest; its own goes before those of wider ones."""
    found = [
        table
        for route in views.snapshot.index.routes_for(domain)
        for table in tables(views.snapshot, one, route)
        if table.port == port and covers(table.domain, domain)
    ]
    closest = most_specific([table.domain for table in found], domain)
    return [table for table in found if table.domain == closest]


def _missing(views: Views, one: ProxyClass, aims: Iterable[Aim]) -> Shares:
    """Return the shares that meet no cluster: 503 NC (ISTIO.md 4.8)."""
    return tuple(aim.share for aim in aims if not any(_exists(views, one, name) for name in aim.clusters))


def _remainder(shares: Iterable[Share], less: Iterable[Share]) -> Shares:
    """Return what is left of some shares without others."""
    left = list(shares)
    for low, high in less:
        parts = (part for start, end in left for part in ((start, min(end, low)), (max(start, high), end)))
        left = [(start, end) for start, end in parts if end - start > TINY]
    return tuple(left)


TINY: Final = 1e-9
"""Less than any weight can be; shares are sums of fractions."""


def _may_take(entry: Entry, text: str) -> bool:
    # What no rule is written for, no rule with a match takes.
    return text != ANYTHING and not all(_apart(text, other) for other in entry.texts)


def _apart(one: str, other: str) -> bool:
    """Tell whether no request can meet both matches: their paths differ."""
    paths = [PATH.fullmatch(text) for text in (one, other)]
    if None in paths:
        return False
    (kind, path), (other_kind, other_path) = (found.groups() for found in paths if found)
    begins = path.startswith(other_path) if other_kind == "prefix" else path == other_path
    begun = other_path.startswith(path) if kind == "prefix" else path == other_path
    return not begins and not begun


def _by_default(views: Views, one: ProxyClass, domain: Host, port: int) -> bool:
    """Tell whether a sidecar has the route that needs no VirtualService (ISTIO.md 4.4)."""
    if one.role is Role.GATEWAY:
        return False
    options = [service for service in called_options(views.snapshot, one, domain) if service is not None]
    # An alias is a name in the routes of its target, whatever ports it has itself (ISTIO.md 1.2).
    targets = {service.alias for service in options if service.alias is not None}
    answering = (s for host in targets for s in called_options(views.snapshot, one, host) if s is not None)
    return any(s.alias is None and s.port(port) is not None for s in (*options, *answering))


def _exists(views: Views, one: ProxyClass, name: ClusterName) -> bool:
    parts = parse_cluster(name)
    return parts is not None and name in views.clusters(one, parts.host)
