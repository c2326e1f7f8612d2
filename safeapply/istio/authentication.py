"""What a server accepts: the PeerAuthentications that decide for a workload and a port (ISTIO.md 6.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from safeapply.istio.kinds import PeerAuthentication
from safeapply.istio.proxies import Labels
from safeapply.istio.revisions import Revision
from safeapply.istio.snapshot import Snapshot
from safeapply.istio.tls import Mode
from safeapply.resources.objects import Namespace, ResourceId

__all__ = ["Acceptance", "Server", "acceptances", "namespace_modes", "policies_in_path"]


@dataclass(frozen=True, slots=True)
class Server:
    """Pods that nothing can tell apart: by the labels that some PeerAuthentication reads, and by their sidecars."""

    namespace: Namespace
    labels: Labels
    sidecar: bool = True
    marked: bool = True
    """Whether clients send it mutual TLS by themselves."""
    revision: Revision | None = None
    """Whose istiods configure it; None where no object names one."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What a server accepts on a port, and who says so."""

    mode: Mode
    """Never UNSET."""
    policy: ResourceId | None
    """None for the mesh's default, and for a pod without a sidecar."""


_DEFAULT = Acceptance(Mode.PERMISSIVE, None)
_BARE = Acceptance(Mode.DISABLE, None)


def policies_in_path(snapshot: Snapshot, namespace: Namespace) -> tuple[ResourceId, ...]:
    """Return every PeerAuthentication that can decide for the workloads of a namespace."""
    own, root = snapshot.index.authentications, snapshot.mesh.root_namespace
    return (*own.get(namespace, ()), *(own.get(root, ()) if namespace != root else ()))


def acceptances(snapshot: Snapshot, server: Server, port: int) -> tuple[Acceptance, ...]:
    """Return what a server may accept on a target port, over all versions of all policies."""
    if not server.sidecar:
        return (_BARE,)
    root = snapshot.mesh.root_namespace
    return tuple(dict.fromkeys(_effective(m, server, port, root) for m in _mixtures(snapshot, server.namespace)))


def namespace_modes(snapshot: Snapshot, namespace: Namespace) -> tuple[Acceptance, ...]:
    """Return what may hold for a namespace as a whole: clients look no closer to build a cluster (ISTIO.md 6.2)."""
    root = snapshot.mesh.root_namespace
    return tuple(dict.fromkeys(_inherited(m, namespace, root) for m in _mixtures(snapshot, namespace)))


def _mixtures(snapshot: Snapshot, namespace: Namespace) -> Iterator[Sequence[PeerAuthentication]]:
    path = policies_in_path(snapshot, namespace)
    for mixture in product(*(snapshot.authentication_versions(one) for one in path)):
        yield [one for one in mixture if one is not None]


def _effective(policies: Sequence[PeerAuthentication], server: Server, port: int, root: Namespace) -> Acceptance:
    """Return what decides of some policies: the workload's, else the namespace's, else the mesh's."""
    wider = _inherited(policies, server.namespace, root)
    # In the root namespace a policy with a selector is ignored.
    own = _oldest(
        one
        for one in policies
        if one.selector and one.id.namespace == server.namespace != root and server.labels.match(dict(one.selector))
    )
    if own is None:
        return wider
    whole = _or(own.mode, own.id, wider)
    # portLevelMtls counts only in a workload's policy, by the port of the workload.
    return _or(dict(own.ports).get(port, Mode.UNSET), own.id, whole)


def _inherited(policies: Sequence[PeerAuthentication], namespace: Namespace, root: Namespace) -> Acceptance:
    found = _DEFAULT
    for level in dict.fromkeys((root, namespace)):
        one = _oldest(p for p in policies if not p.selector and p.id.namespace == level)
        if one is not None:
            found = _or(one.mode, one.id, found)
    return found


def _or(mode: Mode, policy: ResourceId, wider: Acceptance) -> Acceptance:
    return wider if mode is Mode.UNSET else Acceptance(mode, policy)


def _oldest(policies: Iterable[PeerAuthentication]) -> PeerAuthentication | None:
    return min(policies, key=lambda one: one.age, default=None)
