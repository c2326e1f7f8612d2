"""Which DestinationRule is in force for a client, and so which subsets exist for it (ISTIO.md 3). Pure.

Written from Istio's rules, apart from the planner's reading of them: where the two disagree, requests fail here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from safeapply.resources.objects import Document
from safeapply.sandbox.controlplane.translation.hosts import fqdn, most_specific
from safeapply.sandbox.controlplane.translation.metadata import (
    ROOT_NAMESPACE,
    age,
    labels_match,
    namespace_of,
    texts,
)

__all__ = ["Rule", "Rules", "Subset"]

PRIVATE, PUBLIC = ".", "*"


@dataclass(frozen=True, slots=True)
class Subset:
    """A named part of a service."""

    name: str
    labels: Mapping[str, str]
    policy: Document


@dataclass(slots=True, eq=False)
class Rule:
    """One DestinationRule, with what was merged into it."""

    document: Document
    namespace: str
    selector: Mapping[str, str] | None
    export_to: frozenset[str]
    subsets: dict[str, Subset] = field(default_factory=dict)
    policy: Document = field(default_factory=dict)

    def absorb(self, other: Rule) -> None:
        """Merge a younger rule: subsets with new names, and a policy where there is none (ISTIO.md 3.3)."""
        self.subsets = other.subsets | self.subsets
        self.policy = self.policy or other.policy

    def copy(self) -> Rule:
        """Return it as it is now, to be merged into apart."""
        return Rule(self.document, self.namespace, self.selector, self.export_to, dict(self.subsets), self.policy)


ByHost = defaultdict[str, list[Rule]]


class Rules:
    """All DestinationRules, indexed as istiod does for its three look-ups (istio ``SetDestinationRules``)."""

    def __init__(self, documents: Iterable[Document], unsaid: Collection[str] = ()) -> None:
        # A rule that says nothing is merged as such, and the mesh's default only hides it; that knows "." and "*".
        self._hides = PRIVATE in unsaid
        self._local: defaultdict[str, ByHost] = defaultdict(lambda: defaultdict(list))
        self._exported: defaultdict[str, ByHost] = defaultdict(lambda: defaultdict(list))
        self._root_private: ByHost = defaultdict(list)
        for document in sorted(documents, key=lambda each: ("workloadSelector" not in _spec(each), age(each))):
            self._add(fqdn(str(_spec(document).get("host", "")), namespace_of(document)), _rule(document))

    def effective(self, host: str, service_namespace: str, client: str, labels: Mapping[str, str]) -> Rule | None:
        """Return the rule that a client namespace's pod with these labels gets for a service, or None."""
        chosen = None
        for rule in self._candidates(host, service_namespace, client):
            if rule.selector is None:
                chosen = rule  # the last one stands alone where they could not be merged (ISTIO.md 3.3)
            elif rule.namespace == client and labels_match(rule.selector, labels):
                return rule
        return chosen

    def _candidates(self, host: str, service_namespace: str, client: str) -> list[Rule]:
        """Return the rules of the first look-up that finds any (ISTIO.md 3.1)."""
        own = self._root_private if client == ROOT_NAMESPACE else self._local[client]
        nearest = most_specific(host, own)
        if nearest is not None:
            return own[nearest]
        for namespace in (service_namespace, ROOT_NAMESPACE):
            rules = self._exported[namespace]
            nearest = most_specific(host, rules)
            # Visibility is looked at after the most specific host is chosen, so a hidden rule hides (ISTIO.md 3.2).
            seen = [rule for rule in rules[nearest] if _visible(rule, client)] if nearest is not None else []
            if seen:
                return seen
        return []

    def _add(self, host: str, rule: Rule) -> None:
        namespace, to = rule.namespace, rule.export_to
        if not to or not to.isdisjoint({PUBLIC, PRIVATE, namespace}):
            _merge(self._local[namespace][host], rule.copy())
        if not ((not to and self._hides) or (len(to) == 1 and to <= {PRIVATE, namespace})):
            _merge(self._exported[namespace][host], rule.copy())
        elif namespace == ROOT_NAMESPACE:
            _merge(self._root_private[host], rule.copy())


def _visible(rule: Rule, client: str) -> bool:
    # A dot among several is not read here: istio ``getExportedDestinationRuleFromNamespace`` compares names alone.
    return not rule.export_to or not rule.export_to.isdisjoint({PUBLIC, client})


def _merge(rules: list[Rule], incoming: Rule) -> None:
    """Merge a rule into older ones of its host, or let it stand beside them (istio ``mergeDestinationRule``)."""
    beside = True
    for existing in rules:
        if incoming.export_to == existing.export_to:
            beside = False
        elif not existing.export_to or not incoming.export_to >= existing.export_to:
            beside = True
            continue
        else:
            beside = True
        if (
            existing.selector is not None
            and incoming.selector is not None
            and existing.selector != incoming.selector
        ):
            beside = True
            continue
        if existing.selector == incoming.selector:
            beside = False
        existing.absorb(incoming)
    if beside:
        rules.append(incoming)


def _rule(document: Document) -> Rule:
    spec = _spec(document)
    selector = (spec.get("workloadSelector") or {}).get("matchLabels") or {} if "workloadSelector" in spec else None
    # A rule for some pods is for its own namespace only (ISTIO.md 3.4).
    to = frozenset(texts(spec.get("exportTo"))) if selector is None else frozenset({PRIVATE})
    subsets: dict[str, Subset] = {}
    for subset in spec.get("subsets") or ():
        name = str(subset["name"])
        subsets.setdefault(name, Subset(name, dict(subset.get("labels") or {}), subset.get("trafficPolicy") or {}))
    return Rule(document, namespace_of(document), selector, to, subsets, spec.get("trafficPolicy") or {})


def _spec(document: Document) -> Document:
    spec: Document = document.get("spec") or {}
    return spec
