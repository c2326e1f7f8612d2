"""One rollout at a time for each mesh, by a Lease that is renewed, and taken over when it is stale (DESIGN 6).

The Lease is claimed at the resourceVersion that was read, so of two that start at once one loses. A run
that is killed leaves a Lease behind that is stale after ``duration`` seconds; on the machine where it ran, the next
run knows that it is gone, and need not wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from safeapply.errors import ClusterChangedError, ClusterError, LockedError, RejectedError
from safeapply.plans.rights import LEASE_NAME
from safeapply.ports import Clock, Cluster
from safeapply.resources.objects import Document, Namespace, Resource, ResourceId
from safeapply.rollout.durations import duration
from safeapply.rollout.events import Queued
from safeapply.visible import visible

__all__ = ["Hold", "Lock", "held"]

HOLDER: Final = "safeapply"
"""The field manager that holds the Lease. It takes every field, whoever wrote it: where somebody wrote to the Lease
by other means, even once, every rollout would else be refused for good."""
MAKER: Final = "safeapply-lock"
"""The field manager that makes the Lease, and owns nothing of what stands in it."""
PROCESS: Final = "safeapply/process"
"""The annotation that tells which process holds a Lease."""
LOOK_AGAIN = 1.0
"""Seconds between two looks at a Lease that somebody holds."""
CLAIMS, AFTER_A_RACE = 10, 0.1
"""How often a Lease is claimed that others claim at the same moment, and seconds in between."""
LONGEST: Final = 10**9
"""Seconds: more is no number that anybody means."""
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
    parting: float = 5.0
    """Seconds that giving the Lease back may take: an API server that is silent keeps nobody from ending."""

    @property
    def id(self) -> ResourceId:
        """The Lease."""
        return ResourceId("coordination.k8s.io", "Lease", self.namespace, self.name)


@dataclass(slots=True)
class Hold:
    """A Lease that is held: renewed while the rollout goes on, and looked at before it writes."""

    lock: Lock
    cluster: Cluster
    clock: Clock
    lease: Resource
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def assure(self) -> None:
        """Return when the Lease is ours for a while: who could not renew it must not write.

        Raises:
            LockedError: another rollout has taken it over.
            ClusterError: it is running out and cannot be renewed.
        """
        if self._left() < self.lock.duration / 2:
            await self.renew()

    async def renew(self) -> None:
        """Renew the Lease; where the answer to an earlier try was lost, find out what became of it.

        Raises:
            LockedError: another rollout has taken it over.
            ClusterError: the API server does not do it.
        """
        async with self._turn:
            acquired = _time(self.lease.spec.get("acquireTime")) or self.clock.wall()
            try:
                self.lease = await self._written(self.lease, acquired)
            except ClusterChangedError as error:
                lease = await self.cluster.get(self.lock.id)
                if lease is None or lease.spec.get("holderIdentity") != self.lock.holder:
                    raise LockedError(
                        f"{self.lock.id} was taken over by another rollout; run the command again"
                    ) from error
                self.lease = await self._written(lease, acquired)

    async def _written(self, lease: Resource, acquired: datetime) -> Resource:
        wanted = _held(self.lock, self.clock, lease.resource_version, acquired=acquired)
        return await self.cluster.apply(wanted, manager=HOLDER)

    def _left(self) -> float:
        """Return for how many seconds nobody else may take the Lease."""
        renewed = _time(self.lease.spec.get("renewTime"))
        spent = (self.clock.wall() - renewed).total_seconds() if renewed else self.lock.duration
        return self.lock.duration - spent


@asynccontextmanager
async def held(
    lock: Lock, cluster: Cluster, clock: Clock, emit: Callable[[Queued], None] = lambda _: None
) -> AsyncIterator[Hold]:
    """Hold the Lease for as long as the context lasts; wait for it first, as long as ``lock.patience`` allows.

    Raises:
        LockedError: another rollout holds it, and says since when; or this one lost it.
    """
    hold = Hold(lock, cluster, clock, await _claim(lock, cluster, clock, emit))
    lost: list[LockedError] = []
    renewing = asyncio.create_task(_keep(hold, asyncio.current_task(), lost))
    try:
        yield hold
    except asyncio.CancelledError:
        if lost:
            raise lost[0] from None
        raise
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        await _release(lock, cluster)


async def _claim(lock: Lock, cluster: Cluster, clock: Clock, emit: Callable[[Queued], None]) -> Resource:
    """Take the Lease; of several that wait for it one gets it, and the others go on waiting."""
    until, tell = clock.now() + lock.patience, _Once(emit)
    for _ in range(CLAIMS):
        lease = await _awaited(lock, cluster, clock, until, tell)
        if lease.spec.get("holderIdentity") == lock.holder:
            return lease
        with suppress(ClusterChangedError):
            wanted = _held(lock, clock, lease.resource_version, acquired=clock.wall())
            return await cluster.apply(wanted, manager=HOLDER)
        await clock.sleep(AFTER_A_RACE)
    raise LockedError(f"other rollouts take {lock.id} again and again; run the command again")


@dataclass(slots=True)
class _Once:
    """Tells what is waited for, and does not repeat itself."""

    emit: Callable[[Queued], None]
    told: str = ""

    def __call__(self, event: Queued) -> None:
        if event.why != self.told:
            self.told = event.why
            self.emit(event)


async def _awaited(
    lock: Lock, cluster: Cluster, clock: Clock, until: float, tell: Callable[[Queued], None]
) -> Resource:
    """Return the Lease when nobody else holds it, or whoever does has not renewed it in time."""
    version, since = "", 0.0
    while True:
        lease = await cluster.get(lock.id) or await _made(lock, cluster)
        if lease.resource_version != version:
            version, since = lease.resource_version, clock.now()
        unchanged = clock.now() - since
        if lease.spec.get("holderIdentity") == lock.holder or not _is_held(lock, lease, clock, unchanged):
            return lease
        left = until - clock.now()
        if left <= 0:
            raise LockedError(
                f"{_told(lease, clock)}; wait for it to end, or give --lock-timeout more time (lock: {lock.id}; "
                "if no such rollout runs, delete it)"
            )
        tell(Queued(clock.now(), _told(lease, clock), lock.patience))
        await clock.sleep(min(LOOK_AGAIN, left))


async def _made(lock: Lock, cluster: Cluster) -> Resource:
    """Make the Lease as nobody's, or leave it to whoever was quicker.

    By an apply, since rights to create by name hold only there (a POST has no name yet); and by a manager of its
    own, since all rollouts are one field manager, and an apply of that would take a holder's name away.
    """
    try:
        return await cluster.apply(_lease(lock, {}), manager=MAKER)
    except RejectedError as error:
        raise ClusterError(
            f"the lock {lock.id} cannot be made: {error.reason}; name another namespace with --lock-namespace"
        ) from error


def _is_held(lock: Lock, lease: Resource, clock: Clock, unchanged: float) -> bool:
    """Tell whether somebody holds a Lease that has not been written for ``unchanged`` seconds, as far as we saw.

    A time that is further ahead than clocks go wrong says nothing: then it is our own watching that counts, as it
    is for client-go (``tools/leaderelection``, ``observedTime``).
    """
    renewed = _time(lease.spec.get("renewTime"))
    if not lease.spec.get("holderIdentity") or renewed is None:
        return False
    spent, valid = (clock.wall() - renewed).total_seconds(), _valid(lock, lease)
    if spent < -lock.duration:
        spent, valid = unchanged, min(valid, lock.duration)
    return spent < valid and not lock.has_ended(lease.annotations.get(PROCESS, ""))


def _valid(lock: Lock, lease: Resource) -> float:
    """Return for how many seconds a Lease is good after it was renewed."""
    seconds = lease.spec.get("leaseDurationSeconds")
    return float(seconds) if isinstance(seconds, int) and 0 < seconds < LONGEST else lock.duration


def _told(lease: Resource, clock: Clock) -> str:
    since = _time(lease.spec.get("acquireTime"))
    ago = f", for {duration(max(0.0, (clock.wall() - since).total_seconds()))}" if since else ""
    when = f" since {since:%Y-%m-%d %H:%M:%S} UTC{ago}" if since else ""
    return f"{visible(str(lease.spec['holderIdentity']))} is rolling out to this mesh{when}"


async def _keep(hold: Hold, body: asyncio.Task[object] | None, lost: list[LockedError]) -> None:
    """Renew the Lease three times in its duration; stop the rollout if somebody else has it."""
    while True:
        await hold.clock.sleep(hold.lock.duration / 3)
        try:
            # An API server that is silent for a moment leaves two more tries.
            with suppress(ClusterError):
                await hold.renew()
        except LockedError as error:
            lost.append(error)
            if body is not None:
                body.cancel()
            return


async def _release(lock: Lock, cluster: Cluster) -> None:
    """Give the Lease back, if it is still ours; a stale one ends by itself."""
    with suppress(ClusterError, TimeoutError):
        async with asyncio.timeout(lock.parting):
            lease = await cluster.get(lock.id)
            if lease is not None and lease.spec.get("holderIdentity") == lock.holder:
                await cluster.apply(_lease(lock, {}, lease.resource_version), manager=HOLDER)


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
    """Return a time of a Lease in UTC; None where it has none, or one that is no time."""
    try:
        found = datetime.fromisoformat(str(text))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
