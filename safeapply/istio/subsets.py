"""Which subsets of a host exist for a client: the look-up of DestinationRules (ISTIO.md 3).

The client's namespace is asked first, then the service's, then the root namespace; the first that has a rule
for the host answers alone. So adding a rule can take subsets away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from safeapply.istio.hosts import most_specific
from safeapply.istio.kinds import DestinationRule, Service, Subset
from safeapply.istio.mesh_settings import MeshSettings
from safeapply.istio.proxies import ProxyClass
from safeapply.istio.route_rules import Pairs
from safeapply.istio.snapshot import Snapshot
from safeapply.istio.tls import TlsPolicy
from safeapply.istio.visibility import exported_to
from safeapply.resources.objects import Namespace, ResourceId
from safeapply.xds.names import Host

__all__ = ["EffectiveRule", "effective_rule", "effective_subsets", "has_cluster", "is_augmented", "rules_in_path"]


def rules_in_path(snapshot: Snapshot, proxy_class: ProxyClass, service: Service) -> tuple[ResourceId, ...]:
    """Return every DestinationRule that can decide the subsets of a service for a class."""
    asked = {proxy_class.namespace, service.namespace, snapshot.mesh.root_namespace}
    return tuple(rule for rule in snapshot.index.rules_for(service.host) if rule.namespace in asked)


def effective_subsets(
    rules: Sequence[DestinationRule], proxy_class: ProxyClass, service: Service, mesh: MeshSettings
) -> tuple[Subset, ...]:
    """Return the subsets of a service that a class has clusters for, given all rules of its look-up path.

    ISTIO.md 3.1; a subset that selects none of the endpoints which DNS is asked for has no cluster (3.6).
    """
    found = effective_rule(rules, proxy_class, service, mesh)
    return tuple(one for one in found.subsets if has_cluster(service, one)) if found is not None else ()


def has_cluster(service: Service, subset: Subset) -> bool:
    """Tell whether a subset, where it is looked up, has a cluster (ISTIO.md 3.6)."""
    if service.endpoints is None:
        return True
    wanted = {(key, value) for key, value in subset.labels if not is_augmented(key)}
    return any(wanted <= set(labels) for labels in service.endpoints)


def is_augmented(key: str) -> bool:
    """Tell whether istiod gives a label to endpoints by itself, after the node and the network."""
    return key.startswith(_AUGMENTED)


_AUGMENTED: Final = (
    "topology.",
    "kubernetes.io/",
    "failure-domain.",
    "security.istio.io/tlsMode",
    "istio-locality",
)
"""No manifest shows them."""


def effective_rule(
    rules: Sequence[DestinationRule], proxy_class: ProxyClass, service: Service, mesh: MeshSettings
) -> EffectiveRule | None:
    """Return what a class goes by, given all rules of its look-up path; None where it has none (ISTIO.md 3.1)."""
    for merged in _places(rules, proxy_class.namespace, service, mesh):
        if merged:
            # The first place with a rule answers, even where its selectors leave this class out (ISTIO.md 3.4).
            return _choose(merged, proxy_class)
    return None


def _places(
    rules: Sequence[DestinationRule], client: Namespace, service: Service, mesh: MeshSettings
) -> Iterator[list[EffectiveRule]]:
    """Yield the rules of each namespace asked, in the order in which Istio asks."""
    local = [rule for rule in rules if rule.id.namespace == client and _local(rule, client)]
    # A client in the root namespace consults only private rules there first (ISTIO.md 3.1).
    own = [rule for rule in local if rule.private] if client == mesh.root_namespace else local
    yield _nearest(own, service.host)
    for owner in (service.namespace, mesh.root_namespace):
        exported = [rule for rule in rules if rule.id.namespace == owner and not rule.private]
        # Most specific first, visibility after: a hidden exact rule hides its siblings (ISTIO.md 3.2). A rule that
        # widens an older one is merged into that, and is seen as far as that (istio ``mergeDestinationRule``).
        yield [one for one in _nearest(exported, service.host) if _is_seen(one, client)]


def _nearest(rules: Sequence[DestinationRule], host: Host) -> list[EffectiveRule]:
    nearest = most_specific([rule.host for rule in rules], host)
    return _merge(rule for rule in rules if rule.host == nearest)


def _local(rule: DestinationRule, client: Namespace) -> bool:
    return exported_to(rule.export_to, owner=rule.id.namespace, viewer=client)


def _is_seen(one: EffectiveRule, client: Namespace) -> bool:
    return one.export_to is None or bool(one.export_to & {"*", client})


@dataclass(frozen=True, slots=True)
class EffectiveRule:
    """Rules of one namespace and host, merged where Istio merges them (ISTIO.md 3.3)."""

    selector: Pairs | None
    export_to: frozenset[str] | None
    subsets: tuple[Subset, ...]
    tls: TlsPolicy | None
    """Of the oldest that has a ``trafficPolicy``, as a whole."""
    source: ResourceId
    """The rule that ``tls`` is from, or else the oldest."""

    @property
    def names(self) -> frozenset[str]:
        """The names of the subsets."""
        return frozenset(subset.name for subset in self.subsets)

    def tls_of(self, subset: str) -> TlsPolicy | None:
        """Return what a subset says of TLS for itself."""
        return next((one.tls for one in self.subsets if one.name == subset), None)

    def merged(self, younger: DestinationRule) -> EffectiveRule:
        """Return the rule with what a younger one adds."""
        subsets = self.subsets + tuple(s for s in younger.subsets if s.name not in self.names)
        if self.tls is None and younger.tls is not None:
            return replace(self, subsets=subsets, tls=younger.tls, source=younger.id)
        return replace(self, subsets=subsets)


def _merge(rules: Iterable[DestinationRule]) -> list[EffectiveRule]:
    """Merge rules of one host, those with a selector first, then the oldest first (ISTIO.md 3.3, 3.4)."""
    merged: list[EffectiveRule] = []
    for rule in sorted(rules, key=lambda rule: (rule.selector is None, rule.age)):
        apart = True
        for index, existing in enumerate(merged):
            fits = existing.selector is None or rule.selector is None or existing.selector == rule.selector
            joins = fits and _merges(rule.export_to, existing.export_to)
            if joins:
                merged[index] = existing.merged(rule)
            # The last one compared decides, so a rule may be merged into one and stand beside another. A plain rule
            # exported to "." is merged into one with a selector, and lost to all who do not match (istio#58322).
            apart = not joins or (existing.selector != rule.selector and rule.export_to != existing.export_to)
        if apart:
            merged.append(EffectiveRule(rule.selector, rule.export_to, rule.subsets, rule.tls, rule.id))
    return merged


def _merges(newer: frozenset[str] | None, older: frozenset[str] | None) -> bool:
    """Tell whether Istio merges by exportTo: equal sets, or a newer superset; absent is not ``*``."""
    if newer is None or older is None:
        return newer == older
    return newer >= older


def _choose(merged: list[EffectiveRule], proxy_class: ProxyClass) -> EffectiveRule | None:
    """Return the rule whose selector matches, else the last one without a selector (ISTIO.md 3.3, 3.4)."""
    for rule in merged:
        if rule.selector is not None and proxy_class.labels.match(dict(rule.selector)):
            return rule
    return next((rule for rule in reversed(merged) if rule.selector is None), None)
