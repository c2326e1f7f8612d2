"""Which live objects ``--prune -l`` takes: those of a mesh's routes, and workloads that were applied from files."""

from __future__ import annotations

import pytest
import yaml

from safeapply.plans.pruning import is_prunable
from safeapply.resources.objects import GroupKind, Namespace, Resource, ResourceId

OWNED = "ownerReferences: [{kind: Rollout, name: web, controller: true}]"
CLIENT_SIDE = "annotations: {kubectl.kubernetes.io/last-applied-configuration: '{}'}"


def applied(manager: str, operation: str = "Apply") -> str:
    """Return who wrote an object."""
    return f"managedFields: [{{manager: {manager}, operation: {operation}}}]"


@pytest.mark.parametrize(
    ("kind", "metadata", "expected"),
    [
        ("networking.istio.io/VirtualService", "{}", True),
        ("networking.istio.io/Sidecar", "{}", False),
        ("/Service", CLIENT_SIDE, False),
        ("apps/Deployment", CLIENT_SIDE, True),
        ("apps/Deployment", applied("safeapply"), True),
        ("apps/Deployment", applied("safeapply", "Update"), True),
        ("apps/StatefulSet", applied("kubectl"), True),
        ("apps/DaemonSet", applied("kubectl", "Update"), False),
        ("apps/Deployment", applied("helm", "Update"), False),
        ("apps/Deployment", "{}", False),
        ("apps/Deployment", f"{CLIENT_SIDE}\n{OWNED}", False),
    ],
)
def test_workloads_go_only_where_somebody_applied_them(kind: str, metadata: str, *, expected: bool) -> None:
    """An operator's bear its users' labels, too, and so do those that a controller owns."""
    group, _, name = kind.partition("/")
    one = ResourceId(group, name, Namespace("shop"), "web")
    assert one.group_kind == GroupKind(group, name)
    assert is_prunable(Resource(one, {"metadata": yaml.safe_load(metadata)})) is expected
