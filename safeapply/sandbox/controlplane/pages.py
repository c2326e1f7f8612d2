"""The debug pages of one replica, in istiod's own JSON: who is connected, and which objects it has seen.

Built from what the replica really has, so it lags as istiod's pages do. Only what tools read is here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from safeapply.resources.objects import Document, ResourceId
from safeapply.sandbox.controlplane.sessions import Session, Xds
from safeapply.sandbox.controlplane.wire import Peer
from safeapply.sandbox.names import HOME

__all__ = ["DEBUG_PORTS", "DebugPages", "configz", "syncz"]

DEBUG_PORTS = (15014, 8080)
"""Where istiod serves them: beside the metrics, and beside the readiness probe."""
ISTIO = ".istio.io"
CLOSE_SECONDS = 1.0
FIELDS = {Xds.CDS: "cluster", Xds.LDS: "listener", Xds.RDS: "route", Xds.EDS: "endpoint"}
SERVED_METADATA = (
    "name", "namespace", "resourceVersion", "creationTimestamp", "generation", "labels", "annotations",
)  # fmt: skip


class DebugPages:
    """An HTTP server on a unix socket, to which a port-forward to the replica's pod leads."""

    def __init__(self, socket: Path, pages: Mapping[str, Callable[[], object]]) -> None:
        self._socket = socket
        self._pages = pages
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Begin to answer."""
        app = web.Application()
        for path, page in self._pages.items():
            app.router.add_get(path, _handler(page))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_SECONDS)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self._socket)).start()

    async def stop(self) -> None:
        """Answer no more, and leave no socket behind."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            self._socket.unlink(missing_ok=True)


def syncz(streams: Iterable[tuple[Peer, Session]]) -> list[dict[str, Any]]:
    """Return istiod's ``SyncStatus`` of every connected proxy: the nonces sent and accepted last, and refusals."""
    return [_sync_status(peer, session) for peer, session in streams]


def configz(objects: Mapping[ResourceId, Document]) -> list[dict[str, Any]]:
    """Return the Istio objects that a replica has seen; Services and pods are no configuration to istiod."""
    return [_served(document) for one, document in objects.items() if one.group.endswith(ISTIO)]


def _sync_status(peer: Peer, session: Session) -> dict[str, Any]:
    status: dict[str, Any] = {
        "cluster_id": peer.cluster or HOME,
        "proxy": f"{peer.pod}.{peer.namespace}",
        "proxy_type": peer.role,
    }
    resources: dict[str, Any] = {}
    for kind, nonces in session.nonces.items():
        said = {"sent": nonces.sent, "acked": nonces.accepted, "lastError": session.refused.get(kind, "")}
        resources[kind.value] = {key: value for key, value in said.items() if value}
        status |= {f"{FIELDS[kind]}_sent": nonces.sent, f"{FIELDS[kind]}_acked": nonces.accepted}
    return {key: value for key, value in status.items() if value} | {"resources": resources}


def _served(document: Document) -> dict[str, Any]:
    metadata = {key: document["metadata"][key] for key in SERVED_METADATA if key in document["metadata"]}
    return {
        "kind": document["kind"],
        "apiVersion": document["apiVersion"],
        "metadata": metadata,
        "spec": document.get("spec") or {},
    }


def _handler(page: Callable[[], object]) -> Callable[[web.Request], Any]:
    async def answer(_: web.Request) -> web.Response:
        text = json.dumps(page(), indent=2, default=str)
        return web.Response(text=text, content_type="application/json")

    return answer
