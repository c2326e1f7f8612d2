"""One connection to one API server, by the official client: kubeconfig, credentials, TLS, proxies.

What the client raises is wrapped here; above this module there are statuses, bodies and our own errors.
"""

from __future__ import annotations

import asyncio
import errno
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from multidict import CIMultiDict

from safeapply.adapters.access import ClusterAccess
from safeapply.adapters.bodies import BodyError, body_of
from safeapply.adapters.certificates import ShownCertificate, opened
from safeapply.adapters.credentials import Identity, Login, logged_in
from safeapply.adapters.privacy import proxy_of_environment
from safeapply.adapters.redirects import RedirectedError
from safeapply.adapters.retries import PASSING, patiently
from safeapply.errors import ClusterError, ClusterUnreachableError
from safeapply.rollout.durations import duration

__all__ = ["HANGING_UP", "LARGEST", "Connection", "Reply", "connected"]

STARTING_SECONDS = 5.0
"""How long a server that has never answered may refuse connections: a restart, else nothing is at that address."""
HANGING_UP = aiohttp.ClientWSTimeout(ws_close=1.0)
"""Seconds to wait for the other side of a websocket: who sends without an end does not stop for it."""
OK = range(200, 300)
UNAUTHORIZED = 401
FORBIDDEN = 403
NOT_FOUND = 404
NO_PAGE = b"404 page not found"
"""How an API server says, in no JSON, that it does not serve an API group."""
LARGEST = 256 * 1024**2
"""Bytes of an answer, unpacked: ten thousand pods of 25 kB in one part, where lists come in parts of 500."""
SHOWN = 200
"""Characters of a strange answer that are quoted."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the API server."""

    status: int
    document: Mapping[str, Any]
    retry_after: float = 0.0
    """How many seconds the server asks to be left alone."""

    @property
    def ok(self) -> bool:
        """Tell whether the server did what it was asked."""
        return self.status in OK

    @property
    def message(self) -> str:
        """The server's own words on a failure."""
        return str(self.document.get("message") or f"HTTP {self.status}")


