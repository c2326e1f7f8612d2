"""What clients send against what servers accept ("503 errors after setting destination rule"; ISTIO.md 6).

Istio once had a command for the table, ``istioctl authn tls-check``; it was removed in 1.6.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from safeapply.checks import catalogue
from safeapply.checks.findings import Finding, Severity
from safeapply.checks.requests import who
from safeapply.checks.scene import Scene
from safeapply.istio.handshake_words import called, quarrel
from safeapply.istio.handshakes import Conflict, Handshake
from safeapply.istio.kinds import DESTINATION_RULE, POD
from safeapply.istio.localities import met
from safeapply.istio.proxies import ProxyClass
from safeapply.istio.tls import Sent
from safeapply.resources.objects import Document, FieldPath, ResourceId
from safeapply.xds.names import Host

__all__ = ["Encounter", "Status", "encounters", "refused_handshakes"]


_LET_IN: Final = (
    "Let the PeerAuthentication be PERMISSIVE, or the DestinationRule say what the server accepts; "
    "without tls.mode it sends mTLS to whoever accepts it."
)
_BARE: Final = (
    "Give the pods a sidecar, or take tls.mode out of the rule: it then sends mTLS to whoever accepts it."
)


class Status(Enum):
    """Whether requests to a port get in."""

    OK = "OK"
    CONFLICT = "CONFLICT"
    """None does."""
    MIXED = "MIXED"
    """Those of some clients, or to some pods, do not."""


@dataclass(frozen=True, slots=True)
class Encounter:
    """One port of a host, with all that its clients send and its servers accept."""

    host: Host
    port: int
    status: Status
    server: tuple[str, ...]
    client: tuple[str, ...]
    policies: tuple[ResourceId, ...]
    rules: tuple[ResourceId, ...]


def encounters(scene: Scene) -> Iterator[Encounter]:
    """Yield every port of every host behind which pods are known, in the order of their names."""
    shakes: dict[tuple[Host, int], dict[Handshake, None]] = defaultdict(dict)
    for host, one, _ in _meetings(scene, list(scene.snapshot.index.registry)):
        for shake in scene.handshakes.used(one, host):
            shakes[host, shake.port][shake] = None
    yield from (_encounter(host, port, list(shakes[host, port])) for host, port in sorted(shakes))


def refused_handshakes(scene: Scene) -> Iterator[Finding]:
    """Yield what sends, and what accepts, where the two do not meet; with all classes that feel it."""
    found: dict[tuple[object, ...], tuple[Conflict, set[ProxyClass]]] = {}
    for host, one, crowd in _meetings(scene, _doubted(scene)):
        for conflict in scene.handshakes.conflicts(one, host):
            key = (conflict.sending, conflict.accepted, conflict.cluster)
            found.setdefault(key, (conflict, set()))[1].update(crowd)
    for conflict, classes in found.values():
        yield _finding(scene, conflict, classes)


def _meetings(scene: Scene, hosts: list[Host]) -> Iterator[tuple[Host, ProxyClass, Iterable[ProxyClass]]]:
    for part in met(scene.snapshot, scene.classes, hosts):
        for host in part.hosts:
            for one, crowd in part.crowds.items():
                yield host, one, crowd


def _doubted(scene: Scene) -> list[Host]:
    """Return the hosts of which some object says more than automatic mTLS: no others can conflict at rest."""
    index = scene.snapshot.index
    ruled = {rule.host for rule in scene.rules() if _says(scene, rule.id)}
    return [
        host
        for host, owners in index.registry.items()
        if any(_authenticated(scene, owner) for owner in owners)
        or any(
            rule.host in ruled
            for one in index.rules_for(host)
            for rule in scene.snapshot.rule_versions(one)
            if rule
        )
    ]


def _authenticated(scene: Scene, owner: ResourceId) -> bool:
    index, root = scene.snapshot.index, scene.snapshot.mesh.root_namespace
    return bool(index.authentications.get(owner.namespace) or index.authentications.get(root))


def _says(scene: Scene, rule: ResourceId) -> bool:
    spec = scene.resources[rule].spec
    return "trafficPolicy" in spec or any("trafficPolicy" in subset for subset in spec.get("subsets") or ())


def _encounter(host: Host, port: int, shakes: list[Handshake]) -> Encounter:
    failing = [any(shake.conflicts()) for shake in shakes]
    status = Status.CONFLICT if all(failing) else Status.MIXED if any(failing) else Status.OK
    accepted = [one for shake in shakes for one in shake.accepted]
    sent = [one for shake in shakes for one in shake.sendings]
    sources = {one.source for one in sent if one.source is not None}
    return Encounter(
        host=host,
        port=port,
        status=status,
        server=tuple(sorted({one.mode.value for one in accepted})),
        client=tuple(sorted({one.sent.value for one in sent})),
        policies=tuple(sorted({one.policy for one in accepted if one.policy is not None})),
        rules=tuple(sorted(one for one in sources if one.group_kind == DESTINATION_RULE)),
    )


def _finding(scene: Scene, conflict: Conflict, classes: set[ProxyClass]) -> Finding:
    source = conflict.sending.source
    rule = source if source is not None and source.group_kind == DESTINATION_RULE else None
    at_fault = rule or conflict.accepted.policy or source
    answer = "answer 503 UF" if conflict.sending.sent is Sent.MTLS else "are reset"
    owner = at_fault or next(one.id for one in scene.services(conflict.host))
    sure = _is_known(scene, conflict)
    provided = "" if sure else " if its pods have a sidecar"
    return Finding(
        code=catalogue.TLS_CONFLICT,
        severity=Severity.ERROR if sure else Severity.WARNING,
        object=owner,
        field=_field(scene, rule, conflict) if rule else FieldPath("spec.mtls"),
        effect=f"Requests to {called(conflict)} {answer}{provided}: {quarrel(conflict)}.",
        remedy=_LET_IN if conflict.server.sidecar else _BARE,
        about=f"{conflict.cluster} {quarrel(conflict)}",
        proxies=who(classes),
    )


def _is_known(scene: Scene, conflict: Conflict) -> bool:
    """Tell whether some pod shows that the servers have a sidecar: no Service does, and hardly a Deployment."""
    service = scene.service(conflict.host)
    if service is None or not conflict.server.sidecar:
        return True
    return any(one.id.group_kind == POD for one in scene.workloads(service.namespace, service.selector))


def _field(scene: Scene, rule: ResourceId, conflict: Conflict) -> FieldPath:
    """Return the field that decides: of the subset before that of the rule, of the port before all ports."""
    spec, name = scene.resources[rule].spec, conflict.cluster.split("|")[2]
    subsets: list[Document] = list(spec.get("subsets") or ())
    owners = [(f"spec.subsets[{index}]", one) for index, one in enumerate(subsets) if one.get("name") == name]
    for path, owner in (*owners, ("spec", spec)):
        policy: Document = owner.get("trafficPolicy") or {}
        ports: list[Document] = list(policy.get("portLevelSettings") or ())
        for index, port in enumerate(ports):
            if (port.get("port") or {}).get("number") == conflict.port and "tls" in port:
                return FieldPath(f"{path}.trafficPolicy.portLevelSettings[{index}].tls.mode")
        if "tls" in policy:
            return FieldPath(f"{path}.trafficPolicy.tls.mode")
    return FieldPath("spec.trafficPolicy")
