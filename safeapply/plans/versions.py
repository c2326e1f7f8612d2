"""The versions that an object goes through: live, perhaps a bridge, desired (DESIGN 4.2)."""

from __future__ import annotations

from typing import Any

from safeapply.istio.kinds import DESTINATION_RULE
from safeapply.resources.objects import Document, Resource

__all__ = ["can_join", "join"]


def can_join(live: Resource, desired: Resource) -> bool:
    """Tell whether one object can be both at once: a DestinationRule for the same host."""
    same_host = live.spec.get("host") == desired.spec.get("host")
    return live.id.group_kind == DESTINATION_RULE and same_host


def join(live: Resource, manifest: Resource) -> Resource:
    """Return the superset DestinationRule: all that is desired, and the live subsets that it drops.

    A subset that both have is the desired one: routes may name it at once, by the same cluster.
    """
    kept = _subsets(live) | _subsets(manifest)
    spec: Document = {**manifest.spec, "subsets": list(kept.values())}
    return Resource(manifest.id, {**manifest.document, "spec": spec}, manifest.origin)


def _subsets(rule: Resource) -> dict[str, Any]:
    return {str(subset["name"]): subset for subset in rule.spec.get("subsets") or ()}