@dataclass(frozen=True, slots=True)
class Connection:
    """An authenticated way to an API server."""

    client: ApiClient
    login: Login
    certificate: ShownCertificate | None = None
    """Follows what is renewed; None where nothing is."""
    _answered: asyncio.Event = field(default_factory=asyncio.Event)
    """Whether the server has ever answered: one that has and is silent now is being started anew."""

    @property
    def namespace(self) -> str:
        """The namespace of the kubeconfig's context."""
        return self.login.identity.namespace

    @property
    def server(self) -> str:
        """The address, as the kubeconfig gives it."""
        return str(self.client.configuration.host)

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> Reply:
        """Send one request, again where that may help, and return the answer, whatever its status.

        Raises:
            ClusterUnreachableError: no server answered.
            ClusterError: it did not accept the credentials, or answered something strange.
        """
        url = f"{self.server}{path}" + (f"?{urlencode(query)}" if query else "")

        async def send() -> Reply:
            seen = self.login.identity
            reply = await self._send(method, url, body, content_type)
            if reply.status == UNAUTHORIZED:
                await self._renew(seen)
                reply = await self._send(method, url, body, content_type)
            return reply

        begun = asyncio.get_running_loop().time()
        reply = await patiently(send, is_passing=lambda error: self._is_passing(error, begun))
        if reply.status in {UNAUTHORIZED, FORBIDDEN} and self.login.identity.withheld:
            raise ClusterError(
                f"{self.server} wants to know who asks, and the credentials of the kubeconfig are not sent there: "
                "without TLS anybody on the way could read them; give it an https:// address"
            )
        if reply.status == UNAUTHORIZED:
            raise ClusterError(f"the API server at {self.server} does not accept these credentials; log in again")
        return reply

    async def _send(self, method: str, url: str, body: object, content_type: str) -> Reply:
        headers, seconds = await self.headers(), self.login.access.request_seconds
        headers.update({"Accept": "application/json", "Accept-Encoding": "gzip", "Content-Type": content_type})
        try:
            response = await self.client.call_api(method, url, headers, body, None, seconds)
            raw = await body_of(response.response, most=LARGEST)
        except RedirectedError as error:
            raise ClusterError(
                f"{self.server} is no API server, or something stands before it: {error}; check the server of the "
                "kubeconfig"
            ) from error
        except BodyError as error:
            raise ClusterError(
                f"the API server at {self.server} cannot be understood: its answer {error}"
            ) from error
        except TimeoutError as error:
            raise ClusterUnreachableError(
                f"the API server at {self.server} did not answer within {duration(seconds)}; check the "
                "kubeconfig and the network"
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ClusterUnreachableError(self._unreachable(error)) from error
        self._answered.set()
        return self._reply(response.status, raw, response.headers.get("Retry-After"))

    def _is_passing(self, error: BaseException, begun: float) -> bool:
        """Tell whether a connection that failed may succeed soon; a wrong address stays wrong."""
        if not isinstance(error, ClusterUnreachableError) or isinstance(error.__cause__, ssl.SSLError):
            return False
        if self._answered.is_set() or not isinstance(error.__cause__, aiohttp.ClientConnectorError):
            return True
        refused = error.__cause__.os_error.errno == errno.ECONNREFUSED
        return refused and asyncio.get_running_loop().time() - begun < STARTING_SECONDS

    async def stream(self, path: str, query: Mapping[str, str], *, seconds: float) -> aiohttp.ClientResponse:
        """Open an answer that goes on, and return it unread; whoever reads it gets aiohttp's errors.

        Raises:
            ClusterError: the server refuses it.
        """
        headers = await self.headers()
        headers.update({"Accept": "application/json", "Accept-Encoding": "identity"})
        url = f"{self.server}{path}?{urlencode(query)}"
        answer = await self.client.call_api("GET", url, headers, None, None, seconds)
        if answer.status not in OK:
            raise ClusterError(self._reply(answer.status, await body_of(answer.response, most=LARGEST)).message)
        response: aiohttp.ClientResponse = answer.response
        return response

    async def websocket(
        self, path: str, query: Mapping[str, str], *, protocol: str
    ) -> aiohttp.ClientWebSocketResponse:
        """Open a websocket in the session of the other requests; a client of its own would load all CAs again.

        Raises:
            aiohttp.ClientError: it could not be opened.
        """
        headers, rest = await self.headers(), self.client.rest_client
        session: aiohttp.ClientSession = rest.pool_manager or rest._create_pool_manager()  # noqa: SLF001
        rest.pool_manager = session
        url = f"{self.server}{path}?{urlencode(query)}"
        name = self.client.configuration.tls_server_name
        return await session.ws_connect(
            url, protocols=(protocol,), headers=headers, timeout=HANGING_UP, server_hostname=name
        )

    async def headers(self) -> CIMultiDict[str]:
        """Return the credentials as HTTP headers, new ones where these are known to have expired."""
        if self.login.identity.expired:
            await self._renew(self.login.identity)
        headers = CIMultiDict(self.login.identity.impersonated)
        await self.client.update_params_for_auth(headers, [], ["BearerToken"], "", "", None)
        return headers

    async def _renew(self, seen: Identity) -> None:
        await self.login.renew(seen)
        if self.certificate is not None:
            self.certificate.follow()

    def _unreachable(self, error: Exception) -> str:
        if isinstance(error, ssl.SSLError | aiohttp.ClientSSLError):
            return f"the TLS handshake with the API server at {self.server} failed ({error}); check the kubeconfig"
        return (
            f"no API server answers at {self.server} ({error}); check the kubeconfig, the context and the network"
        )

    def _reply(self, status: int, raw: bytes, retry_after: str | None = None) -> Reply:
        if status == NOT_FOUND and raw.strip() == NO_PAGE:
            return Reply(status, {"kind": "Status", "message": NO_PAGE.decode()})
        try:
            document = json.loads(raw) if raw else None
        except (ValueError, RecursionError) as error:
            text = raw[:SHOWN].decode(errors="replace")
            if status not in {*PASSING, UNAUTHORIZED}:
                raise ClusterError(
                    f"{self.server} answered HTTP {status} with what is not JSON: {text!r}"
                ) from error
            document = {"message": f"HTTP {status}: {text!r}"}
        if status in {*OK, NOT_FOUND} and not _is_answer(status, document):
            # Taken for an answer, it would say that nothing is there.
            raise ClusterError(f"{self.server} answered HTTP {status}, but not as an API server does; is it one?")
        seconds = float(retry_after) if retry_after and retry_after.isdecimal() else 0.0
        return Reply(status, document if isinstance(document, dict) else {}, seconds)


def _is_answer(status: int, document: object) -> bool:
    return isinstance(document, dict) and (status != NOT_FOUND or document.get("kind") == "Status")


@asynccontextmanager
async def connected(access: ClusterAccess) -> AsyncIterator[Connection]:
    """Open a connection by ``--kubeconfig``, else ``$KUBECONFIG``, else ``~/.kube/config``, else the pod's account.

    Raises:
        ClusterError: there is no kubeconfig, it does not hold the context, or its plugin gives no credentials.
    """
    configuration = Configuration()
    login = await logged_in(configuration, access)
    configuration.proxy = configuration.proxy or proxy_of_environment(str(configuration.host))
    client = opened(configuration)
    certificate = ShownCertificate(client)
    try:
        yield Connection(client, login, certificate)
    finally:
        await asyncio.gather(client.close(), certificate.close())
        # Transports of aiohttp close in the next turn of the loop; without it they are reported as leaks.
        await asyncio.sleep(0)
