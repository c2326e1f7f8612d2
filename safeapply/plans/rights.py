"""Which rights safeapply needs, and what for: what ``safeapply rbac`` prints and errors quote. Pure.

What decides where requests go is read in all namespaces, for a route anywhere may need what a rollout takes away;
written is only what the files say. Whoever adds a request to the API server adds its right here, and the test that
runs rollouts with exactly these rights says so where that is forgotten.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from safeapply.istio.kinds import (
    DESTINATION_RULE,
    GATEWAY,
    POD,
    ROUTING_KINDS,
    SERVICE,
    SERVICE_ENTRY,
    VIRTUAL_SERVICE,
    WORKLOAD_KINDS,
)
from safeapply.istio.mesh_settings import CONFIG_MAP, NAMESPACE
from safeapply.plans.in_use import NEEDING_KINDS
from safeapply.plans.owners import OWNING_KINDS
from safeapply.plans.records import RECORD_PREFIX, record_name
from safeapply.resources.objects import GroupKind, Namespace, Resource, ResourceId
from safeapply.resources.plurals import plural_of
from safeapply.resources.scopes import is_namespaced
from safeapply.resources.secrets import SECRET

__all__ = [
    "EVERYWHERE",
    "LEASE_NAME",
    "LISTED_KINDS",
    "NOTE",
    "PRUNED_KINDS",
    "Right",
    "Way",
    "attending",
    "deleting",
    "deleting_kinds",
    "executing",
    "general",
    "keeping",
    "kind_named",
    "namespace_of_note",
    "noting",
    "places_written",
    "pruning",
    "purpose_of",
    "reading",
    "recording",
    "waiting",
    "writing",
]

LISTED_KINDS: Final = tuple(dict.fromkeys((*ROUTING_KINDS, *WORKLOAD_KINDS, POD, *NEEDING_KINDS, *OWNING_KINDS)))
"""The kinds of which every live object counts, wherever it stands."""
LEASE_NAME: Final = "safeapply"
"""The Lease that keeps two rollouts of one mesh apart."""
NOTE: Final = GroupKind("events.k8s.io", "Event")
"""What is left on an object that was written."""
EVERYWHERE: Final = Namespace("")
PRUNED_KINDS: Final = frozenset({VIRTUAL_SERVICE, DESTINATION_RULE, GATEWAY, SERVICE_ENTRY, *WORKLOAD_KINDS})
"""What ``--prune -l`` may delete: nothing that a workload which stays may need to run."""

_LEASE: Final = GroupKind("coordination.k8s.io", "Lease")
_DEFINITION: Final = GroupKind("apiextensions.k8s.io", "CustomResourceDefinition")
_ISTIO: Final = {
    "networking.istio.io": (
        *("DestinationRule", "EnvoyFilter", "Gateway", "ProxyConfig", "ServiceEntry", "Sidecar", "VirtualService"),
        *("WorkloadEntry", "WorkloadGroup"),
    ),
    "security.istio.io": ("AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication"),
    "telemetry.istio.io": ("Telemetry",),
    "extensions.istio.io": ("WasmPlugin",),
    "gateway.networking.k8s.io": (
        *("GRPCRoute", "Gateway", "HTTPRoute", "ReferenceGrant", "TCPRoute", "TLSRoute"),
    ),
}
_OF_THE_MESH: Final = tuple(GroupKind(group, kind) for group, kinds in _ISTIO.items() for kind in kinds)
"""What is written where nobody says what."""

_ROUTES: Final = "to know where requests go, in every namespace"
_CONFIG: Final = "to know who sees what does not say so, from Istio's MeshConfig"
_SPACES: Final = "to know which namespaces istiod reads, where the MeshConfig has discoverySelectors"
_OWNERS: Final = "to leave to Argo Rollouts and Flagger what they write"
_PODS: Final = "to know which Envoys run"
_FOLLOW: Final = "to follow the Envoys that come and go while a step waits"
_READ: Final = "to read the configuration of the Envoys, and what istiod has seen"
_READ_ENVOYS: Final = "to read the configuration of the Envoys"
_READ_ISTIOD: Final = "to ask istiod what it has seen"
_KEEP: Final = "to keep what a rollout finds, so that there is a way back (--no-record does without)"
_LOCK: Final = "to keep two rollouts of one mesh apart"
_NOTE: Final = "to note on each object who changed it, and in which step (a rollout does without, too)"
_WRITE: Final = "to write what the files say"
_LIVE: Final = "to read what is there before it is written"
_DELETE: Final = "to take away what is wanted no more"
_MEMBERS: Final = "to find the members of the apply set"
_SET: Final = "to keep the apply set"
_PARENT: Final = "to know whether the kind may be the parent of an apply set"


@dataclass(frozen=True, slots=True, order=True)
class Way:
    """How the Envoys are reached, as far as the API server has a part in it: a subresource of pods."""

    subresource: str
    """``portforward``, ``exec``; empty where the API server has none."""


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """Some verbs on one kind of object."""

    namespace: Namespace
    """Where; ``EVERYWHERE`` for all namespaces, and for kinds outside of them."""
    kind: GroupKind
    subresource: str
    verbs: tuple[str, ...]
    names: tuple[str, ...]
    """The objects; empty for all."""
    why: str


def reading(way: Way, root: Namespace) -> tuple[Right, ...]:
    """Return what it takes to know the mesh: to plan, to wait, to tell its status."""
    listed = [_right(kind, "list", why=_OWNERS if kind in OWNING_KINDS else _ROUTES) for kind in LISTED_KINDS]
    pods = (_right(POD, "list", why=_PODS), _right(POD, "watch", why=_FOLLOW))
    config = _right(CONFIG_MAP, "get", at=root, why=_CONFIG)
    spaces = _right(NAMESPACE, "list", why=_SPACES)
    return (*(one for one in listed if one.kind != POD), *pods, config, spaces, *_asking(way, root))


def attending(way: Way) -> tuple[Right, ...]:
    """Return what it takes in another cluster of the mesh, which holds no configuration: to read its Envoys."""
    below = [_right(POD, "create", "get", below=way.subresource, why=_READ_ENVOYS)] if way.subresource else []
    return (
        _right(SERVICE, "list", why=_ROUTES),
        _right(POD, "list", why=_PODS),
        _right(POD, "watch", why=_FOLLOW),
        *below,
    )


def waiting(way: Way, root: Namespace) -> tuple[Right, ...]:
    """Return what it takes to follow the Envoys and to read them."""
    return (_right(POD, "watch", why=_FOLLOW), *_asking(way, root))


def executing(way: Way, root: Namespace, lock: Namespace | None = None) -> tuple[Right, ...]:
    """Return what a rollout needs before its first write, and nothing has shown until then that it has.

    The Lease is created by an apply, whose name the API server knows when it asks for the right to create; so that
    right is given by name, too (kubernetes ``handlers/patch.go``, ``createAuthorizerAttributes``).
    """
    lease = _right(_LEASE, "get", "create", "patch", at=lock or root, names=(LEASE_NAME,), why=_LOCK)
    return (*waiting(way, root), lease)


def keeping(user: str, spaces: Iterable[Namespace]) -> tuple[Right, ...]:
    """Return what it takes to keep the records of one user: that user's own Secrets, by name, and no other."""
    names = (record_name(user),)
    return tuple(
        _right(SECRET, "get", "create", "patch", at=space, names=names, why=_KEEP) for space in sorted(set(spaces))
    )


