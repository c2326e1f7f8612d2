"""The versions that an object goes through: live, perhaps bridges, desired (DESIGN 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final

from safeapply.istio.kinds import (
    DESTINATION_RULE,
    GATEWAY,
    PEER_AUTHENTICATION,
    SERVICE,
    SERVICE_ENTRY,
    SIDECAR,
    VIRTUAL_SERVICE,
)
from safeapply.istio.mesh_settings import MeshSettings
from safeapply.plans.changes import SERVER_METADATA, Change
from safeapply.plans.joins import (
    join_authentication,
    join_entry,
    join_gateway,
    join_rule,
    join_service,
    join_sidecar,
)
from safeapply.plans.pins import pinned
from safeapply.plans.weightless import importing, named_beyond
from safeapply.resources.objects import Document, GroupKind, Resource

__all__ = ["Stage", "bridges", "pins"]


class Stage(Enum):
    """The versions of a changed object, in the order in which they are written."""

    LIVE = "live"
    BRIDGE = "bridge"
    """What is live, and all that is desired beside it."""
    PINNED = "pinned"
    """The same, and its clients send plaintext, whatever their servers accept (ISTIO.md 6.5)."""
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


def bridges(change: Change, mesh: MeshSettings) -> Mapping[Stage, Resource]:
    """Return the versions between live and desired in which one object can be both; none where it cannot.

    A bridge is written only where the rest of the rollout needs it.
    """
    kind, live, manifest = change.id.group_kind, change.live, change.manifest
    if kind == PEER_AUTHENTICATION:
        specs = (one.spec if one else None for one in (live, manifest))
        return _joined(change, join_authentication(*specs))
    if live is None or manifest is None:
        return {}
    if kind == VIRTUAL_SERVICE:
        return _weightless(live, manifest)
    join = _JOINS.get(kind)
    return _joined(change, join(*mesh.said(kind, live.spec, manifest.spec))) if join else {}


def pins(change: Change, mesh: MeshSettings) -> Mapping[Stage, Resource]:
    """Return the version of a DestinationRule that pins its clients, if it can be live and desired besides."""
    specs = mesh.said(
        change.id.group_kind, *(one.spec for one in (change.live, change.manifest) if one is not None)
    )
    spec = join_rule(*specs) if len(specs) > 1 else specs[0]
    return {} if spec is None else {Stage.PINNED: _with_spec(_base(change), pinned(spec))}


def _joined(change: Change, spec: Document | None) -> Mapping[Stage, Resource]:
    return {} if spec is None else {Stage.BRIDGE: _with_spec(_base(change), spec)}


def _base(change: Change) -> Resource:
    """Return what a version in between is written over: the manifest, or what is live without the server's own."""
    if change.manifest is not None:
        return change.manifest
    if change.live is None:
        msg = f"{change.id} is neither live nor wanted"
        raise AssertionError(msg)
    metadata = {key: value for key, value in change.live.metadata.items() if key not in SERVER_METADATA}
    document = {key: value for key, value in change.live.document.items() if key != "status"}
    return Resource(change.id, {**document, "metadata": metadata})


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
