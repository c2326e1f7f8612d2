"""What a rule that hands over becomes: the delegate's rules, each with what both want (ISTIO.md 4.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from safeapply.istio.route_rules import Condition, Match, Rule, Traffic

__all__ = ["handed_over", "merged"]


def handed_over(root: Rule, rules: Iterable[Rule]) -> Iterator[Rule]:
    """Yield what istiod makes of a delegate's rules below one of a root; one that conflicts with it is dropped."""
    for rule in rules:
        both = merged(root.matches, rule.matches)
        if rule.traffic is Traffic.HTTP and both is not None:
            yield replace(rule, matches=both)


def merged(roots: tuple[Match, ...], leaves: tuple[Match, ...]) -> tuple[Match, ...] | None:
    """Return the matches of both, or None where one of the leaves fits none of the roots.

    As istio ``mergeHTTPMatchRequests``: each leaf has to want a part of what some root wants.
    """
    if not roots or not leaves:
        return roots or leaves
    fitting = [[_both(root, leaf) for root in roots if not _conflict(root, leaf)] for leaf in leaves]
    return tuple(match for several in fitting for match in several) if all(fitting) else None


def _both(root: Match, leaf: Match) -> Match:
    wanted = (match.request for match in (root, leaf) if not match.all)
    return Match(
        gateways=leaf.gateways or root.gateways,
        port=leaf.port or root.port,
        source_labels=tuple(sorted({*root.source_labels, *leaf.source_labels})),
        source_namespace=leaf.source_namespace or root.source_namespace,
        request=" and ".join(filter(None, wanted)),
        all=root.all and leaf.all,
        conditions=(*root.conditions, *leaf.conditions),
        any_case=leaf.any_case,
    )


def _conflict(root: Match, leaf: Match) -> bool:
    """Tell whether a leaf reaches beyond a root (istio ``hasConflict``); what one alone says is none."""
    known, labels = {one.field: one for one in root.conditions}, dict(root.source_labels)
    return (
        root.any_case is not leaf.any_case
        or any(one.field in known and _beyond(known[one.field], one) for one in leaf.conditions)
        or (bool(root.port and leaf.port) and root.port != leaf.port)
        or (bool(root.source_namespace) and leaf.source_namespace != root.source_namespace)
        or any(labels.get(key, value) != value for key, value in leaf.source_labels)
        or bool(root.gateways and not leaf.gateways <= root.gateways)
    )


def _beyond(root: Condition, leaf: Condition) -> bool:
    match root.kind, leaf.kind:
        case "exact", "exact":
            return root.value != leaf.value
        case "prefix", "prefix" | "exact":
            return not leaf.value.startswith(root.value)
        case _:
            # Regular expressions are never compared, and a prefix reaches beyond an exact text.
            return True
