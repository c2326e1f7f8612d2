"""Which classes of proxies a mesh has (DESIGN 2): those that run, and those that could start at any moment."""

from __future__ import annotations

from collections.abc import Iterable

from safeapply.istio.kinds import DestinationRule, Gateway, PeerAuthentication, Services, Sidecar, VirtualService
from safeapply.istio.proxies import Labels, Proxy, ProxyClass, Role
from safeapply.istio.snapshot import Snapshot

__all__ = ["classes_of", "label_keys"]


def label_keys(snapshot: Snapshot) -> frozenset[str]:
    """Return the workload labels that some selector names: no others can tell two proxies apart."""
    keys: set[str] = set()
    for versions in snapshot.versions.values():
        for declaration in versions:
            match declaration:
                case Gateway(selector=selector) | PeerAuthentication(selector=selector):
                    keys.update(key for key, _ in selector)
                case DestinationRule(selector=pairs) | Sidecar(selector=pairs) if pairs is not None:
                    keys.update(key for key, _ in pairs)
                case VirtualService(rules=rules):
                    keys.update(key for rule in rules for m in rule.matches for key, _ in m.source_labels)
                case _:
                    pass
    return frozenset(keys)


def classes_of(snapshot: Snapshot, proxies: Iterable[Proxy], keys: frozenset[str]) -> tuple[ProxyClass, ...]:
    """Return the classes of the running proxies, of every namespace that routes, and of every Gateway.

    A pod may start in the middle of a rollout, so a class is checked although none of its proxies runs now.
    """
    running = dict.fromkeys(proxy.class_by(keys) for proxy in proxies)
    possible = dict.fromkeys((*running, *_sidecars(snapshot), *_gateways(snapshot, running)))
    return tuple(possible)


def _sidecars(snapshot: Snapshot) -> Iterable[ProxyClass]:
    for one, versions in snapshot.versions.items():
        if any(isinstance(v, VirtualService | DestinationRule | Services | Sidecar) for v in versions):
            yield ProxyClass(Role.SIDECAR, one.namespace)


def _gateways(snapshot: Snapshot, running: Iterable[ProxyClass]) -> Iterable[ProxyClass]:
    known = [one for one in running if one.role is Role.GATEWAY]
    for gateway in snapshot.index.gateways:
        for version in snapshot.gateway_versions(gateway):
            if version and not any(one.labels.match(dict(version.selector)) for one in known):
                # Gateway pods rarely live where their Gateways do; Istio's own stand in its root namespace.
                yield ProxyClass(Role.GATEWAY, snapshot.mesh.root_namespace, Labels(version.selector))
