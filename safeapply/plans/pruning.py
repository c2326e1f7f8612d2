"""Which live objects ``--prune -l`` may take away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safeapply.istio.kinds import WORKLOAD_KINDS
from safeapply.plans.changes import LAST_APPLIED
from safeapply.plans.rights import PRUNED_KINDS
from safeapply.resources.objects import Resource

__all__ = ["is_prunable"]

APPLIES = frozenset({("safeapply", "Apply"), ("safeapply", "Update"), ("kubectl", "Apply")})
"""How managers write what is in files: safeapply creates before it applies; kubectl edits by updates too, and where
it applies on the client, it leaves an annotation."""


def is_prunable(live: Resource) -> bool:
    """Tell whether an object is of a kind that is pruned by labels; of workloads only what was applied from files.

    What an operator or a controller made bears its users' labels, too (kubectl ``pkg/cmd/apply/prune.go``).
    """
    if live.id.group_kind not in WORKLOAD_KINDS:
        return live.id.group_kind in PRUNED_KINDS
    metadata = live.metadata
    if any(owner.get("controller") for owner in metadata.get("ownerReferences") or ()):
        return False
    return LAST_APPLIED in live.annotations or any(map(_is_apply, metadata.get("managedFields") or ()))


def _is_apply(entry: Mapping[str, Any]) -> bool:
    return (entry.get("manager"), entry.get("operation")) in APPLIES
