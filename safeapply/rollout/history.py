"""The records of rollouts, from which ``safeapply rollback`` goes back (DESIGN 6, docs/internals/records.md).

Kept as Secrets (``plans.records`` says what is in which), as Helm keeps its releases: their data can change, as a
record does, and only those read values who may read Secrets where the values stand. One rollout that is not settled
was stopped or killed, and the next one of the same user goes on with it: what the first found is the start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from safeapply.errors import ClusterChangedError, ClusterError, ForbiddenError, UsageError
from safeapply.plans.found import Found, too_large, united
from safeapply.plans.records import (
    HEAD,
    KEPT,
    LARGEST,
    Entry,
    Record,
    State,
    digest_of,
    entries_in,
    fitting,
    found_in,
    head_of,
    part_key,
    parts_of,
    record_name,
    retained,
)
from safeapply.ports import Clock, Cluster
from safeapply.resources.objects import GroupKind, Namespace, ResourceId
from safeapply.rollout.record_secrets import MANAGED_BY, Naming, RecordSecrets, Stored

__all__ = ["Chronicle", "History", "Recorded", "Returned"]

AT_ONCE: Final = 8
"""Secrets that are read or written at the same time."""
TRIES: Final = 5
"""How often a Secret is written that somebody else has written meanwhile."""
_FORMER: Final = GroupKind("apps", "ControllerRevision")
"""What records were kept as before; whoever may create them can forge one, so they are only spoken of."""


@dataclass(slots=True)
class History:
    """The records of one user in one mesh."""

    cluster: Cluster
    clock: Clock
    namespace: Namespace
    """Of the lock, where the head is."""
    by: str
    """Who runs this rollout, where, and in which process: for people to read, and proves nothing."""
    user: str = ""
    """Whose records; empty for those of whoever asks, until the API server has told who that is."""

    async def owner(self) -> str:
        """Return whose records these are.

        Raises:
            ClusterError: the API server does not tell who asks.
        """
        self.user = self.user or await self.cluster.username()
        return self.user

    async def entries(self) -> tuple[Entry, ...]:
        """Return all rollouts, the newest first, without what they found.

        Raises:
            ClusterError: they cannot be read.
        """
        return self._entries(await self._read(self.namespace))

    async def latest(self) -> Record:
        """Return the newest record of a rollout that has not been rolled back.

        Raises:
            UsageError: there is none; it says who else has recorded rollouts.
            ClusterError: what it found cannot be read, or is not what was written.
        """
        head = await self._read(self.namespace)
        for entry in self._entries(head):
            if entry.state is not State.ROLLED_BACK:
                return await self._record(entry, head)
        raise UsageError(
            f"there is no rollout to go back from: none of {await self.owner()} is recorded in "
            f"{self.namespace} that was not rolled back already{await self._beside()}"
        )

    async def begin(self, found: Sequence[Found]) -> Record:
        """Record what a rollout finds, before its first write; a run that goes on adds to what is recorded.

        Raises:
            UsageError: it is more than a record holds.
            ClusterError: the record of the run that was stopped cannot be read, or this one cannot be written.
        """
        for _ in range(TRIES):
            head = await self._read(self.namespace)
            entries = self._entries(head)
            stopped = next((one for one in entries[:1] if one.state is State.UNDER_WAY), None)
            earlier = (await self._record(stopped, head, going_on=True)).found if stopped else ()
            touched = frozenset(one.id for one in earlier)
            merged = united(earlier, found)
            if stopped is not None and merged == earlier:
                return Record(stopped.revision, stopped.state, stopped.by, stopped.at, merged, touched)
            at = self.clock.wall().strftime("%Y-%m-%dT%H:%M:%SZ")
            number = entries[0].revision + 1 if entries else 1
            record = Record(number, State.UNDER_WAY, self.by, at, merged, touched)
            with suppress(ClusterChangedError):
                await self._keep(record, head, entries, stopped)
                return record
        raise self._raced()

    async def conclude(self, unchanged: Collection[ResourceId], live: Collection[ResourceId]) -> None:
        """Note that a rollout is settled that was killed after its last write: nothing is left to do for it."""
        head = await self._read(self.namespace)
        for entry in self._entries(head)[:1]:
            if entry.state is not State.UNDER_WAY:
                return
            record = await self._record(entry, head, going_on=True)
            left = {one.id for one in record.found}.difference(unchanged).intersection(live)
            if not left:
                await self.mark(record, State.SETTLED)

    async def mark(self, record: Record, state: State) -> None:
        """Note what has become of a rollout; a record that was deleted meanwhile stays deleted."""

        def marked(stored: Stored) -> tuple[Entry, ...]:
            entries = self._entries(stored)
            return tuple(replace(one, state=state) if one.revision == record.revision else one for one in entries)

        for _ in range(TRIES):
            head = await self._read(self.namespace)
            entries = marked(head)
            if entries == self._entries(head):
                return
            with suppress(ClusterChangedError):
                await self._write(head, {**head.data, HEAD: head_of(self.user, entries)})
                return
        raise self._raced()

    async def _record(self, entry: Entry, head: Stored, *, going_on: bool = False) -> Record:
        """Return a rollout with what it found.

        Args:
            entry: which one.
            head: the Secret that names it.
            going_on: leave out what went with its namespace: it is no reason not to roll out elsewhere.

        Raises:
            ClusterError: a part is missing, or is not what was written.
        """

        async def part(space: Namespace, digest: str) -> tuple[Found, ...]:
            stored = head if space == self.namespace else await self._read(space)
            content = stored.data.get(part_key(self.namespace, entry.revision))
            if content is None and going_on and await self._is_gone(space):
                return ()
            with self._named(stored.id):
                return found_in(space, self.namespace, content, digest)

        parts = await _gathered(part(*one) for one in entry.parts)
        found = tuple(sorted((one for several in parts for one in several), key=lambda one: one.id))
        return Record(entry.revision, entry.state, entry.by, entry.at, found)

    async def _is_gone(self, space: Namespace) -> bool:
        """Tell whether a namespace is gone; who may not look cannot tell."""
        with suppress(ForbiddenError):
            return await self.cluster.get(ResourceId("", "Namespace", Namespace(""), space)) is None
        return False

    async def _keep(self, record: Record, head: Stored, entries: tuple[Entry, ...], stopped: Entry | None) -> None:
        """Write the parts, then the head, and only then take away what the head names no more."""
        parts = parts_of(record.found, self.namespace)
        digests = tuple((space, digest_of(part)) for space, part in parts.items())
        entry = Entry(record.revision, record.state, record.by, record.at, digests)
        key, user = part_key(self.namespace, record.revision), await self.owner()
        others = await _gathered(self._read(space) for space in parts if space != self.namespace)
        wanted = {one.id.namespace: {**one.data, key: parts[one.id.namespace]} for one in others}
        own = {**head.data, **({key: parts[self.namespace]} if self.namespace in parts else {})}
        chosen = fitting((entry, *entries), user, self.namespace, (own, *wanted.values()))
        if entry not in chosen or (stopped is not None and stopped not in chosen):
            raise too_large(sum(map(len, parts.values())), LARGEST)
        # Until the head is written it still names the parts of the run that was stopped.
        going_on = () if stopped is None else (stopped,)
        listed = tuple(one for one in chosen if one != stopped)[:KEPT]
        await _gathered(
            self._write(one, retained(wanted[one.id.namespace], self.namespace, (*listed, *going_on)))
            for one in others
        )
        data = {**retained(own, self.namespace, listed), HEAD: head_of(user, listed)}
        await self._write(head, data)
        await self._forget(listed, [one for one in entries if one not in listed], frozenset(wanted), stopped)

    async def _forget(
        self,
        listed: tuple[Entry, ...],
        dropped: Iterable[Entry],
        written: Collection[Namespace],
        stopped: Entry | None,
    ) -> None:
        """Take away parts that no head names; where that is not to be had they only take up room."""
        spaces = {
            space
            for one in dropped
            for space, _ in one.parts
            if space != self.namespace and (space not in written or one == stopped)
        }

        async def forget(space: Namespace) -> None:
            with suppress(ClusterError):
                stored = await self._read(space)
                left = retained(stored.data, self.namespace, listed)
                if left != stored.data:
                    await self._write(stored, left)

        await _gathered(map(forget, sorted(spaces)))

    async def _beside(self) -> str:
        """Return who else has recorded rollouts, as far as whoever asks may know."""
        told = ""
        try:
            others = [
                f"\n  --by {user}: rollout {entry.revision}, {entry.state.value}, of {entry.by} at {entry.at}"
                for user, entry in await (await self._secrets()).others()
            ]
        except ForbiddenError:
            told += f"; whether others have recorded any takes the right to list secrets in {self.namespace}"
        except ClusterError as error:
            told += f"; whether others have recorded any cannot be told ({error})"
        else:
            told += "; others have, and one of them can be named:" + "".join(others) if others else ""
        with suppress(ClusterError):
            if await self.cluster.select((_FORMER,), (self.namespace,), f"{MANAGED_BY}=safeapply"):
                told += (
                    "\nControllerRevisions hold records of an older safeapply; anybody may have written them, so "
                    "they are not read: kubectl delete controllerrevisions -n "
                    f"{self.namespace} -l {MANAGED_BY}=safeapply"
                )
        return told

    async def _secrets(self) -> RecordSecrets:
        return RecordSecrets(self.cluster, self.namespace, await self.owner())

    async def _read(self, space: Namespace) -> Stored:
        return await (await self._secrets()).read(space)

    async def _write(self, stored: Stored, data: Mapping[str, bytes]) -> None:
        await (await self._secrets()).write(stored, data)

    def _named(self, one: ResourceId) -> Naming:
        return Naming(one, self.namespace)

    def _entries(self, head: Stored) -> tuple[Entry, ...]:
        with self._named(head.id):
            return entries_in(head.data.get(HEAD), self.user)

    def _raced(self) -> ClusterError:
        name = record_name(self.user)
        return ClusterError(
            f"somebody else writes secret/{self.namespace}/{name} again and again; run the command again"
        )


ResultT = TypeVar("ResultT")


async def _gathered(work: Iterable[Awaitable[ResultT]]) -> list[ResultT]:
    """Await all of it, some at a time, and leave nothing behind that still goes on.

    Raises:
        ClusterError: the first that some of it raised.
    """
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(each: Awaitable[ResultT]) -> ResultT:
        async with gate:
            return await each

    tasks = [asyncio.ensure_future(one(each)) for each in work]
    await asyncio.gather(*tasks, return_exceptions=True)
    return [task.result() for task in tasks]


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
