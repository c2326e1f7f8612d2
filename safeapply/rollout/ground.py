"""What a plan stands on: every live object that decides where requests go, as it was when the plan was made.

A write carries the resourceVersion of the object that it changes. What it is safe against are other objects too, so
those are looked at again before each step.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from safeapply.errors import ClusterChangedError
from safeapply.istio.kinds import ROUTING_KINDS
from safeapply.plans.in_use import NEEDING_KINDS
from safeapply.ports import Cluster
from safeapply.resources.objects import Namespace, Resource, ResourceId

__all__ = ["GROUND_KINDS", "Ground", "digest_of"]

GROUND_KINDS = tuple(dict.fromkeys((*ROUTING_KINDS, *NEEDING_KINDS)))
ISTIO = "istio.io/"
SHOWN = 3


@dataclass(slots=True)
class Ground:
    """Live objects, by what of them a plan depends on."""

    _known: dict[ResourceId, tuple[str, bytes]] = field(default_factory=dict)
    """The resourceVersion of each, and a digest of what counts."""
    _gone: set[ResourceId] = field(default_factory=set)
    """What this rollout has deleted; finalizers may keep it for a while."""

    @classmethod
    def of(cls, live: Iterable[Resource]) -> Ground:
        """Return the ground of a plan that was made with these objects."""
        ground = cls()
        for one in live:
            ground.wrote(one)
        return ground

    def wrote(self, made: Resource) -> None:
        """Take note of an object that this rollout has written."""
        if made.id.group_kind in GROUND_KINDS:
            self._known[made.id] = (made.resource_version, digest_of(made))

    def deleted(self, one: ResourceId) -> None:
        """Take note of a deletion by this rollout, with what a namespace or a definition takes along."""
        self._gone.add(one)
        self._known.pop(one, None)
        if one.kind == "Namespace":
            self._gone |= {each for each in self._known if each.namespace == Namespace(one.name)}
        elif one.kind == "CustomResourceDefinition":
            self._gone |= {each for each in self._known if one.name.endswith(f".{each.group}")}

    async def check(self, cluster: Cluster) -> None:
        """Look whether everything is as it was.

        Raises:
            ClusterChangedError: something is not; all of it is named.
        """
        live = {one.id: one for one in await cluster.list(GROUND_KINDS)}
        changed = tuple(self._changed(live))
        if changed:
            more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
            named = ", ".join(str(one) for one, _ in changed[:SHOWN]) + more
            raise ClusterChangedError(
                named, "; ".join(dict.fromkeys(how for _, how in changed)) + " by another client"
            )

    def _changed(self, live: Mapping[ResourceId, Resource]) -> Iterable[tuple[ResourceId, str]]:
        for one, resource in live.items():
            known = self._known.get(one)
            if known is None:
                if one not in self._gone:
                    yield one, "created"
            elif known[0] != resource.resource_version and known[1] != digest_of(resource):
                yield one, "changed"
        for one in self._known:
            if one not in live and one not in self._gone:
                yield one, "deleted"


def digest_of(resource: Resource) -> bytes:
    """Return a digest of what of an object decides anything: identity, labels, Istio's annotations, content."""
    metadata = resource.metadata
    annotations = {key: value for key, value in resource.annotations.items() if ISTIO in key}
    counted: dict[str, Any] = {
        key: value for key, value in resource.document.items() if key not in {"apiVersion", "metadata", "status"}
    }
    told = [str(resource.id), metadata.get("uid"), dict(resource.labels), annotations, counted]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).digest()
