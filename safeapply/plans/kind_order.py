"""Which objects go before which, where no route decides: the order that kubectl's users expect (DESIGN 4.3).

What is needed is written before what needs it, and deleted after it. Nothing is waited for, for no proxy shows
these things. So where such an order and that of the routes contradict each other, the former gives way, the
weakest rule first; that an object is in its namespace never does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from safeapply.istio.kinds import SERVICE
from safeapply.plans.changes import Change
from safeapply.plans.contradictions import FIRM, reconciled
from safeapply.plans.policies import AUTHORIZATION_POLICY, allow_order
from safeapply.plans.references import ROUTE_KINDS
from safeapply.plans.relations import (
    End,
    Pair,
    authenticated,
    bound,
    contained,
    governed,
    granted,
    named,
    patched,
    secured,
    selected,
    waypointed,
)
from safeapply.plans.transition import Transition
from safeapply.plans.versions import Stage
from safeapply.plans.workload_routes import routed
from safeapply.plans.writes import Constraint, Part
from safeapply.resources.objects import GroupKind, ResourceId

__all__ = ["SWITCHING_KINDS", "kind_order", "with_kind_order"]

SWITCHING_KINDS: Final = frozenset(
    {
        *ROUTE_KINDS,
        AUTHORIZATION_POLICY,
        GroupKind("networking.k8s.io", "Ingress"),
        GroupKind("networking.istio.io", "EnvoyFilter"),
    }
)
"""Kinds that move requests rather than provide for them, beside VirtualServices."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """Who needs whom, at one end of the rollout."""

    pairs: Callable[[End], Iterator[Pair]]
    why: str
    """How ``{user}`` needs ``{provider}``, as a sentence."""
    content: bool = False
    """Whether a user can tell the provider's versions apart, and not only that it is there."""


_RULES: Final = (
    _Rule(contained, "{user} cannot be without {provider}"),
    _Rule(named, "{user} names {provider}", content=True),
    _Rule(granted, "{provider} lets {user} name what is in another namespace", content=True),
    _Rule(secured, "{provider} makes {user} speak TLS with its backends, as they expect", content=True),
    _Rule(authenticated, "{provider} checks the tokens without which {user} would answer 403", content=True),
    _Rule(bound, "{provider} gives their rights to the pods of {user}", content=True),
    _Rule(patched, "{user} patches what {provider} makes, and nothing else", content=True),
    _Rule(waypointed, "{user} sends its requests through {provider}"),
    _Rule(selected, "{provider} finds the pods of {user}"),
    _Rule(governed, "{provider} limits the pods of {user} from their start"),
)
"""The firmest first: of two that contradict each other the later one gives way, and the first one never."""

_ROUTED: Final = "{user} sends requests to the pods of {provider}, without which a subset answers 503 UH"
_ALLOWS: Final = "the first ALLOW policy denies what it does not name, so {first} comes before {then}"

WEAKEST: Final = len(_RULES)


def with_kind_order(transition: Transition, routing: frozenset[Constraint]) -> frozenset[Constraint]:
    """Return the constraints of the routes, and all of the order of kinds that does not contradict them."""
    return reconciled(transition, routing, kind_order(transition))


def kind_order(transition: Transition) -> Mapping[Constraint, int]:
    """Return the constraints between kinds, each with its weakness: the number of its rule."""
    found: dict[Constraint, int] = {}
    live, desired = _ends(transition)
    for weakness, rule in enumerate(_RULES, FIRM):
        pairs = (frozenset(rule.pairs(live)), frozenset(rule.pairs(desired)))
        for constraint in _constraints(transition, *pairs, why=rule.why, content=rule.content):
            found.setdefault(constraint, weakness)
    reached = (frozenset(routed(transition, stage)) for stage in (Stage.LIVE, Stage.DESIRED))
    policies = allow_order(transition.changes.values(), transition.mesh.mesh.root_namespace)
    weakest = (*_constraints(transition, *reached, why=_ROUTED), *(_after(first, then) for first, then in policies))
    for constraint in weakest:
        found.setdefault(constraint, WEAKEST)
    return found


def _ends(transition: Transition) -> tuple[End, End]:
    made = partial(End, root_namespace=transition.mesh.mesh.root_namespace, index=transition.mesh.index)
    changes = transition.changes.values()
    return made(c.live for c in changes if c.live), made(c.desired for c in changes if c.desired)


def _constraints(
    transition: Transition, before: frozenset[Pair], after: frozenset[Pair], *, why: str, content: bool = False
) -> Iterator[Constraint]:
    provided, released = (why.format(user=u, provider=p) for u, p in (("{then}", "{first}"), ("{first}", "{then}")))
    for user, provider in before | after:
        if user == provider:
            continue
        change, pair = transition.changes[provider], (user, provider)
        ordered = _ordered(change, user, before=pair in before, after=pair in after, content=content)
        yield from (replace(c, why=released if c.first[0] == user else provided) for c in ordered)


def _ordered(
    provider: Change, user: ResourceId, *, before: bool, after: bool, content: bool
) -> Iterator[Constraint]:
    """Put a new provider before its user, an old one after it, and of a changed one what it adds and removes."""
    if provider.desired is not None and after and (provider.live is None or content):
        yield _provided(provider, user)
    if provider.desired is None or (before and content and _drops_ports(provider)):
        yield _released(user, provider)


def _provided(provider: Change, user: ResourceId) -> Constraint:
    # A user that is written twice names it from the first write on.
    part = Part.WIDENING if provider.id.group_kind == SERVICE else Part.WHOLE
    return Constraint((provider.id, part), (user, Part.WIDENING))


def _released(user: ResourceId, provider: Change) -> Constraint:
    part = Part.NARROWING if provider.id.group_kind == SERVICE else Part.WHOLE
    return Constraint((user, Part.NARROWING), (provider.id, part))


def _after(first: ResourceId, then: ResourceId) -> Constraint:
    return Constraint((first, Part.WHOLE), (then, Part.WHOLE), _ALLOWS)


def _drops_ports(service: Change) -> bool:
    if service.live is None or service.desired is None or service.id.group_kind != SERVICE:
        return False
    before, after = (
        {p.get("port") for p in one.spec.get("ports") or ()} for one in (service.live, service.desired)
    )
    return bool(before - after)
