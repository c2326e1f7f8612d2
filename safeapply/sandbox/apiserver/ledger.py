"""What is stored, in which order it was written, and who is told. State without rules and without sockets.

One counter numbers the writes of all kinds, as etcd's revision does. Each kind keeps its latest writes, so that
a watch can begin in the past; beyond that it has to list again (410 Gone).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from safeapply.resources.objects import Document, GroupKind, Namespace, ResourceId
from safeapply.sandbox.apiserver.statuses import expired
from safeapply.sandbox.watching import Listener, WatchEvent, WatchType

__all__ = ["HISTORY_LENGTH", "Ledger", "Revision"]

HISTORY_LENGTH: Final = 8192
"""Writes that are kept for each kind."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One write, with what it replaced: an object can leave a selection without being deleted."""

    event: WatchEvent
    before: Document | None


class Ledger:
    """All objects, and their recent history."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.resource_version = 0
        self._clock = clock
        self._objects: dict[GroupKind, dict[ResourceId, Document]] = defaultdict(dict)
        self._in_order: dict[GroupKind, tuple[Document, ...]] = {}
        self._history: dict[GroupKind, deque[Revision]] = defaultdict(lambda: deque(maxlen=HISTORY_LENGTH))
        self._begun = 0
        self._forgotten: dict[GroupKind, int] = defaultdict(lambda: self._begun)
        self._wakers: dict[GroupKind, set[Callable[[], None]]] = defaultdict(set)
        self._listeners: list[Listener] = []
        self._untold: deque[WatchEvent] = deque()
        self._telling = False

    def begin_at(self, version: int) -> None:
        """Count from a version on, as a server does that has a past which nobody remembers."""
        self.resource_version = self._begun = version
        self.forget()

    def listen(self, listener: Listener) -> None:
        """Call the listener after each write, in order; a listener may write, which it is told afterwards."""
        self._listeners.append(listener)

    def wake(self, kind: GroupKind, waker: Callable[[], None]) -> Callable[[], None]:
        """Call the waker after each write of a kind, until what is returned is called."""
        self._wakers[kind].add(waker)
        return lambda: self._wakers[kind].discard(waker)

    def list(self, kind: GroupKind, namespace: Namespace | None = None) -> tuple[Document, ...]:
        """Return all objects of a kind, by namespace and name."""
        if kind not in self._in_order:
            self._in_order[kind] = _in_order(self._objects[kind])
        found = self._in_order[kind]
        if namespace is None:
            return found
        return tuple(document for document in found if document["metadata"].get("namespace") == namespace)

    def list_as_of(self, kind: GroupKind, version: int) -> tuple[Document, ...]:
        """Return all objects of a kind as they were at a version, by namespace and name.

        Raises:
            StatusError: 410, where not all writes since then are kept.
        """
        if version >= self.resource_version:
            return self.list(kind)
        objects = dict(self._objects[kind])
        for revision in reversed(self.since(kind, version)):
            if revision.before is None:
                objects.pop(revision.event.id)
            else:
                objects[revision.event.id] = revision.before
        return _in_order(objects)

    def get(self, resource_id: ResourceId) -> Document | None:
        """Return one object, or None where there is none."""
        return self._objects[resource_id.group_kind].get(resource_id)

    def since(self, kind: GroupKind, version: int) -> tuple[Revision, ...]:
        """Return the writes of a kind after a version.

        Raises:
            StatusError: 410, where not all of them are kept.
        """
        if version < self._forgotten[kind]:
            raise expired(version, self._forgotten[kind])
        history = self._history[kind]
        start = bisect_right(history, version, key=lambda revision: revision.event.resource_version)
        return tuple(islice(history, start, None))

    def forget(self) -> None:
        """Drop the history, as compaction does: watches from the past have to begin anew."""
        for kind in self._objects:
            self._history[kind].clear()
            self._forgotten[kind] = self.resource_version

    def commit(self, kind: WatchType, resource_id: ResourceId, document: Document) -> Document:
        """Store a write under the next version and tell everybody; return the object as it is stored."""
        self.resource_version += 1
        metadata: dict[str, Any] = {**document["metadata"], "resourceVersion": str(self.resource_version)}
        document = {**document, "metadata": metadata}
        before = self.get(resource_id)
        if kind is WatchType.DELETED:
            del self._objects[resource_id.group_kind][resource_id]
        else:
            self._objects[resource_id.group_kind][resource_id] = document
        self._in_order.pop(resource_id.group_kind, None)
        event = WatchEvent(kind, resource_id, document, self.resource_version, self._clock())
        self._remember(Revision(event, before))
        self._tell(event)
        return document

    def _remember(self, revision: Revision) -> None:
        kind = revision.event.id.group_kind
        history = self._history[kind]
        if len(history) == history.maxlen:
            self._forgotten[kind] = history[0].event.resource_version
        history.append(revision)

    def _tell(self, event: WatchEvent) -> None:
        self._untold.append(event)
        for waker in tuple(self._wakers[event.id.group_kind]):
            waker()
        if self._telling:
            return
        self._telling = True
        try:
            while self._untold:
                event = self._untold.popleft()
                for listener in self._listeners:
                    listener(event)
        finally:
            self._telling = False


def _in_order(objects: Mapping[ResourceId, Document]) -> tuple[Document, ...]:
    return tuple(objects[key] for key in sorted(objects, key=lambda key: (key.namespace, key.name)))
