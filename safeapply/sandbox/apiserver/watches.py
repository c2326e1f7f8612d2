"""Watches: the writes of a kind, streamed to a client from a version on.

A watch holds no queue of its own. It is woken, reads what the ledger has since its last version, and writes that;
a client that reads too slowly falls out of the history and is told to list again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from safeapply.sandbox.apiserver.bodies import encode
from safeapply.sandbox.apiserver.figures import figure
from safeapply.sandbox.apiserver.ledger import Ledger, Revision
from safeapply.sandbox.apiserver.paths import Place
from safeapply.sandbox.apiserver.representations import Form, one_of
from safeapply.sandbox.apiserver.selectors import Selection
from safeapply.sandbox.apiserver.statuses import StatusError
from safeapply.sandbox.watching import WatchType

__all__ = ["Watch", "watch_of"]

_LONGEST_SECONDS: Final = 3600.0
_INITIAL_END: Final = {"k8s.io/initial-events-end": "true"}


@dataclass(frozen=True, slots=True)
class Watch:
    """What a client wants to see."""

    place: Place
    selection: Selection
    form: Form
    since: int | None
    """The version that the client knows; None to be told first what there is."""
    seconds: float = _LONGEST_SECONDS
    bookmarks: bool = False
    marks_start: bool = False
    """Whether the end of what there is at first is to be marked (``sendInitialEvents``)."""

    async def stream(self, request: web.Request, ledger: Ledger, closing: asyncio.Event) -> web.StreamResponse:
        """Answer with events until the time is over, the client leaves, or the server closes."""
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        changed = asyncio.Event()
        unwake = ledger.wake(self.place.kind.group_kind, changed.set)
        try:
            await response.prepare(request)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.seconds):
                    await self._events(response, ledger, changed, closing)
            with contextlib.suppress(ConnectionError):
                await response.write_eof(self._bookmark(ledger.resource_version) if self.bookmarks else b"")
        except ConnectionError:
            pass  # the client has left: there is nobody to tell
        finally:
            unwake()
        return response

    async def _events(
        self, response: web.StreamResponse, ledger: Ledger, changed: asyncio.Event, closing: asyncio.Event
    ) -> None:
        version = ledger.resource_version if self.since is None else self.since
        await _write(response, self._initial(ledger) if self.since is None else b"")
        while not closing.is_set():
            changed.clear()
            try:
                revisions = ledger.since(self.place.kind.group_kind, version)
            except StatusError as error:
                await _write(response, _line("ERROR", error.document))
                return
            version = max(version, ledger.resource_version)
            await _write(response, b"".join(self._told(revisions)))
            await _either(changed, closing)
        return

    def _initial(self, ledger: Ledger) -> bytes:
        found = ledger.list(self.place.kind.group_kind, self.selection.namespace)
        lines = [self._event("ADDED", one) for one in found if self.selection.holds(one)]
        if self.marks_start:
            lines.append(self._bookmark(ledger.resource_version, annotations=_INITIAL_END))
        return b"".join(lines)

    def _told(self, revisions: tuple[Revision, ...]) -> Iterator[bytes]:
        """Yield what the writes mean to this client: an object may enter and leave a selection."""
        for revision in revisions:
            event = revision.event
            after = event.type is not WatchType.DELETED and self.selection.holds(event.document)
            before = revision.before is not None and self.selection.holds(revision.before)
            if after:
                yield self._event("MODIFIED" if before else "ADDED", event.document)
            elif before and revision.before is not None:
                yield self._event("DELETED", _last_seen(revision.before, event.document))

    def _event(self, kind: str, document: Mapping[str, Any]) -> bytes:
        return _line(kind, one_of(self.place, document, self.form, datetime.now(UTC)))

    def _bookmark(self, version: int, annotations: Mapping[str, str] | None = None) -> bytes:
        metadata: dict[str, Any] = {"resourceVersion": str(version)}
        if annotations:
            metadata["annotations"] = annotations
        head = {"apiVersion": self.place.api_version, "kind": self.place.kind.name}
        return _line("BOOKMARK", {**head, "metadata": metadata})


def _last_seen(before: Mapping[str, Any], after: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an object that is gone from a selection: as it last was in it, at the version of its going."""
    return {**before, "metadata": {**before["metadata"], "resourceVersion": after["metadata"]["resourceVersion"]}}


def watch_of(place: Place, selection: Selection, form: Form, query: Mapping[str, str]) -> Watch:
    """Return the watch that a query asks for.

    Raises:
        StatusError: 400, where a figure in it is none.
    """
    marks_start = query.get("sendInitialEvents") in {"1", "true"}
    since, seconds = (figure(query, name) for name in ("resourceVersion", "timeoutSeconds"))
    return Watch(
        place,
        selection,
        form,
        since=None if marks_start or not since else since,
        seconds=min(float(seconds), _LONGEST_SECONDS) if seconds else _LONGEST_SECONDS,
        bookmarks=query.get("allowWatchBookmarks") in {"1", "true"},
        marks_start=marks_start,
    )


def _line(kind: str, document: Mapping[str, Any]) -> bytes:
    return encode({"type": kind, "object": document}) + b"\n"


async def _write(response: web.StreamResponse, lines: bytes) -> None:
    if lines:
        await response.write(lines)


async def _either(one: asyncio.Event, other: asyncio.Event) -> None:
    """Return when one of two events is set."""
    waits = [asyncio.ensure_future(event.wait()) for event in (one, other)]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