def writing(manifests: Iterable[Resource]) -> tuple[Right, ...]:
    """Return what it takes to apply manifests; Secrets are named one by one, so that no other can be read."""
    rights: list[Right] = []
    for (kind, space), names in _places(one.id for one in manifests):
        only = tuple(sorted(names)) if kind == SECRET else ()
        rights.append(_right(kind, "get", at=space, names=only, why=_LIVE))
        rights.append(_right(kind, "patch", at=space, names=only, why=_WRITE))
        rights.append(_right(kind, "create", at=space, why=_WRITE))
    return tuple(rights)


def namespace_of_note(one: ResourceId) -> Namespace:
    """Return where an Event about an object stands: with it, or in ``default`` where it stands nowhere."""
    return one.namespace if one.namespace and is_namespaced(one.group_kind) else Namespace("default")


def noting(ids: Iterable[ResourceId]) -> tuple[Right, ...]:
    """Return what it takes to leave notes on objects; nothing fails without it."""
    spaces = sorted({namespace_of_note(one) for one in ids})
    return tuple(_right(NOTE, "create", at=space, why=_NOTE) for space in spaces)


def deleting(doomed: Iterable[ResourceId], *, named: bool = False) -> tuple[Right, ...]:
    """Return what it takes to read objects and to delete them; by their names, where that is asked for."""
    return tuple(
        right
        for (kind, space), names in _places(doomed)
        for only in (tuple(sorted(names)) if named or kind == SECRET else (),)
        for right in (
            _right(kind, "get", at=space, names=only, why=_LIVE),
            _right(kind, "delete", at=space, names=only, why=_DELETE),
        )
    )


