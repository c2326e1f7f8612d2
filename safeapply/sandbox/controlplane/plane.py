"""The control plane of the embedded mesh: writes in, configuration of real Envoys out, late as Istio is.

It owns the clock that the pure model of time lacks, spreads proxies and writes over the replicas, and keeps the
books: what was sent to whom, when that was due, and what was refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from safeapply.errors import SandboxError
from safeapply.resources.objects import Document, ResourceId
from safeapply.sandbox.authority import Authority
from safeapply.sandbox.controlplane.branch import Books, Branch
from safeapply.sandbox.controlplane.deliveries import Delivery, Nack, propagation
from safeapply.sandbox.controlplane.draws import Draws
from safeapply.sandbox.controlplane.faults import Faults
from safeapply.sandbox.controlplane.replica import Replica
from safeapply.sandbox.controlplane.snapshots import Write, is_watched, same_for_istio
from safeapply.sandbox.controlplane.timeline import Timeline
from safeapply.sandbox.controlplane.translation.soundness import fault_of
from safeapply.sandbox.delays import Delays
from safeapply.sandbox.sockets import check_room, debug_socket, xds_socket
from safeapply.sandbox.watching import WatchEvent, WatchType

__all__ = ["ControlPlane"]


class ControlPlane:
    """An istiod of several replicas, on one unix socket each."""

    def __init__(
        self, *, run: Path, seed: int, delays: Delays, replicas: int = 2, authority: Authority | None = None
    ) -> None:
        """Make its replicas; nothing is served yet.

        Args:
            run: the run directory, for its sockets.
            seed: what the delays are drawn from.
            delays: between which spans.
            replicas: how many.
            authority: who vouches for the proxies; without one nothing is said of mutual TLS.
        """
        check_room(run)
        self._run = run
        self._seed = seed
        self._draws = Draws(seed)
        self._timeline = Timeline()
        self._faults = Faults()
        self.mutual_tls = authority is not None
        """Whether proxies have certificates."""
        self._latest: dict[ResourceId, Document] = {}
        self._writes: dict[int, Write] = {}
        self._deliveries: list[Delivery] = []
        self._nacks: list[Nack] = []
        self._ignored: dict[ResourceId, str] = {}
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        books = Books(self._deliveries.append, self._nacks.append, self._notice)
        self._branches = tuple(
            Branch(
                partial(Replica, number, draws=self._draws, delays=delays, timeline=self._timeline),
                socket=xds_socket(run, number),
                debug_socket=debug_socket(run, number),
                faults=self._faults,
                books=books,
                authority=authority,
            )
            for number in range(replicas)
        )

    async def start(self) -> None:
        """Serve ADS on every replica's socket.

        Raises:
            SandboxError: a socket cannot be opened.
        """
        self._run.mkdir(parents=True, exist_ok=True)
        for branch in self._branches:
            await branch.start()
        self._work = asyncio.create_task(self._keep_time())

    async def stop(self) -> None:
        """End all streams and leave no socket behind."""
        if self._work is not None:
            self._work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._work
        await asyncio.gather(*(branch.stop() for branch in self._branches))

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.stop()

    def observe(self, event: WatchEvent) -> None:
        """Take a committed write in; each replica will see it after its own lag."""
        if not is_watched(event.id):
            return
        document = None if event.type is WatchType.DELETED else event.document
        before = self._latest.pop(event.id, None)
        if document is not None:
            self._latest[event.id] = document
            if before is not None and same_for_istio(before, document):
                self._observe_in_passing(event.id, document, event.at)
                return
            document = self._sound(event.id, document)
        if not event.id.cluster:
            self._writes[event.resource_version] = Write(event.id, event.resource_version, event.at)
        for branch in self._branches:
            branch.model.observe(event.id, document, event.resource_version, event.at)
        self._wake.set()

    def set_delays(self, delays: Delays, *, seed: int | None = None) -> None:
        """Draw all delays from these spans from now on, and every stream of draws from its beginning.

        A mesh is set up without delay and measured with it; what was drawn before does not shift the measurement.
        One that is measured several times is given another seed each time.
        """
        self._draws.restart(seed)
        for branch in self._branches:
            branch.model.delays = delays

    def replica_of(self, proxy: str) -> int:
        """Return the replica that a proxy (``pod.namespace``) is to connect to: the same one for one seed."""
        return random.Random(f"{self._seed}/replica/{proxy}").randrange(len(self._branches))  # noqa: S311 - a simulation

    def xds_socket(self, proxy: str) -> Path:
        """Return the socket of that replica."""
        return xds_socket(self._run, self.replica_of(proxy))

    @property
    def ignored(self) -> Mapping[ResourceId, str]:
        """Return the objects that no configuration can be made from, with why; they are as if absent."""
        return dict(self._ignored)

    @property
    def proxies(self) -> tuple[str, ...]:
        """Return who is connected."""
        return tuple(sorted(proxy for branch in self._branches for proxy in branch.proxies))

    @property
    def nacks(self) -> tuple[Nack, ...]:
        """Everything that an Envoy refused, with its own words."""
        return tuple(self._nacks)

    def writes(self) -> tuple[Write, ...]:
        """Return every write to the own cluster that makes a difference to istiod, in order."""
        return tuple(self._writes.values())

    def deliveries(self) -> tuple[Delivery, ...]:
        """Return every push to every proxy, in order; what a proxy gets when it connects is none."""
        return tuple(self._deliveries)

    def propagation(self, resource_versions: Iterable[int]) -> float:
        """Return how long the slowest proxy truly had to wait for a set of writes, as drawn.

        From the last of the writes until the push is due that completes them at the last proxy to which they make a
        difference. Writes that istiod does not read count for nothing.
        """
        writes = [self._writes[each] for each in resource_versions if each in self._writes]
        return propagation(writes, self._deliveries)

    async def settled(self, deadline: float) -> None:
        """Return when every connected proxy has accepted the newest write, within ``deadline`` seconds.

        Raises:
            SandboxError: some have not, with why, or refuse it; or the control plane itself has failed.
        """
        try:
            async with asyncio.timeout(deadline):
                while any(self._unsettled()):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            reasons = "; ".join((*self._refusals(), *self._unsettled()))
            raise SandboxError(f"the mesh did not settle within {deadline:g} s: {reasons}") from None
        refusals = "; ".join(self._refusals())
        if refusals:
            raise SandboxError(f"the mesh has settled without some of its configuration: {refusals}")

    def withhold_eds(self, clusters: Collection[str]) -> None:
        """Send no endpoints for these clusters any more, so that new and changed ones warm."""
        self._faults.withheld |= set(clusters)

    def release_eds(self, clusters: Collection[str] | None = None) -> None:
        """Send the endpoints of these clusters, or of all, that were withheld."""
        self._faults.withheld -= set(self._faults.withheld if clusters is None else clusters)
        self._catch_up()

    def corrupt(self, proxy: str, kind: str, *names: str) -> None:
        """Spoil what is sent of one type (``CDS``, ``EDS``, ``LDS``, ``RDS``) to a proxy, so that it refuses it.

        With names only those resources are spoilt, and what Envoy makes of the others is its own.
        """
        self._faults.corrupted[proxy, kind] = frozenset(names)

    def mend(self, proxy: str, kind: str) -> None:
        """Stop spoiling, and send again what was refused."""
        self._faults.corrupted.pop((proxy, kind), None)
        self._catch_up()

    def drop(self, proxy: str) -> None:
        """End a proxy's stream and refuse it until it is readmitted; it keeps the configuration that it has."""
        self._faults.dropped.add(proxy)
        for branch in self._branches:
            branch.drop(proxy)

    def readmit(self, proxy: str) -> None:
        """Let a dropped proxy connect again; its Envoy tries every so often."""
        self._faults.dropped.discard(proxy)

    async def restart(self, number: int, *, seconds: float) -> None:
        """Stop a replica, and start it again after as long; its proxies keep what they have and connect anew."""
        await self._branches[number].stop()
        await asyncio.sleep(seconds)
        await self._branches[number].start()

    def _sound(self, resource_id: ResourceId, document: Document) -> Document | None:
        """Return the document, or None where istiod would refuse it too; the API server's validation is light."""
        self._ignored.pop(resource_id, None)
        fault = fault_of(document)
        if fault is None:
            return document
        self._ignored[resource_id] = fault
        return None

    def _observe_in_passing(self, resource_id: ResourceId, document: Document, at: float) -> None:
        if resource_id not in self._ignored:
            for branch in self._branches:
                branch.model.observe_in_passing(resource_id, document, at)
            self._wake.set()

    def _catch_up(self) -> None:
        for branch in self._branches:
            branch.catch_up()

    def _notice(self) -> None:
        self._changed.set()

    def _unsettled(self) -> Iterator[str]:
        if self._work is not None and self._work.done() and not self._work.cancelled():
            error = self._work.exception()
            raise SandboxError(f"the control plane has failed: {error!r}") from error
        for branch in self._branches:
            yield from branch.unsettled()

    def _refusals(self) -> Iterator[str]:
        return (refusal for branch in self._branches for refusal in branch.refusals())

    async def _keep_time(self) -> None:
        """Run what is due, as it becomes due."""
        try:
            while True:
                self._wake.clear()
                self._timeline.advance(time.monotonic())
                self._changed.set()
                due = self._timeline.next_due
                wait = None if due is None else max(0.0, due - time.monotonic())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._wake.wait()
        finally:
            self._changed.set()
