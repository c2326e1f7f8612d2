"""Why nothing will be written: the request that would fail, the objects, the field and the line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from safeapply.istio.handshake_words import reset
from safeapply.istio.handshakes import Conflict
from safeapply.istio.kinds import SERVICE_ENTRY
from safeapply.istio.mesh_settings import NAMESPACE, MeshSettings, differing, is_config, settings_of
from safeapply.istio.proxies import ProxyClass
from safeapply.istio.routes import Reference, references
from safeapply.plans.changes import Change
from safeapply.plans.constraints import Dangling
from safeapply.plans.gateway_order import Unbound
from safeapply.plans.plan import Refusal, Step
from safeapply.plans.route_order import MissingDelegate
from safeapply.plans.transition import Transition
from safeapply.plans.verifier import Counterexample
from safeapply.plans.writes import Cycle
from safeapply.resources.objects import FieldPath, Namespace, ResourceId

__all__ = [
    "failure",
    "refuse_conflicts",
    "refuse_counterexample",
    "refuse_cycle",
    "refuse_dangling",
    "refuse_discovery",
    "refuse_mesh_config",
    "refuse_missing_delegate",
    "refuse_unbound",
]


def refuse_dangling(transition: Transition, found: Sequence[Dangling]) -> Iterator[Refusal]:
    """Yield one refusal for each field that would name a missing cluster, with all classes that would see it."""
    fields: dict[tuple[ResourceId, FieldPath], list[Dangling]] = {}
    # In one order: whoever asks again is told the same.
    for one in sorted(found, key=_order):
        fields.setdefault((one.reference.chain[-1], one.reference.path), []).append(one)
    for (owner, _), several in fields.items():
        reference = several[0].reference
        classes = ", ".join(sorted({str(one.proxy_class) for one in several}))
        changed = owner in transition.changes
        yield Refusal(
            code="dangling-reference" if changed else "in-use",
            objects=(owner, *(() if changed else _providers(transition, reference))),
            proxy_class=classes,
            request=f"{_naming(transition, reference)} names {_target(reference)}, which {_fate(changed)}: "
            f"{_request(reference)} would answer 503 NC",
            remedy=_remedy(transition, reference, changed=changed),
        )


def _order(found: Dangling) -> tuple[str, str, str, int, str, str]:
    one = found.reference
    owners = " ".join(map(str, reversed(one.chain)))
    return owners, one.path, one.domain or "", one.port, one.cluster, str(found.proxy_class)


def refuse_missing_delegate(transition: Transition, found: MissingDelegate) -> Refusal:
    """Return the refusal for a rule that hands over to nobody."""
    path = FieldPath(f"{found.path}.delegate")
    return Refusal(
        code="missing-delegate",
        objects=(found.root, found.delegate),
        proxy_class="all that take this route",
        request=f"{_place(transition, found.root, path)} hands over to {found.delegate}, which will not exist: "
        "istiod drops the rule, and its requests fall to a later rule, to the whole service, or to 404",
        remedy=f"keep or add {found.delegate}, or take the rule out of {found.root}",
    )


_SPLIT: Final = "split the change: first add what is new, apply, then move the routes, apply, then remove the rest"
_SPLIT_TLS: Final = (
    "split the change: first let the servers be PERMISSIVE, and pin their clients by a DestinationRule with "
    "tls.mode DISABLE, apply, then change the servers, apply, then the clients"
)


def refuse_counterexample(transition: Transition, found: Counterexample, steps: Sequence[Step]) -> Refusal:
    """Return the refusal for a state that the verifier found."""
    racing = ", ".join(str(operation.resource.id) for operation in steps[found.step].operations)
    owners = found.request.chain[-1:] if isinstance(found.request, Reference) else ()
    remedy = _SPLIT_TLS if isinstance(found.request, Conflict) else _SPLIT
    return Refusal(
        code="no-safe-order",
        objects=tuple(dict.fromkeys((*owners, *found.racing))),
        proxy_class=str(found.proxy_class),
        request=f"while step {found.step + 1} ({racing}) is under way, {_fails(transition, found)}",
        remedy=remedy,
    )


def failure(transition: Transition, found: Counterexample) -> str:
    """Return which request fails, how, and on which proxies."""
    # A conflict names its clients itself.
    place = "" if isinstance(found.request, Conflict) else f"on {found.proxy_class} "
    return f"{place}{_fails(transition, found)}"


def _fails(transition: Transition, found: Counterexample) -> str:
    match found.request:
        case Reference() as reference:
            return (
                f"{_request(reference)} can meet a route to {_target(reference)} without its cluster and answer "
                f"503 NC; {_naming_then(transition, found.proxy_class, reference)} names it"
            )
        case Conflict() as conflict:
            return reset(conflict)
        case request:
            return f"a proxy can have no route for requests to {request} and answer 404"


def refuse_conflicts(found: Sequence[Conflict]) -> Iterator[Refusal]:
    """Yield one refusal for each policy and rule that contradict each other, with all classes that feel it."""
    pairs: dict[tuple[object, ...], list[Conflict]] = {}
    for one in found:
        pairs.setdefault((one.sending, one.accepted, one.host, one.port), []).append(one)
    for several in pairs.values():
        conflict = several[0]
        objects = (conflict.accepted.policy, conflict.sending.source)
        yield Refusal(
            code="tls-conflict",
            objects=tuple(dict.fromkeys(one for one in objects if one is not None)),
            proxy_class=", ".join(sorted({str(one.proxy_class) for one in several})),
            request=f"once all is written, {reset(conflict)}",
            remedy="let the PeerAuthentication be PERMISSIVE, or the DestinationRule say what the server accepts; "
            "without tls.mode it sends mTLS to whoever accepts it",
        )


def refuse_unbound(found: Unbound) -> Refusal:
    """Return the refusal for a Gateway that goes while live routes outside the set need it."""
    return Refusal(
        code="in-use",
        objects=(found.route, found.gateway),
        proxy_class=str(found.proxy_class),
        request=f"{found.route} spec.gateways names {found.gateway}, which would not serve it any more: "
        f"requests to {found.request} would answer 404",
        remedy=f"move {found.route} to another Gateway first, or keep this one: the route is not among the files",
    )


def refuse_cycle(cycle: Cycle) -> Refusal:
    """Return the refusal for objects that wait for each other and cannot be bridged."""
    chain = " -> ".join(map(str, cycle.objects))
    return Refusal(
        code="cycle",
        objects=cycle.objects,
        proxy_class="all",
        request=f"each of these objects must be written before the next one: {chain}",
        remedy="give the new version a name of its own, apply it beside the old one, and delete the old one after",
    )


def refuse_mesh_config(changes: Iterable[Change], root: Namespace) -> Iterator[Refusal]:
    """Yield a refusal for each MeshConfig that would decide anew who sees what: all proxies learn it at once.

    Raises:
        MeshConfigError: one of them cannot be read.
    """
    for change in changes:
        ends = (change.live, change.desired or change.manifest)
        live, desired = (settings_of({one.id: one} if one else {}, root) for one in ends)
        if is_config(change.id, root) and live != desired:
            fields = ", ".join(differing(live, desired))
            yield Refusal(
                code="mesh-config",
                objects=(change.id,),
                proxy_class="all",
                request=f"{change.id} would change {fields}: istiod takes that up for all objects at once, and no "
                "order of writes can make it safe",
                remedy="let the objects say for themselves what the new default would be (exportTo, tls.mode), "
                "apply them, and change the MeshConfig with kubectl after",
            )


def refuse_discovery(changes: Iterable[Change], mesh: MeshSettings) -> Iterator[Refusal]:
    """Yield a refusal for each Namespace that istiod would begin to read or leave, with all that stands in it."""
    for change in changes:
        live, desired = change.live, change.desired or change.manifest
        if change.id.group_kind != NAMESPACE or live is None or desired is None:
            continue
        if mesh.reads(live) != mesh.reads(desired):
            turn = "leave" if mesh.reads(live) else "begin to read"
            yield Refusal(
                code="mesh-config",
                objects=(change.id,),
                proxy_class="all",
                request=f"by the labels of {change.id} istiod would {turn} all that stands in it at once "
                "(discoverySelectors), and no order of writes can make that safe",
                remedy="change the labels of the Namespace with kubectl, before or after",
            )


def _providers(transition: Transition, reference: Reference) -> tuple[ResourceId, ...]:
    return tuple(rule for rule in transition.mesh.index.rules_for(reference.host) if rule in transition.changes)


def _naming(transition: Transition, reference: Reference) -> str:
    path = FieldPath(f"{reference.path}.{'subset' if reference.subset else 'host'}")
    return _place(transition, reference.chain[-1], path)


def _naming_then(transition: Transition, proxy_class: ProxyClass, reference: Reference) -> str:
    """Return who names a cluster: the file only where it is the desired version that does."""
    if reference in references(transition.desired, proxy_class, reference.chain[:1]):
        return _naming(transition, reference)
    before = reference in references(transition.live, proxy_class, reference.chain[:1])
    return f"{reference.chain[-1]}, as it is {'before' if before else 'in between'},"


def _place(transition: Transition, owner: ResourceId, path: FieldPath) -> str:
    """Return ``file:line: virtualservice...: field``; live objects have no file."""
    change = transition.changes.get(owner)
    origin = change.manifest.origin if change and change.manifest else None
    file = f"{origin.file}:{origin.line_of(path)}: " if origin else ""
    return f"{file}{owner} {path}"


def _target(reference: Reference) -> str:
    alias = f" by its alias {reference.alias}" if reference.alias else ""
    if reference.subset:
        return f"subset {reference.subset} of {reference.host}{alias}"
    return f"host {reference.host} (cluster {reference.cluster}){alias}"


def _fate(changed: bool) -> str:  # noqa: FBT001  the one thing it depends on
    return "will not exist" if changed else "would be removed"


def _request(reference: Reference) -> str:
    return f"a request to {reference}"


def _remedy(transition: Transition, reference: Reference, *, changed: bool) -> str:
    if not changed:
        return f"move {reference.chain[-1]} away from it first, or keep it: it is not among the files"
    if reference.subset:
        declared = transition.mesh.index.registry.get(reference.host, ())
        entry = next((one for one in declared if one.group_kind == SERVICE_ENTRY), None)
        labels = f", with labels that an endpoint of {entry} has," if entry else ""
        where = "to a DestinationRule that these proxies look up"
        return f"add subset {reference.subset}{labels} {where}, or correct the name"
    return "declare the host as a Service or ServiceEntry with this port, or correct the name"
