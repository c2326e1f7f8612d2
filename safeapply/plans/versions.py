"""The versions that an object goes through: live, perhaps bridges, desired (DESIGN 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final

from safeapply.istio.kinds import DESTINATION_RULE, GATEWAY, SERVICE, SERVICE_ENTRY, SIDECAR, VIRTUAL_SERVICE
from safeapply.plans.joins import join_entry, join_gateway, join_rule, join_service, join_sidecar
from safeapply.plans.weightless import importing, named_beyond
from safeapply.resources.objects import Document, GroupKind, Resource

__all__ = ["Stage", "bridges"]


class Stage(Enum):
    """The versions of a changed object, in the order in which they are written."""

    LIVE = "live"
    BRIDGE = "bridge"
    """What is live, and all that is desired beside it."""
    RELEASE = "release"
    """What is desired, and still holding what others may need: only routes have that (ISTIO.md 9.3)."""
    DESIRED = "desired"


Join = Callable[[Document, Document], Document | None]

_JOINS: Final[Mapping[GroupKind, Join]] = {
    DESTINATION_RULE: join_rule,
    GATEWAY: join_gateway,
    SERVICE_ENTRY: join_entry,
    SERVICE: join_service,
    SIDECAR: join_sidecar,
}


def bridges(live: Resource, manifest: Resource) -> Mapping[Stage, Resource]:
    """Return the versions between live and desired in which one object can be both; none where it cannot.

    A bridge is written only where the rest of the rollout needs it.
    """
    if live.id.group_kind == VIRTUAL_SERVICE:
        return _weightless(live, manifest)
    join = _JOINS.get(live.id.group_kind)
    spec = join(live.spec, manifest.spec) if join else None
    return {} if spec is None else {Stage.BRIDGE: _with_spec(manifest, spec)}


def _weightless(live: Resource, manifest: Resource) -> Mapping[Stage, Resource]:
    """Return the routes as they are, naming what they will name; and as they will be, naming what they did."""
    found: dict[Stage, Resource] = {}
    for stage, base, other in ((Stage.BRIDGE, live, manifest), (Stage.RELEASE, manifest, live)):
        more = named_beyond(base.spec, other.spec)
        spec = importing(base.spec, more) if more else None
        if spec is not None:
            found[stage] = _with_spec(manifest, spec)
    return found


def _with_spec(manifest: Resource, spec: Document) -> Resource:
    return Resource(manifest.id, {**manifest.document, "spec": spec}, manifest.origin)