def deleting_kinds(ids: Iterable[ResourceId]) -> tuple[Right, ...]:
    """Return what it takes to delete whatever is of these kinds in these namespaces: what went has no name here."""
    return tuple(_right(kind, "delete", at=space, why=_DELETE) for (kind, space), _ in _places(ids))


def pruning() -> tuple[Right, ...]:
    """Return what ``--prune -l`` takes: labels may be on objects in any namespace."""
    return tuple(_right(kind, "delete", why=_DELETE) for kind in sorted(PRUNED_KINDS))


def recording(parent: ResourceId, members: Iterable[ResourceId], plural: str = "") -> tuple[Right, ...]:
    """Return what an apply set takes: its parent, and finding its members, by a label.

    Args:
        parent: the object that keeps the set.
        members: what is in it.
        plural: ``PLURAL.GROUP`` of a custom parent.
    """
    at = parent.namespace
    own = [_right(parent.group_kind, "get", "patch", at=at, names=(parent.name,), why=_SET)]
    if plural:
        own.append(_right(_DEFINITION, "get", names=(plural,), why=_PARENT))
    else:
        own.append(_right(parent.group_kind, "create", at=at, why=_SET))
    found = [_right(kind, "list", at=space, why=_MEMBERS) for (kind, space), _ in _places(members)]
    return (*own, *found)


def general(way: Way, root: Namespace, lock: Namespace | None = None) -> tuple[Right, ...]:
    """Return what it takes to apply and to delete whatever a mesh is configured by, in all namespaces."""
    verbs = {"get": _LIVE, "create": _WRITE, "patch": _WRITE, "delete": _DELETE}
    writes = [_right(kind, verb, why=why) for kind in _OF_THE_MESH for verb, why in verbs.items()]
    return (*reading(way, root), *executing(way, root, lock), *writes, _right(NOTE, "create", why=_NOTE))


def places_written(ids: Iterable[ResourceId], lock: Namespace) -> frozenset[Namespace]:
    """Return the namespaces in which records are kept of a rollout of these objects."""
    return frozenset({lock, *(one.namespace for one in ids if one.namespace and is_namespaced(one.group_kind))})


def purpose_of(verb: str, kind: GroupKind, subresource: str, name: str = "") -> str:
    """Return what a right is needed for, where only the server's refusal is known."""
    if subresource:
        return _READ
    if kind == _LEASE:
        return _LOCK
    if kind == SECRET and name.startswith(RECORD_PREFIX):
        return _KEEP
    known = {"get": _LIVE, "delete": _DELETE, "create": _WRITE, "patch": _WRITE}
    of_pods = {"list": _PODS, "watch": _FOLLOW}
    if kind == POD and verb in of_pods:
        return of_pods[verb]
    if verb == "list":
        return _OWNERS if kind in OWNING_KINDS else _ROUTES if kind in LISTED_KINDS else _MEMBERS
    return known.get(verb, "")


def kind_named(group: str, plural: str) -> str:
    """Return the kind behind a plural, as far as it is one with a purpose of its own; else the plural itself."""
    known = (*LISTED_KINDS, *_OF_THE_MESH, POD, _LEASE, SECRET)
    return next((one.kind for one in known if (one.group, plural_of(one)) == (group, plural)), plural)


def _asking(way: Way, root: Namespace) -> Iterator[Right]:
    # A websocket is a GET; since Kubernetes 1.35 the right to create is asked for as well (KEP-4006).
    if way.subresource == "portforward":
        yield _right(POD, "create", "get", below=way.subresource, why=_READ)
        return
    if way.subresource:
        yield _right(POD, "create", "get", below=way.subresource, why=_READ_ENVOYS)
    yield _right(POD, "create", "get", at=root, below="portforward", why=_READ_ISTIOD)


def _places(ids: Iterable[ResourceId]) -> list[tuple[tuple[GroupKind, Namespace], set[str]]]:
    """Return the names by kind and namespace, in a fixed order."""
    places: dict[tuple[GroupKind, Namespace], set[str]] = defaultdict(set)
    for one in ids:
        places[one.group_kind, one.namespace if is_namespaced(one.group_kind) else EVERYWHERE].add(one.name)
    return sorted(places.items())


def _right(
    kind: GroupKind,
    *verbs: str,
    at: Namespace = EVERYWHERE,
    below: str = "",
    names: Collection[str] = (),
    why: str,
) -> Right:
    return Right(at, kind, below, verbs, tuple(names), why)
