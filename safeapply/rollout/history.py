"""The records of rollouts, from which ``safeapply rollback`` goes back (DESIGN 6).

Kept as ControllerRevisions, the kind in which StatefulSets and DaemonSets keep theirs: its data cannot be changed
once it is written, it carries a number, it needs no owner, and no controller acts on it. One that is not settled
belongs to a run that was stopped or killed, and the next one goes on with it: what the first found is the start.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, Protocol

from safeapply.errors import ClusterChangedError, ClusterError, UsageError
from safeapply.plans.found import KEPT_KIND, Found, decoded, encoded, united
from safeapply.ports import Clock, Cluster
from safeapply.resources.objects import Namespace, Resource, ResourceId

__all__ = ["Chronicle", "History", "Record", "Recorded", "Returned", "State"]

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
STATE, BY, AT = "safeapply/state", "safeapply/by", "safeapply/at"
MANAGER: Final = "safeapply-record"
KEPT: Final = 10
"""Records; as many as a Deployment keeps."""
LARGEST: Final = 1_000_000
"""Bytes of one record; etcd takes a request of 1.5 MiB, and Kubernetes recommends less than 1 MiB."""


class State(Enum):
    """How far a rollout has come; one that is under way may have been killed."""

    UNDER_WAY = "under-way"
    SETTLED = "settled"
    ROLLED_BACK = "rolled-back"


@dataclass(frozen=True, slots=True)
class Record:
    """What one rollout found, and what has become of it."""

    revision: int
    state: State
    by: str
    at: str
    found: tuple[Found, ...]


@dataclass(slots=True)
class History:
    """The records of one mesh."""

    cluster: Cluster
    clock: Clock
    namespace: Namespace
    by: str
    """Who runs this rollout."""

    async def records(self) -> tuple[Record, ...]:
        """Return all records, the newest first.

        Raises:
            ClusterError: they cannot be read.
        """
        kept = await self.cluster.select((KEPT_KIND,), (self.namespace,), f"{MANAGED_BY}=safeapply")
        return tuple(sorted(map(_parsed, kept), key=lambda one: -one.revision))

    async def latest(self) -> Record:
        """Return the newest record of a rollout that has not been rolled back.

        Raises:
            UsageError: there is none.
        """
        for record in await self.records():
            if record.state is not State.ROLLED_BACK:
                return record
        raise UsageError("there is no rollout to go back from: none is recorded that was not rolled back already")

    async def begin(self, found: Sequence[Found]) -> Record:
        """Record what a rollout finds, before its first write; a run that goes on adds to what is recorded.

        Raises:
            UsageError: it is more than one object of the API server holds.
        """
        records = await self.records()
        open_one = next((one for one in records[:1] if one.state is State.UNDER_WAY), None)
        merged = united(open_one.found if open_one else (), found)
        if open_one is not None and merged == open_one.found:
            return open_one
        at = self.clock.wall().strftime("%Y-%m-%dT%H:%M:%SZ")
        number = records[0].revision + 1 if records else 1
        record = Record(number, State.UNDER_WAY, self.by, at, merged)
        await self._keep(record)
        for old in (*((open_one,) if open_one else ()), *records[KEPT - 1 :]):
            await self.cluster.delete(self._resource(old))
        return record

    async def _keep(self, record: Record) -> None:
        """Write a record; one that is there already is this one where the answer to the first try was lost."""
        wanted = self._resource(record)
        try:
            await self.cluster.create(wanted)
        except ClusterChangedError:
            there = await self.cluster.get(wanted.id)
            if there is None or _parsed(there) != record:
                raise

    async def conclude(self, unchanged: Collection[ResourceId], live: Collection[ResourceId]) -> None:
        """Note that a rollout is settled that was killed after its last write: nothing is left to do for it."""
        for record in (await self.records())[:1]:
            left = {one.id for one in record.found}.difference(unchanged).intersection(live)
            if record.state is State.UNDER_WAY and not left:
                await self.mark(record, State.SETTLED)

    async def mark(self, record: Record, state: State) -> None:
        """Note what has become of a rollout."""
        # To the API server whoever creates and whoever applies are two managers, and would conflict.
        await self.cluster.apply(self._resource(replace(record, state=state)), manager=MANAGER)

    def _resource(self, record: Record) -> Resource:
        data = encoded(record.found)
        if len(data) > LARGEST:
            raise UsageError(
                f"what this rollout finds does not fit into one record ({len(data)} bytes of {LARGEST}): apply the "
                "files in parts, or give --no-record and do without `safeapply rollback`"
            )
        name = f"safeapply-{record.revision}"
        document = {
            "apiVersion": "apps/v1",
            "kind": KEPT_KIND.kind,
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": {MANAGED_BY: "safeapply"},
                "annotations": {STATE: record.state.value, BY: record.by, AT: record.at},
            },
            "revision": record.revision,
            "data": {"found": data},
        }
        return Resource(ResourceId(KEPT_KIND.group, KEPT_KIND.kind, self.namespace, name), document)


class Chronicle(Protocol):
    """What is noted of one rollout."""

    async def begin(self) -> None:
        """Note that the first write comes next."""
        ...

    async def settled(self) -> None:
        """Note that the proxies show the last one."""
        ...


@dataclass(slots=True)
class Recorded:
    """A rollout that can be gone back from."""

    history: History
    found: tuple[Found, ...]
    record: Record | None = None

    async def begin(self) -> None:
        """Keep what it finds."""
        self.record = await self.history.begin(self.found)

    async def settled(self) -> None:
        """Note that it is done, so that the next one has findings of its own."""
        if self.record is not None:
            await self.history.mark(self.record, State.SETTLED)


@dataclass(frozen=True, slots=True)
class Returned:
    """The way back from a rollout."""

    history: History
    record: Record

    async def begin(self) -> None:
        """Note that the mesh is in between again: a run that comes after a killed way back knows where it began."""
        await self.history.mark(self.record, State.UNDER_WAY)

    async def settled(self) -> None:
        """Note that the way is gone, so that the next one leads further back."""
        await self.history.mark(self.record, State.ROLLED_BACK)


def _parsed(kept: Resource) -> Record:
    annotations = kept.annotations
    try:
        state = State(annotations.get(STATE))
        revision = int(kept.document.get("revision") or 0)
        found = decoded((kept.document.get("data") or {}).get("found"))
    except (ValueError, TypeError, AttributeError, ClusterError) as error:
        raise ClusterError(f"{kept.id} is no record that can be read ({error}); delete it, or mend it") from error
    return Record(revision, state, annotations.get(BY, "?"), annotations.get(AT, "?"), found)
