"""Whether what is sent to a server can be read on the way."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

__all__ = ["is_private", "proxy_of_environment"]


def is_private(cluster: Mapping[str, Any]) -> bool:
    """Tell whether the server of a kubeconfig's cluster is reached by TLS, or does not lie beyond this machine."""
    try:
        server = urlsplit(str(cluster.get("server") or ""))
        return server.scheme == "https" or (
            _is_loopback(server.hostname or "")
            and not cluster.get("proxy-url")
            # Unlike Go, Python asks a proxy for this machine's own addresses, too.
            and not proxy_of_environment(server.geturl())
        )
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def proxy_of_environment(server: str) -> str | None:
    """Return what ``HTTPS_PROXY`` and its like say of a server's address, unless ``NO_PROXY`` names it."""
    parts = urlsplit(server)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
