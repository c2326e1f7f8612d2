"""Where everything in the embedded mesh listens: unix sockets below one run directory.

No port of the machine is taken and no address is needed, so two meshes never meet and no rights are asked for.
Pod and service addresses (10.x) are data that only appear in file names. The kernel allows 107 bytes for a
socket's path; pods whose names would not fit get a shortened directory, so ask here and never build a path.
Nothing is opened or created here.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from safeapply.errors import SandboxError
from safeapply.resources.objects import Namespace

__all__ = [
    "PATH_LIMIT",
    "admin_socket",
    "application_name",
    "backend_name",
    "backend_socket",
    "check_room",
    "debug_socket",
    "entrance_name",
    "listener_name",
    "listener_socket",
    "proxy_directory",
    "xds_socket",
]

PATH_LIMIT = 107
"""``sun_path`` is 108 bytes on Linux (unix(7)), the last of them zero."""

LONGEST_FILE = "/255.255.255.255_65535.sock"
SHORTEST_DIRECTORY = 24
DIGEST = 4


def xds_socket(run: Path, replica: int) -> Path:
    """Return where one replica of the control plane serves ADS."""
    return run / f"istiod-{replica}.sock"


def debug_socket(run: Path, replica: int) -> Path:
    """Return where one replica of the control plane serves its debug pages; what its pod's ports lead to."""
    return run / f"istiod-{replica}-debug.sock"


def proxy_directory(run: Path, namespace: Namespace, pod: str) -> Path:
    """Return the directory of one Envoy: its bootstrap, its log, its admin socket and its listeners."""
    name = f"{pod}.{namespace}"
    room = _room(run)
    if len(name.encode()) > room:
        digest = hashlib.blake2b(name.encode(), digest_size=DIGEST).hexdigest()
        name = f"{name.encode()[: room - 1 - 2 * DIGEST].decode(errors='ignore')}~{digest}"
    return run / "x" / name


def admin_socket(run: Path, namespace: Namespace, pod: str) -> Path:
    """Return where one Envoy answers admin questions; what port 15000 of the pod leads to."""
    return proxy_directory(run, namespace, pod) / "admin.sock"


def listener_socket(run: Path, namespace: Namespace, pod: str, port: int, address: str = "") -> Path:
    """Return where an application in the pod finds a port of its Envoy.

    ``address`` is the service's for TCP and TLS, whose listeners Istio opens per service; without one it is
    the listener on all addresses, as for HTTP and for gateways (ISTIO.md 1.4).
    """
    return proxy_directory(run, namespace, pod) / listener_name(port, address)


def listener_name(port: int, address: str = "") -> str:
    """Return a listener's file name; Envoys run in their own directory and bind this name."""
    return f"{address}_{port}.sock" if address else f"{port}.sock"


def entrance_name(port: int) -> str:
    """Return the file name at which a sidecar takes what is sent to a port of its pod."""
    return f"in_{port}.sock"


def application_name(port: int) -> str:
    """Return the file name at which the application answers, where its sidecar stands before it."""
    return f"app_{port}.sock"


def backend_socket(run: Path, pod_ip: str, port: int) -> Path:
    """Return where a pod answers: its application, or the entrance of its sidecar."""
    return run / "b" / backend_name(pod_ip, port)


def backend_name(pod_ip: str, port: int) -> str:
    """Return the file name of a backend; Envoys reach it as ``../../b/<name>``."""
    return f"{pod_ip}_{port}.sock"


def check_room(run: Path) -> None:
    """Refuse a run directory whose name leaves too little room for the sockets below it.

    Raises:
        SandboxError: the path is too long.
    """
    if _room(run) < SHORTEST_DIRECTORY:
        raise SandboxError(
            f"the directory {run} is too long for unix sockets below it; choose a shorter one (TMPDIR)"
        )


def _room(run: Path) -> int:
    return PATH_LIMIT - len(str(run / "x").encode()) - 1 - len(LONGEST_FILE)
