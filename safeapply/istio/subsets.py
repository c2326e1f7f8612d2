"""Which subsets of a host exist for a client: the look-up of DestinationRules (ISTIO.md 3).

The client's namespace is asked first, then the service's, then the root namespace; the first that has a rule
for the host answers alone. So adding a rule can take subsets away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from safeapply.istio.hosts import most_specific
from safeapply.istio.kinds import DestinationRule, Service, Subset
from safeapply.istio.proxies import ProxyClass
from safeapply.istio.snapshot import MeshSettings, Snapshot
from safeapply.istio.visibility import exported_to, is_private
from safeapply.resources.objects import Namespace, ResourceId

__all__ = ["effective_subsets", "rules_in_path"]


def rules_in_path(snapshot: Snapshot, proxy_class: ProxyClass, service: Service) -> tuple[ResourceId, ...]:
    """Return every DestinationRule that can decide the subsets of a service for a class."""
    asked = {proxy_class.namespace, service.namespace, snapshot.mesh.root_namespace}
    return tuple(rule for rule in snapshot.index.rules_for(service.host) if rule.namespace in asked)


def effective_subsets(
    rules: Sequence[DestinationRule], proxy_class: ProxyClass, service: Service, mesh: MeshSettings
) -> tuple[Subset, ...]:
    """Return the subsets of a service that a class has, given all rules of its look-up path (ISTIO.md 3.1)."""
    for candidates in _places(rules, proxy_class.namespace, service, mesh):
        host = most_specific([rule.host for rule in candidates], service.host)
        if host is None:
            continue
        merged = _merge(rule for rule in candidates if rule.host == host)
        chosen = _choose(merged, proxy_class)
        if chosen is not None:
            return chosen.subsets
    return ()


def _places(
    rules: Sequence[DestinationRule], client: Namespace, service: Service, mesh: MeshSettings
) -> Iterator[list[DestinationRule]]:
    """Yield the candidates of each namespace asked, in the order in which Istio asks."""
    local = [rule for rule in rules if rule.id.namespace == client and _local(rule, client)]
    # A client in the root namespace consults only private rules there first (ISTIO.md 3.1).
    yield [r for r in local if is_private(r.export_to, client)] if client == mesh.root_namespace else local
    for owner in (service.namespace, mesh.root_namespace):
        exact = [rule for rule in rules if rule.id.namespace == owner and rule.selector is None]
        # Most specific first, visibility after: a hidden exact rule hides its siblings (ISTIO.md 3.2).
        host = most_specific([rule.host for rule in exact if not is_private(rule.export_to, owner)], service.host)
        yield [r for r in exact if r.host == host and exported_to(r.export_to, owner=owner, viewer=client)]


def _local(rule: DestinationRule, client: Namespace) -> bool:
    return exported_to(rule.export_to, owner=rule.id.namespace, viewer=client)


@dataclass(frozen=True, slots=True)
class _Merged:
    """Rules of one namespace and host, merged where Istio merges them (ISTIO.md 3.3)."""

    selector: tuple[tuple[str, str], ...] | None
    export_to: frozenset[str] | None
    subsets: tuple[Subset, ...]

    def with_subsets(self, more: Iterable[Subset]) -> _Merged:
        known = {subset.name for subset in self.subsets}
        return replace(self, subsets=self.subsets + tuple(s for s in more if s.name not in known))


def _merge(rules: Iterable[DestinationRule]) -> list[_Merged]:
    """Merge rules of one host, those with a selector first, then the oldest first (ISTIO.md 3.3, 3.4)."""
    merged: list[_Merged] = []
    for rule in sorted(rules, key=lambda rule: (rule.selector is None, rule.age)):
        apart = True
        for index, existing in enumerate(merged):
            if existing.selector and rule.selector and existing.selector != rule.selector:
                continue
            if _merges(rule.export_to, existing.export_to):
                merged[index] = existing.with_subsets(rule.subsets)
                # istio#58322: a plain rule exported to "." is lost to all who do not match the selector.
                apart = False
        if apart:
            merged.append(_Merged(rule.selector, rule.export_to, rule.subsets))
    return merged


def _merges(newer: frozenset[str] | None, older: frozenset[str] | None) -> bool:
    """Tell whether Istio merges by exportTo: equal sets, or a newer superset; absent is not ``*``."""
    if newer is None or older is None:
        return newer == older
    return newer >= older


def _choose(merged: list[_Merged], proxy_class: ProxyClass) -> _Merged | None:
    """Return the rule whose selector matches, else the last one without a selector (ISTIO.md 3.3, 3.4)."""
    for rule in merged:
        if rule.selector is not None and proxy_class.labels.match(dict(rule.selector)):
            return rule
    return next((rule for rule in reversed(merged) if rule.selector is None), None)
