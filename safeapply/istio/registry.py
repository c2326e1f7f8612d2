"""Which service a host name stands for (ISTIO.md 2.6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from safeapply.istio.kinds import SERVICE, Service
from safeapply.istio.proxies import ProxyClass
from safeapply.istio.scopes import DEFAULT, Certainty, imports, scopes
from safeapply.istio.snapshot import Snapshot
from safeapply.istio.visibility import exported_to
from safeapply.xds.names import Host

__all__ = ["service_options"]


def service_options(snapshot: Snapshot, proxy_class: ProxyClass, host: Host) -> tuple[Service | None, ...]:
    """Return the services that a host may stand for on proxies of a class; None where there may be none.

    A Sidecar's scope cuts off the ports that it does not import (ISTIO.md 9.1).
    """
    declaring = snapshot.index.registry.get(host, ())
    mixtures = product(*(snapshot.service_versions(one, host) for one in declaring))
    chosen = dict.fromkeys(_chosen(mixture, proxy_class) for mixture in mixtures)
    if scopes(snapshot, proxy_class) == DEFAULT:
        return tuple(chosen)
    return tuple(dict.fromkeys(cut for one in chosen for cut in _in_scope(snapshot, proxy_class, one)))


def _in_scope(snapshot: Snapshot, proxy_class: ProxyClass, service: Service | None) -> Iterator[Service | None]:
    """Yield a service with the ports that are surely imported, and with those that may be."""
    if service is None:
        yield None
        return
    sure = {port: imports(snapshot, proxy_class, service, port.number) for port in service.ports}
    for least in (Certainty.ALWAYS, Certainty.MAYBE):
        ports = tuple(port for port in service.ports if sure[port] >= least)
        yield replace(service, ports=ports) if ports else None


def _chosen(services: tuple[Service | None, ...], proxy_class: ProxyClass) -> Service | None:
    """Pick as istiod does: the client's namespace, then a Kubernetes Service, then the oldest."""
    visible = [
        service
        for service in services
        if service is not None
        and exported_to(service.export_to, owner=service.namespace, viewer=proxy_class.namespace)
    ]
    return min(
        visible,
        key=lambda s: (s.namespace != proxy_class.namespace, s.id.group_kind != SERVICE, s.created, s.id),
        default=None,
    )
