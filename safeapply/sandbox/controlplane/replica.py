"""One replica of istiod as far as time is concerned: informers, debounce, and a queue per proxy. Pure.

The model is Istio's, not a convenient one (ISTIO.md 0.2, 0.3, 7.1):

* each kind of object is seen after its own lag, drawn for each write; within a kind the order is kept, and each
  cluster of the mesh has informers of its own;
* a snapshot is made when nothing was seen for 100 ms, and after 10 s in any case;
* a proxy with nothing pending draws its own delay; whatever comes while it waits is merged into that one push,
  which sends the newest snapshot there is when its time has come.

It knows no sockets and no clock: ``timeline`` tells it when, ``on_push`` is told what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

from safeapply.resources.objects import Document, ResourceId
from safeapply.sandbox.controlplane.draws import Draws
from safeapply.sandbox.controlplane.snapshots import EMPTY, Snapshot, Source, source_of
from safeapply.sandbox.controlplane.timeline import Timeline
from safeapply.sandbox.delays import Delays

__all__ = ["OnPush", "Replica"]

OnPush: TypeAlias = Callable[[str, Snapshot, float], None]
"""(proxy, snapshot, due): called when a proxy's push is due."""


class Replica:
    """The state of one replica."""

    def __init__(self, number: int, *, draws: Draws, delays: Delays, timeline: Timeline, on_push: OnPush) -> None:
        self.number = number
        self.delays = delays
        self.snapshot = EMPTY
        """The newest that was made; a proxy that connects gets this one at once."""
        self._draws = draws
        self._timeline = timeline
        self._on_push = on_push
        self._objects: dict[ResourceId, Document] = {}
        self._seen: dict[Source, int] = {}
        self._last_due: dict[Source, float] = {}
        self._on_their_way = 0
        self._unquiet_since: float | None = None
        self._last_seen = 0.0
        self._proxies: set[str] = set()
        self._pending: dict[str, float] = {}

    @property
    def idle(self) -> bool:
        """Whether every write is in the newest snapshot, and every proxy has been sent it."""
        return not self._on_their_way and self._unquiet_since is None and not self._pending

    @property
    def objects(self) -> Mapping[ResourceId, Document]:
        """Every object that was seen, as it was seen last, whether or not it is in a snapshot yet."""
        return self._objects

    def connect(self, proxy: str) -> Snapshot:
        """Take a proxy in, and return what it gets at once."""
        self._proxies.add(proxy)
        return self.snapshot

    def disconnect(self, proxy: str) -> None:
        """Forget a proxy; a push that waits for it comes to nothing."""
        self._proxies.discard(proxy)
        self._pending.pop(proxy, None)

    def observe(self, resource_id: ResourceId, document: Document | None, resource_version: int, at: float) -> None:
        """Let a write, or a deletion (None), be seen after its lag."""
        source = source_of(resource_id)
        lag = self._draws.draw(self.delays.lag, f"lag/{self.number}/{'/'.join(filter(None, map(str, source)))}")
        due = max(at + lag, self._last_due.get(source, 0.0))
        self._last_due[source] = due
        self._on_their_way += 1
        self._timeline.at(due, partial(self._see, resource_id, document, resource_version))

    def observe_in_passing(self, resource_id: ResourceId, document: Document, at: float) -> None:
        """Let a write be seen that makes no difference: in order, but nothing is drawn and nothing is pushed."""
        due = max(at, self._last_due.get(source_of(resource_id), 0.0))
        self._timeline.at(due, lambda _: self._objects.update({resource_id: document}))

    def _see(self, resource_id: ResourceId, document: Document | None, resource_version: int, now: float) -> None:
        self._on_their_way -= 1
        if document is None:
            self._objects.pop(resource_id, None)
        else:
            self._objects[resource_id] = document
        self._seen[source_of(resource_id)] = resource_version
        self._last_seen = now
        if self._unquiet_since is None:
            self._unquiet_since = now
            self._timeline.at(self._quiet_at(now), self._debounce)

    def _quiet_at(self, since: float) -> float:
        return min(self._last_seen + self.delays.debounce, since + self.delays.debounce_max)

    def _debounce(self, now: float) -> None:
        """Make a snapshot if it has been quiet long enough, or wait on."""
        since = self._unquiet_since
        if since is None:
            return
        due = self._quiet_at(since)
        if due > now:
            self._timeline.at(due, self._debounce)
            return
        self._unquiet_since = None
        self.snapshot = Snapshot(dict(self._objects), dict(self._seen))
        for proxy in sorted(self._proxies - self._pending.keys()):
            self._pending[proxy] = now + self._draws.draw(self.delays.push, f"push/{proxy}")
            self._timeline.at(self._pending[proxy], partial(self._push, proxy))

    def _push(self, proxy: str, now: float) -> None:
        # A proxy that left and came back may have another push pending by now.
        if self._pending.get(proxy) == now:
            del self._pending[proxy]
            self._on_push(proxy, self.snapshot, now)
