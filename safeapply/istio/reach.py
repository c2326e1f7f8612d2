"""What a changed object can reach: the hosts whose clusters, and the routes whose references, it may touch.

May name too many, and never too few: what is not named is not looked at again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from safeapply.istio.hosts import is_wild, overlap
from safeapply.istio.kinds import (
    Declaration,
    DestinationRule,
    Gateway,
    PeerAuthentication,
    Services,
    Sidecar,
    VirtualService,
    Workload,
)
from safeapply.istio.snapshot import Index
from safeapply.resources.objects import Namespace, ResourceId
from safeapply.xds.names import Host

__all__ = ["hosts_in_reach", "hosts_met", "routes_in_reach"]


def hosts_in_reach(index: Index, changed: Iterable[Declaration]) -> tuple[Host, ...]:
    """Return the registered hosts whose clusters the versions of some objects can add, change or remove."""
    return tuple(dict.fromkeys(host for one in changed for host in _hosts(index, one)))


def routes_in_reach(index: Index, changed: Iterable[Declaration]) -> tuple[ResourceId, ...]:
    """Return the VirtualServices whose references, or whose clusters, the versions of some objects can touch."""
    listed = list(changed)
    delegating: dict[ResourceId, None] = {}
    for one in (*_routes(index, listed), *_referring(index, hosts_in_reach(index, listed))):
        delegating[one] = None
        # A delegate is evaluated through its roots.
        delegating.update(dict.fromkeys(index.roots.get(one, ())))
    return tuple(delegating)


def hosts_met(index: Index, changed: Iterable[Declaration], root: Namespace) -> tuple[Host, ...]:
    """Return the registered hosts whose clients may send, or whose servers may accept, something else (ISTIO.md 6).

    Where nothing says a word of TLS there is none; and clients of whom no rule does send what their servers accept,
    whichever routes and subsets they take.
    """
    if not index.guarded:
        return ()
    return tuple(dict.fromkeys(host for one in changed for host in _met(index, one, root)))


def _met(index: Index, one: Declaration, root: Namespace) -> Iterator[Host]:
    match one:
        case PeerAuthentication():
            yield from index.registry if one.id.namespace == root else _hosts_of(index, one.id.namespace)
        case DestinationRule(host=host):
            yield from (host for host in index.hosts_under(host) if _spoken_of(index, host))
        case VirtualService(rules=rules):
            named = (d.host for rule in rules for d in (*rule.destinations, *rule.mirrors))
            yield from (host for host in named if host in index.registry and _spoken_of(index, host))
        case Services(services=services):
            yield from (service.host for service in services)
        case Workload():
            yield from _hosts_of(index, one.id.namespace)
        case _:
            pass


def _hosts_of(index: Index, namespace: Namespace) -> Iterator[Host]:
    return (host for host, owners in index.registry.items() if any(o.namespace == namespace for o in owners))


def _spoken_of(index: Index, host: Host) -> bool:
    return any(rule in index.speaking for rule in index.rules_for(host))


def _hosts(index: Index, one: Declaration) -> Iterator[Host]:
    match one:
        case DestinationRule(host=host):
            yield from index.hosts_under(host)
        case Services(services=services):
            yield from (service.host for service in services)
        case Sidecar():
            yield from index.registry
        case VirtualService(rules=rules) if index.sidecars:
            # A scope takes in what its routes name, so a route can add and remove clusters (ISTIO.md 9.1).
            yield from (d.host for rule in rules for d in rule.named if d.host in index.registry)
        case _:
            pass


def _routes(index: Index, changed: Iterable[Declaration]) -> Iterator[ResourceId]:
    for one in changed:
        match one:
            case VirtualService():
                yield one.id
                yield from (rival for host in one.hosts for rival in _sharing(index, host))
            case Gateway(name=name):
                yield from index.bound.get(name, ())
            case Sidecar():
                yield from (route for routes in index.routes.values() for route in routes)
            case Services(services=services):
                yield from (route for service in services for route in index.routes_for(service.host))
            case _:
                pass


def _sharing(index: Index, host: Host) -> Iterator[ResourceId]:
    """Yield the routes that serve some of the same names."""
    yield from index.routes_for(host)
    if is_wild(host):
        yield from (r for other, routes in index.routes.items() if overlap(host, other) for r in routes)


def _referring(index: Index, hosts: Iterable[Host]) -> Iterator[ResourceId]:
    return (route for host in hosts for route in index.referring.get(host, ()))
