"""AuthorizationPolicies among themselves, and the tokens that they ask for (ISTIO.md 5.17 to 5.20).

The first ALLOW policy of a workload denies all that it does not name. So of several the one that allows more is
written first and deleted last, and a policy that takes over from another one is there before that one goes.
istiod sees the objects of one kind in the order in which they were written, so order is enough.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, permutations, product
from typing import Final

from safeapply.plans.changes import Change
from safeapply.plans.references import values
from safeapply.resources.objects import GroupKind, Namespace, Resource, ResourceId

__all__ = ["AUTHORIZATION_POLICY", "REQUEST_AUTHENTICATION", "allow_order", "denying", "overlap", "uses_tokens"]

SECURITY = "security.istio.io"
AUTHORIZATION_POLICY: Final = GroupKind(SECURITY, "AuthorizationPolicy")
REQUEST_AUTHENTICATION: Final = GroupKind(SECURITY, "RequestAuthentication")

EVERYTHING: Final = "{}"
"""A rule without conditions."""


@dataclass(frozen=True, slots=True)
class _Allowing:
    """What a policy allows before and after; None where it is no ALLOW policy, or is not there."""

    resource: Resource
    before: frozenset[str] | None
    after: frozenset[str] | None

    @property
    def gains(self) -> bool:
        return self.after is not None and not _within(self.after, self.before)

    @property
    def loses(self) -> bool:
        return self.before is not None and not _within(self.before, self.after)


def allow_order(changes: Iterable[Change], root_namespace: Namespace) -> Iterator[tuple[ResourceId, ResourceId]]:
    """Yield pairs of policies of which the first is to be written before the second (ISTIO.md 5.20)."""
    for several in _together([one for one in map(_allowing, changes) if one is not None], root_namespace):
        gaining = [one for one in several if one.gains]
        losing = [one for one in several if one.loses]
        pairs = [(a, b) for a, b in product(gaining, losing) if not (a.loses or b.gains)]
        new = [one for one in gaining if one.before is None]
        old = [one for one in losing if one.after is None]
        pairs += [(a, b) for a, b in permutations(new, 2) if _more(a.after, b.after)]
        pairs += [(b, a) for a, b in permutations(old, 2) if _more(a.before, b.before)]
        yield from ((a.resource.id, b.resource.id) for a, b in pairs if overlap(a.resource, b.resource))


def denying(
    changes: Iterable[Change], staying: Iterable[Resource], root_namespace: Namespace
) -> Iterator[tuple[ResourceId, ResourceId]]:
    """Yield pairs of policies of which the first to come, or the last to go, denies what only the other one allows.

    Where another ALLOW policy is there before and after, nothing was open to all, and nothing is taken away.
    """
    found = [one for one in map(_allowing, changes) if one is not None]
    guarding = [one for one in staying if one.id.group_kind == AUTHORIZATION_POLICY and _allowed(one) is not None]
    guarding += [one.resource for one in found if one.before is not None and one.after is not None]
    for several in _together(found, root_namespace):
        new = [(one.resource, one.after) for one in several if one.before is None and one.after is not None]
        old = [(one.resource, one.before) for one in several if one.after is None and one.before is not None]
        for (one, these), (other, those) in (*combinations(new, 2), *combinations(old, 2)):
            apart = not _within(these, those) and not _within(those, these) and overlap(one, other)
            if apart and not any(_guards(guard, one, root_namespace) for guard in guarding):
                yield one.id, other.id


def uses_tokens(one: Resource) -> bool:
    """Tell whether a policy or a route asks for what only a RequestAuthentication can know (ISTIO.md 5.17)."""
    source = ("rules", "[]", "from", "[]", "source")
    if any(values(one.spec, (*source, field)) for field in ("requestPrincipals", "notRequestPrincipals")):
        return True
    keys = values(one.spec, ("rules", "[]", "when", "[]", "key"))
    headers = values(one.spec, ("http", "[]", "match", "[]", "headers"))
    return any(str(key).startswith("request.auth.") for key in keys) or any(
        str(name).startswith("@request.auth.") for header in headers for name in header or ()
    )


def overlap(one: Resource, other: Resource) -> bool:
    """Tell whether two policies of namespaces that meet can select one workload."""
    pairs, others = (set(_selector(resource)) for resource in (one, other))
    return not any(key == known and value != wanted for key, value in pairs for known, wanted in others)


def _guards(guard: Resource, one: Resource, root: Namespace) -> bool:
    return guard.id.namespace in {root, one.id.namespace} and overlap(guard, one)


def _together(found: list[_Allowing], root: Namespace) -> Iterator[list[_Allowing]]:
    """Yield the policies of each namespace with those of the root namespace, which are for all."""
    spaces: dict[Namespace, list[_Allowing]] = defaultdict(list)
    for one in found:
        spaces[one.resource.id.namespace].append(one)
    shared = spaces.pop(root, [])
    for several in ([*several, *shared] for several in spaces.values()) if spaces else (shared,):
        yield from _by_label(several)


def _by_label(found: list[_Allowing]) -> Iterator[list[_Allowing]]:
    """Yield those that can meet on one workload: by the label that most select by, if they select by it at all."""
    selectors = [(one, dict(_selector(one.resource))) for one in found]
    keys = Counter(key for _, selector in selectors for key in selector)
    if not keys:
        yield found
        return
    key = max(sorted(keys), key=keys.__getitem__)
    anywhere = [one for one, selector in selectors if key not in selector]
    groups: dict[str, list[_Allowing]] = defaultdict(list)
    for one, selector in selectors:
        if key in selector:
            groups[selector[key]].append(one)
    yield from ([*several, *anywhere] for several in groups.values())


def _allowing(change: Change) -> _Allowing | None:
    resource = change.desired or change.live
    if resource is None or resource.id.group_kind != AUTHORIZATION_POLICY:
        return None
    return _Allowing(resource, _allowed(change.live), _allowed(change.desired))


def _allowed(policy: Resource | None) -> frozenset[str] | None:
    if policy is None or policy.spec.get("action", "ALLOW") != "ALLOW":
        return None
    rules = policy.spec.get("rules") or ()
    if not isinstance(rules, list | tuple):
        return None
    return frozenset(json.dumps(rule or {}, sort_keys=True, default=str) for rule in rules)


def _within(these: frozenset[str], those: frozenset[str] | None) -> bool:
    return those is not None and (EVERYTHING in those or these <= those)


def _more(these: frozenset[str] | None, those: frozenset[str] | None) -> bool:
    return these is not None and those is not None and _within(those, these) and not _within(these, those)


def _selector(policy: Resource) -> Iterator[tuple[str, str]]:
    for labels in values(policy.spec, ("selector", "matchLabels")):
        yield from ((str(k), str(v)) for k, v in labels.items()) if isinstance(labels, Mapping) else ()
