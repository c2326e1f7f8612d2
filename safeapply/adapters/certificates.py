"""The certificates of a client: those that it is opened with, and its own when that is renewed while it is open.

A connection shows its certificate once, when it is opened, so those of before are left to end by themselves, as
client-go closes them (``plugin/pkg/client/auth/exec``, ``connTracker``).
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

from safeapply.adapters.keyfiles import told
from safeapply.adapters.redirects import refuse_redirects
from safeapply.errors import ClusterError

__all__ = ["ShownCertificate", "opened"]


def opened(settings: Configuration) -> ApiClient:
    """Return a client with its certificates loaded.

    Raises:
        ClusterError: one of them cannot be used.
    """
    # What answers is unpacked here and not by the library, which knows no bound.
    # Left to the library, too, each request would look for the environment's proxy in a thread of its own, and send
    # a password of ~/.netrc to the API server, which kubectl does not; the proxy is in the settings.
    settings.client_session_kwargs = {
        "middlewares": (refuse_redirects,),
        "auto_decompress": False,
        "trust_env": False,
    }
    try:
        return ApiClient(settings)
    except (ssl.SSLError, OSError) as error:
        shown = (settings.ssl_ca_cert, settings.cert_file, settings.key_file)
        named = ", ".join(dict.fromkeys(told(str(one)) for one in shown if one))
        raise ClusterError(
            f"TLS cannot be set up with {named} ({error.strerror or error}); check the kubeconfig and the flags"
        ) from error


@dataclass(slots=True)
class ShownCertificate:
    """What a client shows, and the sessions that showed another."""

    client: ApiClient
    _pair: tuple[bytes, ...] = ()
    _before: list[aiohttp.ClientSession] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._pair = self._read()

    def follow(self) -> None:
        """Show what the client's settings hold now; the same once more changes nothing.

        Raises:
            ClusterError: certificate and key do not go together.
        """
        pair = self._read()
        if not pair or pair == self._pair:
            return
        settings, rest = self.client.configuration, self.client.rest_client
        try:
            rest.ssl_context.load_cert_chain(settings.cert_file, keyfile=settings.key_file)
        except (ssl.SSLError, OSError) as error:
            raise ClusterError(f"the renewed client certificate cannot be used ({error}); log in again") from error
        self._pair = pair
        if rest.pool_manager is not None:
            self._before.append(rest.pool_manager)
            rest.pool_manager = None

    async def close(self) -> None:
        """Close the sessions of before."""
        await asyncio.gather(*(session.close() for session in self._before))

    def _read(self) -> tuple[bytes, ...]:
        """Return certificate and key as they are now: a renewed one may stand in the same file."""
        settings = self.client.configuration
        return tuple(Path(one).read_bytes() for one in (settings.cert_file, settings.key_file) if one)
