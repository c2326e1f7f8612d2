"""Which clients may have to be pinned: those whom automatic mTLS would move with their servers (ISTIO.md 6.5)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from safeapply.istio.authentication import acceptances, namespace_modes
from safeapply.istio.handshakes import Handshakes
from safeapply.istio.kinds import PEER_AUTHENTICATION
from safeapply.istio.proxies import ProxyClass, Role
from safeapply.istio.reach import hosts_met
from safeapply.istio.snapshot import Snapshot
from safeapply.istio.tls import Mode
from safeapply.istio.view import Views
from safeapply.plans.changes import Change
from safeapply.plans.pins import new_pin
from safeapply.plans.versions import Stage, pins
from safeapply.resources.objects import Namespace, Resource, ResourceId
from safeapply.xds.names import Host

__all__ = ["possible_pins"]


def possible_pins(
    mesh: Snapshot, changes: Mapping[ResourceId, Change], live: Mapping[ResourceId, Resource]
) -> Mapping[ResourceId, Mapping[Stage, Resource]]:
    """Return the rules that can pin somebody, changed ones and new ones; none where no client would move.

    Args:
        mesh: every object with all its versions.
        changes: the objects to be written or deleted.
        live: all that is live.
    """
    policies = [one for one in changes if one.group_kind == PEER_AUTHENTICATION]
    versions = [v for one in policies for v in mesh.authentication_versions(one) if v is not None]
    found: dict[ResourceId, Mapping[Stage, Resource]] = {}
    shakes = Handshakes(Views(mesh))
    taken = {*changes, *live}
    for host in hosts_met(mesh.index, versions, mesh.mesh.root_namespace):
        owners = _moved(shakes, mesh, host)
        rules = [one for one in mesh.index.rules_for(host) if one in changes] if owners else []
        found |= {one: pins(changes[one], mesh.mesh) for one in rules}
        for namespace in _places(mesh, host, owners, changes):
            near = [one for one in mesh.index.rules.get(host, ()) if one.namespace == namespace]
            pin = new_pin(
                host, namespace, taken, policies, _export_to(near, live, private_rules=mesh.mesh.private_rules)
            )
            taken.add(pin.id)
            found[pin.id] = {Stage.PINNED: pin}
    return found


def _places(
    mesh: Snapshot, host: Host, owners: Mapping[Namespace, None], changes: Mapping[ResourceId, Change]
) -> dict[Namespace, None]:
    """Return where a new rule would pin: beside every rule that is looked up, and else where the host is.

    A rule of a client's own namespace, or one of the whole mesh, would hide a pin elsewhere, or be hidden by it.
    """
    rules = mesh.index.rules.get(host, ())
    beside = dict.fromkeys(one.namespace for one in rules if one not in changes)
    known = {one.namespace for one in rules}
    if mesh.mesh.root_namespace in known:
        return beside
    return {**beside, **{one: None for one in owners if one not in known}}


def _moved(shakes: Handshakes, mesh: Snapshot, host: Host) -> dict[Namespace, None]:
    """Return the namespaces of a host whose servers come from DISABLE or go there."""
    owners = defaultdict[Namespace, set[Mode]](set)
    for namespace in dict.fromkeys(one.namespace for one in mesh.index.registry.get(host, ())):
        client = ProxyClass(Role.SIDECAR, namespace)
        for shake in shakes.of(client, host):
            modes = {one.mode for one in acceptances(mesh, shake.server, shake.target)}
            modes |= {one.mode for one in namespace_modes(mesh, namespace)}
            owners[namespace] |= modes
    return {one: None for one, modes in owners.items() if Mode.DISABLE in modes and len(modes) > 1}


def _export_to(near: list[ResourceId], live: Mapping[ResourceId, Resource], *, private_rules: bool) -> object:
    """Return to whom the rules beside a pin are exported: it is merged with them only if that is the same."""
    said = (live[one].spec.get("exportTo") for one in near if one in live)
    # Where there is nothing to be merged with it is for all clients, also where the mesh's default is ".".
    return next(said, ["*"] if private_rules else None)
