"""What is read of a cluster before planning."""

from __future__ import annotations

import pytest

from safeapply.resources.objects import GroupKind, Namespace, Resource, ResourceId
from safeapply.rollout.survey import survey
from tests.rollout.memory import MemoryCluster


def live(kind: GroupKind) -> Resource:
    """Return an object of a kind, in a namespace that nothing else mentions."""
    identity = ResourceId(kind.group, kind.kind, Namespace("elsewhere"), "other-teams")
    metadata = {"name": identity.name, "namespace": identity.namespace}
    return Resource(identity, {"apiVersion": f"{kind.group}/v1", "kind": kind.kind, "metadata": metadata})


@pytest.mark.parametrize(
    "kind",
    [
        GroupKind("argoproj.io", "Rollout"),
        GroupKind("flagger.app", "Canary"),
        GroupKind("gateway.networking.k8s.io", "HTTPRoute"),
        GroupKind("gateway.networking.k8s.io", "ReferenceGrant"),
        GroupKind("networking.istio.io", "Gateway"),
        GroupKind("networking.istio.io", "Sidecar"),
        GroupKind("security.istio.io", "AuthorizationPolicy"),
        GroupKind("security.istio.io", "RequestAuthentication"),
    ],
    ids=str,
)
async def test_whoever_may_need_what_changes_is_read(kind: GroupKind) -> None:
    """In every namespace, although no file mentions the kind."""
    one = live(kind)
    seen = await survey(MemoryCluster(objects=[one]), ())
    assert one.id in seen.live
