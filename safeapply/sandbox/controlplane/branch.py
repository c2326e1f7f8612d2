"""One replica at work: its model of time, its ADS server, the streams of its proxies and what it makes for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from safeapply.resources.objects import Document, Namespace, ResourceId
from safeapply.sandbox.authority import Authority
from safeapply.sandbox.controlplane.certificates import certificates
from safeapply.sandbox.controlplane.deliveries import Delivery, Nack
from safeapply.sandbox.controlplane.faults import Faults
from safeapply.sandbox.controlplane.pages import DebugPages, configz, syncz
from safeapply.sandbox.controlplane.replica import Replica
from safeapply.sandbox.controlplane.sessions import Request, Response, Session, Xds
from safeapply.sandbox.controlplane.snapshots import EMPTY, REVISION, Snapshot
from safeapply.sandbox.controlplane.translation.configuration import Configuration, Translation
from safeapply.sandbox.controlplane.wire import AdsServer, Encoder, Peer

__all__ = ["Books", "Branch"]

DEFAULT_REVISION = "default"
Send: TypeAlias = Callable[[Any | None], None]


@dataclass(slots=True)
class Books:
    """What all replicas report to."""

    delivered: Callable[[Delivery], None]
    refused: Callable[[Nack], None]
    changed: Callable[[], None]
    """Something happened that somebody may wait for."""


@dataclass(slots=True)
class _Stream:
    """The connection of one proxy."""

    branch: Branch
    peer: Peer
    session: Session
    send: Send
    covered: Snapshot

    def receive(self, request: Request) -> None:
        """Take a request in."""
        self.branch.receive(self, request)

    def closed(self) -> None:
        """Forget the proxy, unless it has connected anew."""
        self.branch.forget(self)


class Branch:
    """One replica."""

    def __init__(
        self,
        model: Callable[..., Replica],
        *,
        socket: Path,
        debug_socket: Path,
        faults: Faults,
        books: Books,
        authority: Authority | None = None,
    ) -> None:
        """Join a model of time, made with this as its ``on_push``, to a server on a socket."""
        self._faults = faults
        self._books = books
        self._encoder = Encoder()
        self._streams: dict[str, _Stream] = {}
        self._mutual_tls = authority is not None
        self._server = AdsServer(socket, self._connect, *([] if authority is None else [certificates(authority)]))
        self._translated: tuple[Snapshot, dict[str, Translation]] = (EMPTY, {})
        """What each revision makes of the newest snapshot; one process speaks for the istiods of all."""
        self.model = model(on_push=self._push)
        self._pages = DebugPages(
            debug_socket,
            {
                "/debug/syncz": lambda: syncz((one.peer, one.session) for one in self._streams.values()),
                "/debug/configz": lambda: configz(self.model.objects),
            },
        )

    async def start(self) -> None:
        """Serve ADS, and the debug pages."""
        await self._server.start()
        await self._pages.start()

    async def stop(self) -> None:
        """End all streams."""
        await self._pages.stop()
        await self._server.stop()

    @property
    def proxies(self) -> tuple[str, ...]:
        """Who is connected."""
        return tuple(self._streams)

    def unsettled(self) -> Iterator[str]:
        """Yield why this replica's proxies do not have the newest writes, one sentence for each."""
        if not self.model.idle:
            yield f"istiod-{self.model.number} has more to send"
        for proxy, stream in self._streams.items():
            if stream.covered is not self.model.snapshot:
                yield f"{proxy} was not sent the newest snapshot"
            if Xds.CDS not in stream.session.nonces:
                # Its stream is there before its first request is read.
                yield f"{proxy} has not asked for anything yet"
            for kind in stream.session.unanswered:
                yield f"{proxy} has not accepted {kind}" + (": a cluster warms" if kind == "CDS" else "")

    def refusals(self) -> Iterator[str]:
        """Yield what this replica's proxies refuse, one sentence for each; no waiting helps against that."""
        for proxy, stream in self._streams.items():
            for kind, text in stream.session.refused.items():
                yield f"{proxy} refused {kind.name}: {text}"

    def catch_up(self) -> None:
        """Send what a fault kept back."""
        for stream in self._streams.values():
            stream.session.push_again()
        self._books.changed()

    def drop(self, proxy: str) -> None:
        """End a proxy's stream."""
        stream = self._streams.get(proxy)
        if stream is not None:
            stream.send(None)

    def receive(self, stream: _Stream, request: Request) -> None:
        """Take a proxy's request in."""
        if request.refusal:
            self._books.refused(Nack(stream.peer.proxy, request.type.name, request.refusal))
        stream.session.receive(request)
        self._books.changed()

    def forget(self, stream: _Stream) -> None:
        """Take note that a stream has ended."""
        if self._streams.get(stream.peer.proxy) is stream:
            del self._streams[stream.peer.proxy]
            self.model.disconnect(stream.peer.proxy)
        self._books.changed()

    def _connect(self, peer: Peer, send: Send) -> _Stream | None:
        if peer.proxy in self._faults.dropped:
            return None
        snapshot = self.model.connect(peer.proxy)

        def respond(response: Response) -> None:
            send(self._encoder.response(response, _version(snapshot)))

        session = Session(peer.proxy, self._configuration(snapshot, peer), self._faults, respond)
        stream = _Stream(self, peer, session, send, snapshot)
        self._streams[peer.proxy] = stream
        return stream

    def _push(self, proxy: str, snapshot: Snapshot, due: float) -> None:
        stream = self._streams.get(proxy)
        if stream is None:
            return
        types = stream.session.push(self._configuration(snapshot, stream.peer))
        stream.covered = snapshot
        self._books.delivered(
            Delivery(
                proxy=proxy,
                replica=self.model.number,
                resource_version=snapshot.resource_version,
                seen=snapshot.seen,
                due=due,
                sent=time.monotonic(),
                types=types,
            )
        )

    def _configuration(self, snapshot: Snapshot, peer: Peer) -> Configuration:
        if self._translated[0] is not snapshot:
            self._translated = (snapshot, {})
        made, pod = self._translated[1], _pod(snapshot, peer)
        revision = DEFAULT_REVISION if pod is None else _revision(pod)
        if revision not in made:
            made[revision] = Translation(snapshot.read_by(revision), mutual_tls=self._mutual_tls)
        # A proxy tells of itself while its pod is not seen yet.
        labels = peer.labels if pod is None else pod["metadata"].get("labels") or {}
        return made[revision].configuration(peer.role, peer.namespace, labels, peer.ports)


def _pod(snapshot: Snapshot, peer: Peer) -> Document | None:
    return snapshot.objects.get(ResourceId("", "Pod", Namespace(peer.namespace), peer.pod, peer.cluster))


def _revision(pod: Document) -> str:
    """Return which revision injected a pod, as the injector writes it down."""
    return str((pod["metadata"].get("annotations") or {}).get(REVISION, DEFAULT_REVISION))


def _version(snapshot: Snapshot) -> str:
    """Return ``system_version_info`` in istiod's form: a time and a counter (ISTIO.md 7.2)."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}/{snapshot.resource_version}"
