"""The network namespaces of pods: each has its own loopback, its own address, and Istio's redirect where asked for.

A namespace has no name; it lives as long as a process in it, and a socket belongs to that in which it was made.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.real.controlplane import HOST

__all__ = ["PROXY_GROUP", "PodNetwork", "bridge", "client_socket", "inside", "listening_socket"]

BRIDGE: Final = "pods"
CLONE_NEWNET: Final = 0x40000000
PROXY_GROUP: Final = "1337"
"""The group that Istio's proxies run as: what they send is not sent to them again."""
REDIRECT: Final = f"""\
*nat
-A PREROUTING -p tcp -m multiport ! --dports 15008,15020,15021,15090 -j REDIRECT --to-ports 15006
-A OUTPUT -o lo -s 127.0.0.6/32 -j RETURN
-A OUTPUT -o lo ! -d 127.0.0.1/32 -p tcp -m owner --gid-owner {PROXY_GROUP} -j REDIRECT --to-ports 15006
-A OUTPUT -m owner --gid-owner {PROXY_GROUP} -j RETURN
-A OUTPUT -d 127.0.0.1/32 -j RETURN
-A OUTPUT -p tcp -j REDIRECT --to-ports 15001
COMMIT
"""
"""What istio-init writes (istio ``tools/istio-iptables``), for IPv4 and TCP."""
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def bridge() -> None:
    """Make the network of the node, which pods are plugged into."""
    lines = (f"link add {BRIDGE} type bridge", f"addr add {HOST}/16 dev {BRIDGE}", f"link set {BRIDGE} up")
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)


@dataclass(frozen=True, slots=True)
class PodNetwork:
    """The network of one pod, and the process that keeps it."""

    ip: str
    pid: int

    @classmethod
    async def make(cls, number: int, *, redirect: bool) -> PodNetwork:
        """Make the network of the pod with a number; a sidecar's takes in all that its application exchanges."""
        ip = f"10.244.{number >> 8}.{number & 255}"
        keeper = await asyncio.create_subprocess_exec(
            "unshare", "--net", "sleep", "infinity", start_new_session=True
        )
        await _own_network(keeper.pid)
        veth = f"pod{number}"
        await _run("ip", "link", "add", veth, "type", "veth", "peer", "name", "eth0", "netns", str(keeper.pid))
        await _run("ip", "link", "set", veth, "master", BRIDGE, "up")
        lines = (
            "link set lo up",
            f"addr add {ip}/16 dev eth0",
            "link set eth0 up",
            f"route add default via {HOST}",
        )
        enter = ("nsenter", "--net", "--target", str(keeper.pid))
        await _run(*enter, "ip", "-batch", "-", given="\n".join(lines))
        if redirect:
            await _run(*enter, "iptables-restore", given=REDIRECT)
        return cls(ip, keeper.pid)

    def remove(self) -> None:
        """End what keeps it; its side of the wire goes with it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


@contextlib.contextmanager
def inside(pid: int) -> Iterator[None]:
    """Let this thread make sockets in the network of a process; nothing may be awaited meanwhile."""
    with Path("/proc/self/ns/net").open("rb") as own, Path(f"/proc/{pid}/ns/net").open("rb") as other:
        _enter(other.fileno())
        try:
            yield
        finally:
            _enter(own.fileno())


def listening_socket(pid: int, port: int) -> socket.socket:
    """Return a socket that listens on all addresses in the network of a process."""
    with inside(pid):
        listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("0.0.0.0", port))
    listening.listen(1024)
    listening.setblocking(False)  # noqa: FBT003 - the standard library has it so
    return listening


def client_socket(pid: int) -> socket.socket:
    """Return a socket that connects from the network of a process."""
    with inside(pid):
        client = socket.socket()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.setblocking(False)  # noqa: FBT003 - the standard library has it so
    return client


async def _own_network(pid: int) -> None:
    """Return when a process that was just started has a network of its own."""
    while _network(pid) == _network(os.getpid()):  # noqa: ASYNC110 - another process tells nobody
        await asyncio.sleep(0.002)


def _network(pid: int) -> Path:
    return Path(f"/proc/{pid}/ns/net").readlink()


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "setns")


async def _run(*command: str, given: str | None = None) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate(None if given is None else given.encode())
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {said.decode().strip()}")
