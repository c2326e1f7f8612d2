"""No redirect of an API server is followed: credentials and bodies would go to whomever it names, in clear too.

An API server sends none for what is asked here; what sends one is a proxy, a login page or somebody in between.
"""

from __future__ import annotations

import aiohttp

__all__ = ["RedirectedError", "refuse_redirects"]

REDIRECTS = frozenset({301, 302, 303, 307, 308})


class RedirectedError(aiohttp.ClientError):
    """An answer that sends elsewhere; where to is told, and not gone."""

    def __init__(self, status: int, target: str) -> None:
        self.status = status
        self.target = target
        super().__init__(f"HTTP {status} sends elsewhere, to {target!r}, and is not followed")


async def refuse_redirects(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Pass a request on, and its answer back unless that is a redirect: a middleware of aiohttp.

    Raises:
        RedirectedError: it is.
    """
    answer = await handler(request)
    if answer.status in REDIRECTS:
        target = answer.headers.get("Location", "")
        answer.close()
        raise RedirectedError(answer.status, target)
    return answer
