"""All checks over one state of a mesh, and what a change would add to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from safeapply.checks.bindings import conflicting_gateways, missing_gateways, unanswered_hosts
from safeapply.checks.dangling import dangling, doubtful
from safeapply.checks.delegates import broken_delegates
from safeapply.checks.findings import Finding, placed
from safeapply.checks.ingress import unaffected
from safeapply.checks.mutual_tls import refused_handshakes
from safeapply.checks.precedence import inert
from safeapply.checks.scene import Scene, Sight, scene_of
from safeapply.checks.services import port_names, unknown_route_hosts, wrong_protocols
from safeapply.checks.shadowing import unreachable
from safeapply.checks.subsets import empty_subsets, pods_outside, unknown_hosts
from safeapply.resources.objects import Resource, ResourceId

__all__ = ["Checked", "check"]

CHECKS: Final[tuple[Callable[[Scene], Iterator[Finding]], ...]] = (
    dangling,
    doubtful,
    refused_handshakes,
    broken_delegates,
    missing_gateways,
    conflicting_gateways,
    unanswered_hosts,
    unaffected,
    inert,
    unreachable,
    empty_subsets,
    pods_outside,
    unknown_hosts,
    unknown_route_hosts,
    wrong_protocols,
    port_names,
)


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of it."""

    findings: tuple[Finding, ...]
    """The worst first, then as they stand in the files."""
    assumed: tuple[ResourceId, ...]
    """Objects that nobody declared and that were taken to exist."""


def check(resources: Mapping[ResourceId, Resource], sight: Sight) -> Checked:
    """Return all that is wrong with a state of a mesh.

    Args:
        resources: every object that decides where requests go, and the pods that run.
        sight: how to look at it.
    """
    scene = scene_of(resources, sight)
    findings = placed((finding for one in CHECKS for finding in one(scene)), resources)
    return Checked(findings, tuple(sorted(scene.assumed)))
