"""What a change would break at rest, told before its first write: no order of writes could help it.

Only what the change adds counts. A mesh that is broken already is no reason to refuse the change that mends it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from safeapply.checks.check import check
from safeapply.checks.findings import Finding, Severity
from safeapply.checks.scene import Sight
from safeapply.istio.declarations import declare
from safeapply.istio.kinds import NEWEST, Declaration
from safeapply.istio.mesh_settings import MeshSettings
from safeapply.istio.reach import routes_in_reach
from safeapply.istio.snapshot import snapshot_of
from safeapply.plans.changes import Change
from safeapply.plans.pins import leftover_pins
from safeapply.plans.plan import Caution, Plan, Refusal
from safeapply.resources.objects import Resource, ResourceId

__all__ = ["added", "preflight"]

SHOWN_WARNINGS = 5


def preflight(
    made: Plan,
    live: Mapping[ResourceId, Resource],
    changes: Sequence[Change],
    *,
    mesh: MeshSettings,
    offline: bool,
) -> Plan:
    """Return the plan with what the change would add to the findings: refused for errors, warned of the rest.

    Args:
        made: the plan; one that is refused already, or changes nothing, is returned as it is.
        live: every live object that decides where requests go, and the pods.
        changes: what the plan is for.
        mesh: Istio's own settings.
        offline: hosts and gateways that nobody declares are taken to exist.
    """
    if made.refusals or not made.steps:
        return made
    # Pins that a killed run has left go with this one.
    unpinned = leftover_pins(live, {*made.unchanged, *(change.id for change in changes)})
    found = added(live, (*changes, *unpinned), mesh=mesh, offline=offline)
    errors = tuple(map(_refusal, (one for one in found if one.severity is Severity.ERROR)))
    warnings = (*made.warnings, *_cautions([one for one in found if one.severity is Severity.WARNING]))
    if errors:
        return replace(made, steps=(), settled=(), refusals=errors, warnings=warnings)
    return replace(made, warnings=warnings)


def added(
    live: Mapping[ResourceId, Resource], changes: Sequence[Change], *, mesh: MeshSettings, offline: bool
) -> tuple[Finding, ...]:
    """Return the findings of the desired state that the live one does not have."""
    ages = {one.id: one.live.created if one.live else NEWEST for one in changes}
    after = _desired(live, changes)
    sight = Sight(mesh, offline=offline, ages=ages, patient=True, routes=_touched(after, changes, mesh, ages))
    known = check(live, sight).findings
    keys, failing = {one.key for one in known}, set(_failing(known, ages))
    new = (one for one in check(after, sight).findings if one.key not in keys)
    return tuple(one for one in new if failing.isdisjoint(_failing((one,), ages)))


def _failing(found: Iterable[Finding], changed: Container[ResourceId]) -> Iterator[tuple[ResourceId, str, str]]:
    """Yield what fails of objects that stay as they are: it is nothing new if it fails for another reason."""
    for one in found:
        if one.severity is Severity.ERROR and one.object not in changed:
            yield one.object, one.field, one.proxies


def _desired(live: Mapping[ResourceId, Resource], changes: Iterable[Change]) -> Mapping[ResourceId, Resource]:
    after = dict(live)
    for one in changes:
        after.pop(one.id, None)
        if one.desired is not None:
            # What the server made of a manifest has no lines; the manifest has.
            origin = one.manifest.origin if one.manifest else one.desired.origin
            after[one.id] = replace(one.desired, origin=origin)
    return after


def _touched(
    after: Mapping[ResourceId, Resource],
    changes: Iterable[Change],
    mesh: MeshSettings,
    ages: Mapping[ResourceId, str],
) -> frozenset[ResourceId]:
    """Return the VirtualServices whose answers the change can alter; nothing is new about the others."""
    versions: dict[ResourceId, tuple[Declaration, ...]] = {}
    for one, resource in after.items():
        declaration = declare(resource, created=ages.get(one, resource.created), mesh=mesh)
        if declaration is not None:
            versions[one] = (declaration,)
    both = (resource for one in changes for resource in (one.live, one.desired) if resource)
    changed = [declare(one, created=ages[one.id], mesh=mesh) for one in both]
    return frozenset(routes_in_reach(snapshot_of(versions, mesh).index, filter(None, changed)))


def _refusal(one: Finding) -> Refusal:
    place = f"{one.place}: " if one.place else ""
    return Refusal(
        code=one.code,
        objects=(one.object,),
        proxy_class=one.proxies or "all that take this route",
        request=f"{place}{one.object} {one.field}: {one.effect}",
        remedy=one.remedy,
    )


def _cautions(warnings: Sequence[Finding]) -> Iterator[Caution]:
    for one in warnings[:SHOWN_WARNINGS]:
        # Without the line: a plan that was saved has no files any more, and has to be the same.
        yield Caution(one.code, f"{one.object} {one.field}: {one.effect} {one.remedy}", (one.object,))
    more = len(warnings) - SHOWN_WARNINGS
    if more > 0:
        objects = tuple(dict.fromkeys(one.object for one in warnings[SHOWN_WARNINGS:]))
        yield Caution("checks", f"{more} more warnings; `safeapply check` with the same files shows them", objects)
