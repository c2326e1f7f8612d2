"""The sockets of the pods that run: where clients find a port, and where the application behind it answers.

The two are one, unless a sidecar stands before the application: then the first is a link to the sidecar's entrance.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safeapply.errors import SandboxError
from safeapply.sandbox.backends import Backends
from safeapply.sandbox.sockets import application_name, backend_socket, entrance_name

__all__ = ["PodSockets"]


class PodSockets:
    """The sockets of one pod."""

    def __init__(self, run: Path, ip: str, sidecar: Path | None, backends: Backends) -> None:
        """Open none yet.

        Args:
            run: the run directory of the mesh.
            ip: the address of the pod.
            sidecar: the directory of the Envoy that stands before its application, or None.
            backends: what answers.
        """
        self._run = run
        self._ip = ip
        self._sidecar = sidecar
        self._backends = backends
        self.ports: set[int] = set()
        """The ports that are open."""

    async def open(self, port: int, *, pod: str, labels: Mapping[str, str]) -> None:
        """Answer on a port in the name of a pod.

        Raises:
            SandboxError: the socket could not be opened.
        """
        await self._backends.listen(self._application(port), pod=pod, labels=labels)
        if self._sidecar is not None:
            self._lead(backend_socket(self._run, self._ip, port), self._sidecar / entrance_name(port))
        self.ports.add(port)

    async def close(self, port: int) -> None:
        """Stop answering on a port."""
        self.ports.discard(port)
        if self._sidecar is not None:
            backend_socket(self._run, self._ip, port).unlink(missing_ok=True)
        await self._backends.close(self._application(port))

    def _lead(self, found: Path, entrance: Path) -> None:
        try:
            found.parent.mkdir(parents=True, exist_ok=True)
            found.symlink_to(entrance)
        except OSError as error:
            raise SandboxError(f"a pod cannot listen: {found}: {error.strerror}") from error

    def _application(self, port: int) -> Path:
        if self._sidecar is not None:
            return self._sidecar / application_name(port)
        return backend_socket(self._run, self._ip, port)
