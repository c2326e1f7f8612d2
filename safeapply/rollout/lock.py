"""One rollout at a time for each mesh, by a Lease that is renewed, and taken over when it is stale (DESIGN 6).

The Lease is made empty first and then claimed at the resourceVersion that was read, so of two that start at once
one loses. A run that is killed leaves a Lease behind that is stale after ``duration`` seconds; on the machine where
it ran it is known to be gone, and the next run need not wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from safeapply.errors import ClusterChangedError, ClusterError, LockedError
from safeapply.plans.rights import LEASE_NAME
from safeapply.ports import Clock, Cluster
from safeapply.resources.objects import Document, Namespace, Resource, ResourceId
from safeapply.rollout.events import Queued

__all__ = ["Lock", "held"]

PROCESS: Final = "safeapply/process"
"""The annotation that tells which process holds a Lease."""
LOOK_AGAIN = 1.0
"""Seconds between two looks at a Lease that somebody holds."""
MICROSECONDS = "%Y-%m-%dT%H:%M:%S.%fZ"
"""The form of a Kubernetes MicroTime."""


@dataclass(frozen=True, slots=True)
class Lock:
    """Which Lease is taken, and in whose name."""

    namespace: Namespace
    holder: str
    """Who runs this rollout, so that others can be told: ``user@host (pid 42)``."""
    process: str = ""
    """Which process that is, for runs on the same machine; empty where the machine does not tell."""
    has_ended: Callable[[str], bool] = lambda _: False
    """Tells whether the process of a Lease is known to have ended."""
    name: str = LEASE_NAME
    duration: float = 15.0
    """Seconds after which a Lease that nobody renews is stale."""
    patience: float = 20.0
    """Seconds to wait for the holder: longer than ``duration``, so that a killed run can be run again at once."""

    @property
    def id(self) -> ResourceId:
        """The Lease."""
        return ResourceId("coordination.k8s.io", "Lease", self.namespace, self.name)


@asynccontextmanager
async def held(
    lock: Lock, cluster: Cluster, clock: Clock, emit: Callable[[Queued], None] = lambda _: None
) -> AsyncIterator[None]:
    """Hold the Lease for as long as the context lasts; wait for it first, as long as ``lock.patience`` allows.

    Raises:
        LockedError: another rollout holds it, and says since when; or this one lost it.
    """
    claimed = await _claim(lock, cluster, clock, emit)
    body = asyncio.current_task()
    lost: list[ClusterChangedError] = []
    renewing = asyncio.create_task(_renew(lock, cluster, clock, claimed, body, lost))
    try:
        yield
    except asyncio.CancelledError:
        if lost:
            raise LockedError(f"{lock.id} was taken over by another rollout; run the command again") from lost[0]
        raise
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            claimed = await renewing
        await _release(lock, cluster)


async def _claim(lock: Lock, cluster: Cluster, clock: Clock, emit: Callable[[Queued], None]) -> Resource:
    lease = await _awaited(lock, cluster, clock, emit)
    try:
        return await cluster.apply(_held(lock, clock, lease.resource_version, acquired=clock.wall()))
    except ClusterChangedError as error:
        raise LockedError(f"another rollout took {lock.id} at this moment; run the command again") from error


async def _awaited(lock: Lock, cluster: Cluster, clock: Clock, emit: Callable[[Queued], None]) -> Resource:
    """Return the Lease when nobody holds it, or whoever does has not renewed it in time."""
    begun, told = clock.now(), False
    while True:
        lease = await cluster.get(lock.id) or await cluster.apply(_lease(lock, {}))
        if not _is_held(lock, lease, clock):
            return lease
        waited = clock.now() - begun
        if waited >= lock.patience:
            raise LockedError(f"{_told(lease)}; wait for it to end (lock: {lock.id})")
        if not told:
            emit(Queued(clock.now(), _told(lease), lock.patience))
        told = True
        await clock.sleep(min(LOOK_AGAIN, lock.patience - waited))


def _is_held(lock: Lock, lease: Resource, clock: Clock) -> bool:
    renewed = _time(lease.spec.get("renewTime"))
    valid = timedelta(seconds=float(lease.spec.get("leaseDurationSeconds") or lock.duration))
    if not lease.spec.get("holderIdentity") or renewed is None or renewed + valid <= clock.wall():
        return False
    return not lock.has_ended(lease.annotations.get(PROCESS, ""))


def _told(lease: Resource) -> str:
    return f"{lease.spec['holderIdentity']} is rolling out to this mesh since {lease.spec.get('acquireTime', '?')}"


async def _renew(
    lock: Lock,
    cluster: Cluster,
    clock: Clock,
    lease: Resource,
    body: asyncio.Task[object] | None,
    lost: list[ClusterChangedError],
) -> Resource:
    """Renew the Lease three times in its duration; stop the rollout if somebody else has it."""
    acquired = _time(lease.spec.get("acquireTime")) or clock.wall()
    while True:
        await clock.sleep(lock.duration / 3)
        try:
            lease = await cluster.apply(_held(lock, clock, lease.resource_version, acquired=acquired))
        except ClusterChangedError as error:
            lost.append(error)
            if body is not None:
                body.cancel()
            return lease
        except ClusterError:
            # The API server is silent for a moment; the Lease lasts for two more tries.
            continue


async def _release(lock: Lock, cluster: Cluster) -> None:
    """Give the Lease back, if it is still ours; a stale one ends by itself."""
    with suppress(ClusterError):
        lease = await cluster.get(lock.id)
        if lease is not None and lease.spec.get("holderIdentity") == lock.holder:
            await cluster.apply(_lease(lock, {}, lease.resource_version))


def _held(lock: Lock, clock: Clock, version: str, *, acquired: datetime) -> Resource:
    spec = {
        "holderIdentity": lock.holder,
        "leaseDurationSeconds": round(lock.duration),
        "acquireTime": acquired.strftime(MICROSECONDS),
        "renewTime": clock.wall().strftime(MICROSECONDS),
    }
    return _lease(lock, spec, version, {PROCESS: lock.process} if lock.process else {})


def _lease(lock: Lock, spec: Document, version: str = "", annotations: Document = MappingProxyType({})) -> Resource:
    metadata: dict[str, object] = {"namespace": lock.namespace, "name": lock.name}
    if annotations:
        metadata["annotations"] = annotations
    if version:
        metadata["resourceVersion"] = version
    document = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
    return Resource(lock.id, document)


def _time(text: object) -> datetime | None:
    return datetime.fromisoformat(str(text)) if text else None
