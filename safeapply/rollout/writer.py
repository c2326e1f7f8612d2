"""The writes of one rollout, and what they leave behind: which version each object has to have next (DESIGN 6)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from safeapply.errors import ClusterChangedError, ClusterUnreachableError
from safeapply.istio.replicas import Written, writes_to, written
from safeapply.plans.plan import Action, Operation
from safeapply.ports import Clock, Cluster
from safeapply.resources.objects import Resource, ResourceId
from safeapply.rollout.events import Event, Wrote
from safeapply.rollout.ground import Ground

__all__ = ["Writer"]


@dataclass(slots=True)
class Writer:
    """Writes operations at the versions that the plan saw, and tells of each."""

    cluster: Cluster
    clock: Clock
    emit: Callable[[Event], None]
    at_once: int
    deletion: str
    """What is said of an object that is taken away."""
    ground: Ground | None = None
    done: list[Operation] = field(default_factory=list)
    """What has been written of the present step."""
    _versions: dict[ResourceId, str] = field(default_factory=dict)
    """The resourceVersion that each touched object must have when it is written next."""
    _writes: dict[ResourceId, Written] = field(default_factory=dict)

    @property
    def last(self) -> tuple[Written, ...]:
        """The last write of every object, whoever made it."""
        return tuple(self._writes.values())

    def stand_on(self, versions: Mapping[ResourceId, str], live: Mapping[ResourceId, Resource] | None) -> None:
        """Take what a plan was made with for what is to be so still."""
        self.done, self._versions = [], dict(versions)
        if live is not None:
            self.ground = Ground.of(live.values())
            fresh = {one.id: one for one in writes_to(live.values())}
            known = {
                one: write for one, write in self._writes.items() if fresh.get(one, write).version == write.version
            }
            self._writes = {**fresh, **known}

    def tell_overtaken(self, step: int, operation: Operation, live: Mapping[ResourceId, Resource]) -> None:
        """Tell of a write that is there, though nobody answered that it was made."""
        one, version = operation.resource.id, self._versions.get(operation.resource.id)
        if operation.action is Action.DELETE:
            word, now = self.deletion, ""
            self._writes[one] = written(_at(operation.resource, version or ""), deleted=True)
        else:
            word, now = "configured" if version else "created", live[one].resource_version
        self._tell(step, operation, word, now, live.get(one, operation.resource))

    async def write(self, step: int, operations: Sequence[Operation]) -> None:
        """Write side by side, and let each write that has begun come to its end before anything else is told.

        Raises:
            ClusterError: a write was refused, or what the plan saw is not there any more.
        """
        gate, waiting = asyncio.Semaphore(self.at_once), deque(operations)

        async def write() -> None:
            async with gate:
                if waiting:
                    await self._write(step, waiting.popleft())

        writing = asyncio.gather(*(write() for _ in operations), return_exceptions=True)
        try:
            results = await asyncio.shield(writing)
        except asyncio.CancelledError:
            waiting.clear()
            await writing
            raise
        # What no plan can help against is told before what another plan may.
        for failure in sorted((one for one in results if isinstance(one, BaseException)), key=_may_pass):
            raise failure

    async def _write(self, step: int, operation: Operation) -> None:
        match operation.action:
            case Action.APPLY:
                word, made = await self._apply(operation)
                version = made.resource_version
            case Action.DELETE:
                word, made, version = await self._delete(operation), operation.resource, ""
            case _:
                assert_never(operation.action)
        self._tell(step, operation, word, version, made)

    async def _apply(self, operation: Operation) -> tuple[str, Resource]:
        """Write an object, and return what to say of it and what it is now."""
        one, known = operation.resource.id, self._versions.get(operation.resource.id, "")
        made = await self._made(operation, known)
        self._versions[one] = version = made.resource_version
        before = self._writes.get(one)
        self._writes[one] = written(made, created=not known or (before is not None and before.created))
        if self.ground is not None:
            self.ground.wrote(made)
        return "created" if not known else "unchanged" if version == known else "configured", made

    async def _made(self, operation: Operation, known: str) -> Resource:
        """Write an object at the version that the plan saw; where it saw none, there must be none."""
        if known or operation.manager:
            return await self.cluster.apply(_at(operation.resource, known), manager=operation.manager)
        return await self.cluster.create(_at(operation.resource, ""))

    async def _delete(self, operation: Operation) -> str:
        """Take an object away, and return what to say of it."""
        one = operation.resource.id
        gone = _at(operation.resource, self._versions.get(one, ""))
        await self.cluster.delete(gone)
        self._versions.pop(one, None)
        if self.ground is not None:
            self.ground.deleted(one)
        self._writes[one] = written(gone, deleted=True)
        return self.deletion

    def _tell(self, step: int, operation: Operation, word: str, version: str, known: Resource) -> None:
        self.done.append(operation)
        one, uid = operation.resource.id, str(known.metadata.get("uid", ""))
        self.emit(Wrote(self.clock.now(), step, operation.action, one, word, version, uid))


def _may_pass(failure: BaseException) -> bool:
    return isinstance(failure, ClusterChangedError | ClusterUnreachableError)


def _at(resource: Resource, version: str) -> Resource:
    """Return the resource with the resourceVersion that it must have when it is written."""
    metadata = {**resource.metadata, "resourceVersion": version}
    if not version:
        del metadata["resourceVersion"]
    return Resource(resource.id, {**resource.document, "metadata": metadata}, resource.origin)
