"""How the Envoys are reached: ``--via``, with its company."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from safeapply.adapters.addresses import Addresses, read_addresses
from safeapply.adapters.admin import AdminPorts
from safeapply.adapters.connection import Connection
from safeapply.adapters.envoy import PortForward
from safeapply.adapters.exec import Exec
from safeapply.adapters.multicluster import ClosingProxies, Connections, ManyProxies
from safeapply.commands.choices import Via
from safeapply.errors import UsageError
from safeapply.plans.rights import Way

__all__ = ["Reach", "reach_of"]


@dataclass(frozen=True, slots=True)
class Reach:
    """One way to the Envoys."""

    via: Via
    max_connections: int
    urls: Mapping[str, str] = field(default_factory=dict)
    """With ``Via.URL`` the address of each ``[context/]namespace/pod``."""
    exclude: tuple[str, ...] = ()
    """``[CONTEXT/]NAMESPACE/POD`` patterns of those that do not count."""

    @property
    def way(self) -> Way:
        """What the API server has to allow for it."""
        return Way("" if self.via is Via.URL else self.via.value.replace("-", ""))

    def proxies(self, connections: Connections) -> ClosingProxies:
        """Return the Envoys of the mesh, each behind the API server of its cluster."""
        if not connections.remotes:
            return self._behind(connections.home)
        return ManyProxies({name: self._behind(one) for name, one in connections.by_name.items()})

    def _behind(self, connection: Connection) -> AdminPorts:
        match self.via:
            case Via.PORT_FORWARD:
                return PortForward(connection, max_connections=self.max_connections)
            case Via.EXEC:
                return Exec(connection, max_connections=self.max_connections)
            case Via.URL:
                return Addresses(self.urls, max_connections=self.max_connections)


def reach_of(via: Via, addresses: Path | None, max_connections: int, exclude: Sequence[str] | None = None) -> Reach:
    """Return what the options ask for.

    Raises:
        UsageError: the options contradict each other, or the file of addresses is of no use.
    """
    if (via is Via.URL) != (addresses is not None):
        raise UsageError("--via url needs --proxy-addresses FILE, and nothing else does")
    for one in exclude or ():
        if "/" not in one or not all(one.rsplit("/", 2)):
            raise UsageError(
                f"--exclude {one}: not of the form [CONTEXT/]NAMESPACE/POD; '*' stands for any part of a name"
            )
    return Reach(via, max_connections, read_addresses(addresses) if addresses else {}, tuple(exclude or ()))
