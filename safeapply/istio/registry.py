"""Which service a host name stands for (ISTIO.md 2.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product
from typing import TypeAlias

from safeapply.istio.kinds import SERVICE, Service, Sidecar
from safeapply.istio.proxies import ProxyClass
from safeapply.istio.scopes import Certainty, infers, scopes, takes_in
from safeapply.istio.snapshot import Snapshot
from safeapply.istio.visibility import exported_to
from safeapply.xds.names import Host

__all__ = ["called_options", "clusters_of", "is_declared", "service_options"]


def is_declared(snapshot: Snapshot, host: Host) -> bool:
    """Tell whether a host is, or may be, in the registry."""
    return any(any(snapshot.service_versions(one, host)) for one in snapshot.index.registry.get(host, ()))


def clusters_of(snapshot: Snapshot, host: Host) -> frozenset[str]:
    """Return the clusters of the mesh that declare a host: the pods of others do not stand behind it."""
    declaring = snapshot.index.registry.get(host, ())
    return frozenset(one.cluster for one in declaring if any(snapshot.service_versions(one, host)))


def service_options(snapshot: Snapshot, proxy_class: ProxyClass, host: Host) -> tuple[Service | None, ...]:
    """Return the services that a host may stand for on proxies of a class; None where there may be none.

    These have clusters. A Sidecar's scope cuts off the ports that it does not import (ISTIO.md 9.1).
    """
    snapshot = snapshot.seen_by(proxy_class.revision)
    possible = scopes(snapshot, proxy_class)
    found = (
        option
        for mixture in _mixtures(snapshot, host)
        for scope in possible
        for option in _in_scope(snapshot, proxy_class, mixture, scope)
    )
    return tuple(dict.fromkeys(found))


def called_options(snapshot: Snapshot, proxy_class: ProxyClass, host: Host) -> tuple[Service | None, ...]:
    """Return those that clients can call by this host: a service that only a route leads to has no routes.

    The same as ``service_options`` where no Sidecar is in force.
    """
    snapshot = snapshot.seen_by(proxy_class.revision)
    possible = scopes(snapshot, proxy_class)
    mixtures = _mixtures(snapshot, host)
    return tuple(dict.fromkeys(_called(one, proxy_class, scope) for one in mixtures for scope in possible))


_Mixture: TypeAlias = tuple[Service | None, ...]


def _mixtures(snapshot: Snapshot, host: Host) -> Iterator[_Mixture]:
    declaring = snapshot.index.registry.get(host, ())
    return product(*(snapshot.service_versions(one, host) for one in declaring))


def _called(mixture: _Mixture, proxy_class: ProxyClass, scope: Sidecar | None) -> Service | None:
    space = proxy_class.namespace
    return _chosen((one for one in mixture if one is not None and takes_in(scope, one, space)), proxy_class)


def _in_scope(
    snapshot: Snapshot, proxy_class: ProxyClass, mixture: _Mixture, scope: Sidecar | None
) -> Iterator[Service | None]:
    """Yield the service that a scope names, else the ports that routes surely lead to, and those that they may."""
    named = _called(mixture, proxy_class, scope)
    service = named or _chosen(filter(None, mixture), proxy_class)
    if named is not None or service is None:
        yield service
        return
    sure = {port: infers(snapshot, proxy_class, service, port.number, scope) for port in service.ports}
    for least in (Certainty.ALWAYS, Certainty.MAYBE):
        ports = tuple(port for port in service.ports if sure[port] >= least)
        yield replace(service, ports=ports) if ports else None


def _chosen(services: Iterable[Service], proxy_class: ProxyClass) -> Service | None:
    """Pick as istiod does: the client's namespace, then a Kubernetes Service, then the oldest.

    Of a Service that several clusters have, that of the cluster of the configuration counts (istio ``aggregate``).
    """
    space = proxy_class.namespace
    visible = (one for one in services if exported_to(one.export_to, owner=one.namespace, viewer=space))
    return min(
        visible,
        key=lambda s: (s.namespace != space, s.id.group_kind != SERVICE, s.id.cluster, s.created, s.id),
        default=None,
    )
