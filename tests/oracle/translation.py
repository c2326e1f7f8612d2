"""What Istio makes of a world for the sidecars of one namespace: their clusters and their routes.

Written from ISTIO.md alone (the numbers below are its sections), by direct and slow means: every question sorts and
filters the whole world again. It must never share code with the evaluator that it judges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache

from tests.oracle.model import (
    ANY_HOST,
    ROOT,
    Cluster,
    Destination,
    DestinationRule,
    ExportTo,
    Host,
    MatchKey,
    Namespace,
    Rule,
    Service,
    Subset,
    VirtualService,
)


@cache
def clusters(
    services: frozenset[Service], rules: frozenset[DestinationRule], client: Namespace
) -> frozenset[Cluster]:
    """Return the clusters of a client: for each Service the whole, and each subset of its effective rule (1.1)."""
    made = {Cluster(service.host) for service in services}
    for service in services:
        made |= {Cluster(service.host, subset) for subset in effective_subsets(rules, service, client)}
    return frozenset(made)


def effective_subsets(rules: Iterable[DestinationRule], service: Service, client: Namespace) -> frozenset[Subset]:
    """Return the subsets that a client sees of a Service: the first place with an answer wins alone (3.1, 3.2)."""
    everything = tuple(rules)
    local = _most_specific((one for one in everything if _is_local(one, client)), service.host)
    found = _last(_merged(local))
    for place in (service.namespace, ROOT):
        exported = (one for one in everything if one.namespace == place and not _is_private(one))
        chosen = _merged(_most_specific(exported, service.host))
        # Visibility is asked after the most specific host was chosen: a hidden rule still hides its siblings.
        found = found or _last(group for group in chosen if _is_seen(group, client))
    return found.subsets if found else frozenset()


@cache
def routes(
    services: frozenset[Service], virtual_services: frozenset[VirtualService], client: Namespace
) -> Mapping[Host, tuple[Rule, ...]]:
    """Return the rules for each host that a client may call: sidecars take one VirtualService, or none (4.2)."""
    ordered = sorted(
        (one for one in virtual_services if _rank(one, client) is not None),
        key=lambda one: (_rank(one, client), one.created, one.name, one.namespace),
    )
    table: dict[Host, tuple[Rule, ...]] = {}
    for service in services:
        first = next((one for one in ordered if service.host in one.hosts), None)
        # Without a VirtualService the whole service is called (4.4).
        table[service.host] = _sent(first.rules) if first else _default(service.host)
    return table


@dataclass(frozen=True, slots=True, order=True)
class Request:
    """A call by a pod of one namespace; the key says which match it meets, ``None`` meets none.

    Envoy draws a number to choose among the shares of a split. The draw is part of the request, so that where a
    split is broken in part, the requests that fail and those that are served are told apart.
    """

    client: Namespace
    host: Host
    key: MatchKey | None = None
    draw: int = 25


DRAWS = (25, 75)
"""Percentages that fall on each share of the splits that are used here: all of one, or half and half."""


def target(table: Mapping[Host, tuple[Rule, ...]], request: Request) -> Cluster | None:
    """Return the cluster to which a request goes, or None where nothing matches it: 404 NR.

    A mirror is no target: the caller never notices that it is lost (1.3).
    """
    for rule in table.get(request.host, ()):
        if rule.key in {None, request.key}:
            return _drawn(rule, request.draw)
    return None


def _drawn(rule: Rule, draw: int) -> Cluster:
    ordered = [one for one in rule.split if one.weight] if len(rule.split) > 1 else list(rule.split)
    total, passed = sum(one.weight for one in ordered), 0
    for one in ordered:
        passed += one.weight
        if draw * total < passed * 100:
            return Cluster(one.host, one.subset)
    return Cluster(ordered[-1].host, ordered[-1].subset)


def named(rule: Rule) -> frozenset[Cluster]:
    """Return every cluster that a rule names in an Envoy, mirrors included."""
    return shares(rule) | {Cluster(one.host, one.subset) for one in rule.mirrors}


def shares(rule: Rule) -> frozenset[Cluster]:
    """Return where a rule sends: a single destination gets everything; of several, weight 0 is dropped (1.3)."""
    drawn = rule.split if len(rule.split) == 1 else tuple(one for one in rule.split if one.weight)
    return frozenset(Cluster(one.host, one.subset) for one in drawn)


def _sent(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Return the rules up to the first that matches everything: istiod sends none behind it (IsCatchAllRoute)."""
    ends = [number for number, rule in enumerate(rules, 1) if rule.key is None]
    return rules[: ends[0]] if ends else rules


def _default(host: Host) -> tuple[Rule, ...]:
    return (Rule((Destination(host),)),)


def _rank(one: VirtualService, client: Namespace) -> int | None:
    """Return 0 for private to the client's namespace, 1 for exported to it by name, 2 for public (4.2).

    istiod's initVirtualServices: public goes before all else, and a route that names its own namespace is private
    there, though it is exported by name to others.
    """
    if not one.export_to or "*" in one.export_to:
        return 2
    if client not in _resolved(one.export_to, one.namespace):
        return None
    return 0 if client == one.namespace else 1


@dataclass(frozen=True, slots=True)
class _Group:
    """Rules of one namespace and host that Istio has merged."""

    export_to: frozenset[str]
    subsets: frozenset[Subset]


def _merged(rules: Iterable[DestinationRule]) -> tuple[_Group, ...]:
    """Merge the rules of one namespace and host, oldest first, where their exportTo allows it (3.3)."""
    groups: list[_Group] = []
    for rule in sorted(rules, key=lambda one: (one.created, one.name)):
        # As they are written: "." and the name of the namespace are different sets (istiod's setDestinationRules).
        new = _Group(frozenset(rule.export_to), rule.subsets)
        fits = [number for number, old in enumerate(groups) if _may_merge(old.export_to, new.export_to)]
        for number in fits:
            groups[number] = replace(groups[number], subsets=groups[number].subsets | new.subsets)
        # Whether it stands alone too is said by the last that it was compared with (istio mergeDestinationRule).
        if len(groups) - 1 not in fits:
            groups.append(new)
    return tuple(groups)


def _may_merge(old: frozenset[str], new: frozenset[str]) -> bool:
    # Unset and ["*"] are different sets; a newer superset of a set that is written out does merge (16, case 4).
    return old == new or (bool(old) and new > old)


def _last(groups: Iterable[_Group]) -> _Group | None:
    # Of rules that did not merge the newest wins alone (3.3).
    return next(reversed(tuple(groups)), None)


def _most_specific(rules: Iterable[DestinationRule], host: Host) -> tuple[DestinationRule, ...]:
    fitting = tuple(one for one in rules if one.host in {host, ANY_HOST})
    exact = tuple(one for one in fitting if one.host == host)
    return exact or fitting


def _is_local(rule: DestinationRule, client: Namespace) -> bool:
    """Tell whether a rule is consulted first: it lives with the client, and is for its own namespace too (3.1)."""
    scope = _resolved(rule.export_to, rule.namespace)
    if rule.namespace != client or (client == ROOT and not _is_private(rule)):
        return False
    return not scope or "*" in scope or client in scope


def _is_private(rule: DestinationRule) -> bool:
    return len(rule.export_to) == 1 and _resolved(rule.export_to, rule.namespace) == {rule.namespace}


def _is_seen(group: _Group, client: Namespace) -> bool:
    return not group.export_to or "*" in group.export_to or client in group.export_to


def _resolved(export_to: ExportTo, namespace: Namespace) -> frozenset[str]:
    return frozenset(namespace if one == "." else one for one in export_to)
