"""Objects that another controller writes: Argo Rollouts, Flagger, Knative.

Two writers of one route undo each other's weights in the middle of a rollout, and the plan would be proved for a
state that does not last. So what they own is recognised, by what their sources write, and left to them:

* Argo Rollouts annotates the DestinationRules and Services whose subsets and selectors it rewrites; its
  VirtualServices are only named in the Rollout (argo-rollouts ``rollout/trafficrouting/istio``, ``utils/istio``).
* Flagger makes the routes of a Canary with an ownerReference, or takes over those that are there; either way they
  bear the names of the Canary's services (flagger ``pkg/router/istio.go``).
* Knative makes routes with an ownerReference and labels (net-istio ``pkg/reconciler/ingress/resources``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from safeapply.istio.kinds import DESTINATION_RULE, SERVICE, VIRTUAL_SERVICE
from safeapply.plans.changes import Change
from safeapply.plans.plan import Refusal
from safeapply.plans.references import ROUTE_KINDS, values
from safeapply.resources.objects import GroupKind, Namespace, Resource, ResourceId

__all__ = ["OWNING_KINDS", "refuse_foreign"]

ROLLOUT: Final = GroupKind("argoproj.io", "Rollout")
CANARY: Final = GroupKind("flagger.app", "Canary")
OWNING_KINDS: Final = (ROLLOUT, CANARY)
"""The kinds whose objects say which routes they own; the routes themselves may not say it."""

KNATIVE: Final = "knative.dev"
MANAGED_BY_ROLLOUTS: Final = "argo-rollouts.argoproj.io/managed-by-rollouts"
ORIGINAL: Final = "flagger.kubernetes.io/original-configuration"
KNATIVE_LABELS: Final[Mapping[str, GroupKind]] = {
    "networking.internal.knative.dev/ingress": GroupKind("networking.internal.knative.dev", "Ingress"),
    "serving.knative.dev/route": GroupKind("serving.knative.dev", "Route"),
    "serving.knative.dev/revision": GroupKind("serving.knative.dev", "Revision"),
}
_CONTROLLERS: Final = {ROLLOUT.group: "Argo Rollouts", CANARY.group: "Flagger"}
_GATEWAY_API_PLUGIN: Final = ("plugins", "argoproj-labs/gatewayAPI")

Claims = Mapping[ResourceId, ResourceId]
"""Objects, each with the Rollout or Canary that names it."""


def refuse_foreign(live: Mapping[ResourceId, Resource], changes: Mapping[ResourceId, Change]) -> Iterator[Refusal]:
    """Yield a refusal for every live object that would change although another controller owns it."""
    claims = dict(_claims(live))
    for change in changes.values():
        if change.live is None:
            continue
        owner = _owner(change.live, claims)
        # What goes together with its owner is nobody's any more.
        leaving = owner is not None and owner in changes and changes[owner].desired is None
        if owner is not None and not leaving and not _harmless(change, owner):
            yield _refusal(change, owner)


def _claims(live: Mapping[ResourceId, Resource]) -> Iterator[tuple[ResourceId, ResourceId]]:
    for one, resource in live.items():
        if one.group_kind == ROLLOUT:
            yield from ((claimed, one) for claimed in _of_rollout(resource))
        elif one.group_kind == CANARY:
            yield from ((claimed, one) for claimed in _of_canary(resource))


def _of_rollout(rollout: Resource) -> Iterator[ResourceId]:
    """Yield the routes and rules that a Rollout rewrites."""
    own = rollout.id.namespace
    for routing in values(rollout.spec, ("strategy", "canary", "trafficRouting")):
        istio = values(routing, ("istio",))
        for path in (("virtualService", "name"), ("virtualServices", "[]", "name")):
            for said in (name for one in istio for name in values(one, path)):
                name, _, namespace = str(said).partition(".")
                yield _id(VIRTUAL_SERVICE, Namespace(namespace or own), name)
        for name in (name for one in istio for name in values(one, ("destinationRule", "name"))):
            yield _id(DESTINATION_RULE, own, str(name))
        for plugin in values(routing, _GATEWAY_API_PLUGIN):
            yield from _of_plugin(plugin, own)


def _of_plugin(plugin: object, own: Namespace) -> Iterator[ResourceId]:
    space = Namespace(next(map(str, values(plugin, ("namespace",))), own))
    for kind in ROUTE_KINDS:
        field = f"{kind.kind[:-5].lower()}Route"
        named = (*values(plugin, (field,)), *values(plugin, (f"{field}s", "[]", "name")))
        yield from (_id(kind, space, str(name)) for name in named)


def _of_canary(canary: Resource) -> Iterator[ResourceId]:
    """Yield the routes and rules that bear the names of a Canary's services."""
    provider = str(canary.spec.get("provider") or "istio")
    names = (*values(canary.spec, ("service", "name")), *values(canary.spec, ("targetRef", "name")))
    if not names or not provider.startswith(("istio", "gatewayapi")):
        return
    apex, own = str(names[0]), canary.id.namespace
    yield from (_id(kind, own, apex) for kind in (VIRTUAL_SERVICE, *ROUTE_KINDS))
    yield from (_id(DESTINATION_RULE, own, f"{apex}-{role}") for role in ("primary", "canary"))


