"""Whether what is sent to a server can be read on the way."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

__all__ = ["is_private"]


def is_private(cluster: Mapping[str, Any]) -> bool:
    """Tell whether the server of a kubeconfig's cluster is reached by TLS, or does not lie beyond this machine."""
    try:
        server = urlsplit(str(cluster.get("server") or ""))
        return server.scheme == "https" or (
            _is_loopback(server.hostname or "") and not _is_proxied(cluster, server)
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


def _is_proxied(cluster: Mapping[str, Any], server: SplitResult) -> bool:
    """Tell whether a proxy comes first; unlike Go, Python asks it for this machine's own addresses, too."""
    if cluster.get("proxy-url"):
        return True
    return bool(getproxies().get(server.scheme)) and not proxy_bypass(server.hostname or "")
