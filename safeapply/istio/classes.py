"""Which classes of proxies a mesh has (DESIGN 2): those that run, and those that could start at any moment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import product

from safeapply.istio.kinds import DestinationRule, Gateway, PeerAuthentication, Services, Sidecar, VirtualService
from safeapply.istio.proxies import Labels, Proxy, ProxyClass, Role, Traits
from safeapply.istio.snapshot import Snapshot

__all__ = ["classes_of", "traits_of"]


def traits_of(snapshot: Snapshot) -> Traits:
    """Return what some object asks of a proxy: nothing else can tell two of them apart."""
    return Traits(_label_keys(snapshot), snapshot.index.revisions)


def _label_keys(snapshot: Snapshot) -> frozenset[str]:
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


def classes_of(snapshot: Snapshot, proxies: Iterable[Proxy], traits: Traits) -> tuple[ProxyClass, ...]:
    """Return the classes of the running proxies, of every namespace that routes, and of every Gateway.

    A pod may start in the middle of a rollout, so a class is checked although none of its proxies runs now, and
    each in every revision that some object is for.
    """
    running = dict.fromkeys(proxy.class_by(traits.labels) for proxy in proxies)
    possible = dict.fromkeys((*running, *_sidecars(snapshot), *_gateways(snapshot, running)))
    return tuple(
        replace(one, revision=reader) if reader else one
        for one, reader in product(possible, snapshot.index.readers)
    )


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