def _owner(resource: Resource, claims: Claims) -> ResourceId | None:
    """Return who owns an object, by its own word or by the owner's."""
    candidates = (_referred(resource), _labelled(resource), claims.get(resource.id), _annotated(resource))
    return next((owner for owner in candidates if owner is not None), None)


def _referred(resource: Resource) -> ResourceId | None:
    for reference in values(resource.metadata, ("ownerReferences", "[]")):
        if isinstance(reference, Mapping):
            group = str(reference.get("apiVersion", "")).rpartition("/")[0]
            kind = GroupKind(group, str(reference.get("kind")))
            if kind in OWNING_KINDS or _of_knative(group):
                return _id(kind, resource.id.namespace, str(reference.get("name")))
    return None


def _labelled(resource: Resource) -> ResourceId | None:
    # Knative's own kinds bear these labels too, and are the user's to write.
    if _of_knative(resource.id.group):
        return None
    said = ((kind, resource.labels[label]) for label, kind in KNATIVE_LABELS.items() if label in resource.labels)
    return next((_id(kind, resource.id.namespace, str(name)) for kind, name in said), None)


def _annotated(resource: Resource) -> ResourceId | None:
    rollout = resource.annotations.get(MANAGED_BY_ROLLOUTS)
    if rollout is not None:
        return _id(ROLLOUT, resource.id.namespace, str(rollout))
    return _id(CANARY, resource.id.namespace, resource.id.name) if ORIGINAL in resource.annotations else None


def _harmless(change: Change, owner: ResourceId) -> bool:
    """Tell whether a Service keeps its selector: that is all of it that Argo Rollouts writes."""
    if owner.group_kind != ROLLOUT or change.id.group_kind != SERVICE or not (change.live and change.desired):
        return False
    before, after = (_selector(one) for one in (change.live, change.desired))
    return after.items() <= before.items()


def _selector(service: Resource) -> Mapping[str, Any]:
    return service.spec.get("selector") or {}


def _refusal(change: Change, owner: ResourceId) -> Refusal:
    controller = _CONTROLLERS.get(owner.group, "Knative")
    verb = "changes" if change.desired else "deletes"
    return Refusal(
        code="foreign-owner",
        objects=(change.id, owner),
        proxy_class="all that take this route",
        request=f"{_place(change)}{controller} writes {change.id} for {owner}, and the plan {verb} it: "
        "the two would undo each other's routes in the middle of the rollout",
        remedy=f"say what you want in {owner}, or end its rule over {change.id} first; and take {change.id} out of "
        "what is applied or deleted",
    )


def _place(change: Change) -> str:
    origin = change.manifest.origin if change.manifest else None
    return f"{origin.file}:{origin.line}: " if origin else ""


def _of_knative(group: str) -> bool:
    return group == KNATIVE or group.endswith(f".{KNATIVE}")


def _id(kind: GroupKind, namespace: Namespace, name: str) -> ResourceId:
    return ResourceId(kind.group, kind.kind, namespace, name)
