"""The options that several functions share (PEP 692), and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Final, Literal, TypeAlias, TypedDict

from safeapply.adapters.access import ClusterAccess
from safeapply.commands.choices import DryRun, Via
from safeapply.commands.inputs import Pruning
from safeapply.commands.manner import Manner
from safeapply.commands.reach import Reach, reach_of
from safeapply.resources.objects import Namespace
from safeapply.rollout.events import Event

__all__ = [
    "ROOT",
    "SOAK",
    "Connecting",
    "Listener",
    "Reaching",
    "Recording",
    "Rolling",
    "access_of",
    "manner_of",
    "only",
    "path_of",
    "pruning_of",
    "reach_with",
]

Listener: TypeAlias = Callable[[Event], None]
SOAK: Final = 1.0
ROOT: Final = "istio-system"


class Connecting(TypedDict, total=False):
    """How the cluster is found.

    Args:
        istio_namespace: Istio's root namespace; by default ``istio-system``.
        kubeconfig: its path; by default ``$KUBECONFIG``, then ``~/.kube/config``, then the pod's own account.
        context: of the kubeconfig; by default its current one. Several for a mesh of several clusters: the first
            holds the configuration, and proxies run in all.
    """

    istio_namespace: str
    kubeconfig: str | PathLike[str] | None
    context: str | Sequence[str] | None


class Reaching(Connecting, total=False):
    """How the Envoys are read.

    Args:
        exclude: ``[CONTEXT/]NAMESPACE/POD`` patterns of proxies that do not count.
        via: how their admin ports are reached; by default ``port-forward``.
        proxy_addresses: with ``via="url"`` the path of the file of addresses.
        max_connections: how many are asked at the same time; 64.
    """

    exclude: Sequence[str]
    via: Literal["port-forward", "exec", "url"]
    proxy_addresses: str | PathLike[str] | None
    max_connections: int


class Rolling(Reaching, total=False):
    """How a rollout is carried out; all times in seconds.

    Args:
        on_event: called with each event as it happens, on the event loop: it shall not block.
        dry_run: whether all is planned and checked by the API server, and nothing written.
        soak: between the last reference and a removal; 1.
        barrier_timeout: what one wait may take; 300.
        timeout: what all waits may take together; 0 for no limit, and by default.
        lock_timeout: to wait for another rollout that is under way; 20.
        lock_namespace: where the Lease stands; by default in ``istio_namespace``.
    """

    on_event: Listener | None
    dry_run: bool
    soak: float
    barrier_timeout: float
    timeout: float
    lock_timeout: float
    lock_namespace: str | None


class Recording(Rolling, total=False):
    """What a rollout leaves behind, and what becomes of one that gets stuck.

    Args:
        on_timeout: what is done when a wait takes too long: ``stop`` in a safe state, by default, or ``rollback``,
            as carefully, to what was found.
        record: whether what is found is kept in the cluster, so that ``rollback`` has a way back; it is.
    """

    on_timeout: Literal["stop", "rollback"]
    record: bool


def only(options: Mapping[str, object], kind: type[Connecting]) -> None:
    """Return if there are no other options than those of a kind.

    Raises:
        TypeError: there are, as of any function.
    """
    unknown = options.keys() - kind.__annotations__.keys()
    if unknown:
        raise TypeError(f"got an unexpected keyword argument {min(unknown)!r}")


def manner_of(options: Rolling, *, force_conflicts: bool = False) -> Manner:
    """Return how a rollout is to be carried out; a script agrees to every plan that is safe.

    Raises:
        UsageError: the options contradict each other.
    """
    lock = options.get("lock_namespace")
    return Manner(
        reach=reach_with(options),
        access=access_of(options),
        root_namespace=Namespace(options.get("istio_namespace", ROOT)),
        dry_run=DryRun.SERVER if options.get("dry_run") else DryRun.NONE,
        force_conflicts=force_conflicts,
        barrier_timeout=options.get("barrier_timeout", 300.0),
        timeout=options.get("timeout", 0.0),
        lock_timeout=options.get("lock_timeout", 20.0),
        lock_namespace=Namespace(lock) if lock else None,
        soak=options.get("soak", SOAK),
        any_plan=True,
    )


def access_of(options: Connecting) -> ClusterAccess:
    """Return how the cluster is found."""
    told = options.get("context")
    contexts = [told] if isinstance(told, str) else list(told or ())
    return ClusterAccess(
        path_of(options.get("kubeconfig")), next(iter(contexts), None), remotes=tuple(contexts[1:])
    )


def reach_with(options: Reaching) -> Reach:
    """Return how the Envoys are reached.

    Raises:
        UsageError: the options contradict each other.
    """
    addresses = options.get("proxy_addresses")
    return reach_of(
        Via(options.get("via", "port-forward")),
        None if addresses is None else Path(addresses),
        options.get("max_connections", 64),
        options.get("exclude", ()),
    )


def pruning_of(labels: str | None, applyset: str | None) -> Pruning:
    """Return what shall go beside what the manifests say."""
    return Pruning(prune=bool(labels or applyset), selector=labels, applyset=applyset)


def path_of(path: str | PathLike[str] | None) -> str | None:
    """Return a path as text."""
    return None if path is None else fspath(path)
