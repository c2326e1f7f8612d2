"""What would be deleted although something that stays needs it: certificates, backends, grants, tokens.

Subsets, hosts and Gateways are the evaluator's; here is the rest of ISTIO.md 5 whose loss a user feels, wherever
in the cluster the one that needs it stands. And a namespace, or a definition, takes along all that it holds, which
no plan shows and nobody has put in order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from safeapply.istio.kinds import DESTINATION_RULE, GATEWAY, ROUTING_KINDS
from safeapply.istio.proxies import Role
from safeapply.plans.plan import Refusal
from safeapply.plans.policies import AUTHORIZATION_POLICY, REQUEST_AUTHENTICATION
from safeapply.plans.references import CONFIG_MAP, KUBERNETES_GATEWAY, ROUTE_KINDS, SECRET
from safeapply.plans.relations import (
    DEFINITION,
    NAMESPACE,
    REFERENCE_GRANT,
    End,
    Pair,
    authenticated,
    contained,
    granted,
    named,
)
from safeapply.plans.transition import Transition
from safeapply.resources.objects import GroupKind, Resource, ResourceId

__all__ = ["NEEDING_KINDS", "refuse_in_use"]

NEEDING_KINDS: Final = (
    *ROUTE_KINDS,
    KUBERNETES_GATEWAY,
    REFERENCE_GRANT,
    AUTHORIZATION_POLICY,
    REQUEST_AUTHENTICATION,
)
"""The kinds, beside those that route, of which every live object counts."""

_HOLDERS: Final = frozenset({NAMESPACE, DEFINITION})
_HANDSHAKE: Final = "new TLS connections would fail at the handshake"
_HARM: Final[Mapping[GroupKind, str]] = {
    GATEWAY: _HANDSHAKE,
    DESTINATION_RULE: _HANDSHAKE,
    KUBERNETES_GATEWAY: _HANDSHAKE,
    AUTHORIZATION_POLICY: "a request that it allows by its token would answer 403",
    **dict.fromkeys(ROUTE_KINDS, "a request that it routes would answer 500"),
}
_NEEDED: Final = frozenset({SECRET, CONFIG_MAP, KUBERNETES_GATEWAY, REFERENCE_GRANT, REQUEST_AUTHENTICATION})


def refuse_in_use(transition: Transition, live: Mapping[ResourceId, Resource]) -> Iterator[Refusal]:
    """Yield a refusal for everything that stays and needs what would be deleted."""
    deleted = {one: change.live for one, change in transition.changes.items() if change.live and not change.desired}
    if not deleted:
        return
    changed = transition.changes
    staying = [
        *(resource for one, resource in live.items() if one not in changed),
        *(change.desired for change in changed.values() if change.desired),
    ]
    if any(one.group_kind in _HOLDERS for one in deleted):
        yield from _refuse_emptied(transition, staying, deleted)
    needing = [one for one in staying if one.id.group_kind in _HARM]
    needed = {one: resource for one, resource in deleted.items() if _is_needed(one)}
    if needed and needing:
        alternatives = [one for one in staying if one.id.group_kind in {REFERENCE_GRANT, REQUEST_AUTHENTICATION}]
        end = _end(transition, (*needing, *alternatives, *needed.values()))
        yield from (_refusal(user, provider) for user, provider in sorted(_lost(transition, end, needed.keys())))


def _is_needed(one: ResourceId) -> bool:
    return one.group_kind in _NEEDED or (one.group, one.kind) == ("", "Service")


def _lost(transition: Transition, end: End, deleted: Iterable[ResourceId]) -> Iterator[Pair]:
    """Yield who stays without what it needs; of grants and token checks another one will do."""
    gone = frozenset(deleted)
    for user, provider in set(named(end)):
        # The target of a policy is not what it needs: without it there is nothing to protect.
        stays = user not in gone and user.group_kind != AUTHORIZATION_POLICY
        if provider in gone and stays and _is_near(transition, user, provider):
            yield user, provider
    for rule in (granted, authenticated):
        providers: dict[ResourceId, set[ResourceId]] = defaultdict(set)
        for user, provider in rule(end):
            providers[user].add(provider)
        yield from ((user, min(several)) for user, several in providers.items() if several <= gone)


def _is_near(transition: Transition, user: ResourceId, provider: ResourceId) -> bool:
    """Tell whether a credential is where a proxy looks for it; other references say the namespace themselves."""
    if user.group_kind not in {GATEWAY, DESTINATION_RULE} or provider.namespace == user.namespace:
        return True
    return any(one.role is Role.GATEWAY and one.namespace == provider.namespace for one in transition.classes)


def _refuse_emptied(
    transition: Transition, staying: Iterable[Resource], deleted: Mapping[ResourceId, Resource]
) -> Iterator[Refusal]:
    holders = (resource for one, resource in deleted.items() if one.group_kind in _HOLDERS)
    end = _end(transition, (*holders, *(one for one in staying if one.id.group_kind in ROUTING_KINDS)))
    held: dict[ResourceId, list[ResourceId]] = defaultdict(list)
    for one, holder in contained(end):
        held[holder].append(one)
    for holder, several in held.items():
        names = ", ".join(map(str, sorted(several)))
        yield Refusal(
            code="in-use",
            objects=(holder, *sorted(several)),
            proxy_class="all",
            request=f"{holder} takes along what it holds, at once and in no order: {names}",
            remedy=f"delete them too, by listing them beside {holder}, so that they go in a safe order",
        )


def _end(transition: Transition, resources: Iterable[Resource]) -> End:
    return End(resources, root_namespace=transition.mesh.mesh.root_namespace, index=transition.mesh.index)


def _refusal(user: ResourceId, provider: ResourceId) -> Refusal:
    harm = _HARM[user.group_kind]
    if provider.group_kind == KUBERNETES_GATEWAY:
        harm = "a request that it routes would answer 404"
    return Refusal(
        code="in-use",
        objects=(user, provider),
        proxy_class="all that use it",
        request=f"{user} needs {provider}, which would be removed: {harm}",
        remedy=f"change or delete {user} first or with it, or keep {provider}",
    )
