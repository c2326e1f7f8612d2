"""Changes of one kind of object, as the API server streams them, by the official client's ``Watch``.

The server ends a watch every so often, and it is taken up again where it ended. When the server has forgotten so
far back (410), there is nothing to take up: whoever watches has to list again. An event has at most 4 MiB, twice
what the client buffers; an object of etcd has 1.5 MiB.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import aiohttp
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.watch import Watch

from safeapply.adapters.connection import Connection
from safeapply.errors import ClusterError, ClusterUnreachableError

__all__ = ["changes"]

SECONDS = 60
"""How long one watch lasts: a connection that has died without a word is found out after this long."""
GRACE = 10
"""Seconds by which the server may be late to end it."""
GONE = 410
SHOWN = 200
"""Characters of what the client says of an event."""


async def changes(connection: Connection, path: str, version: str) -> AsyncGenerator[Mapping[str, Any], None]:
    """Yield every change of a collection since a resourceVersion, with its ``type`` and ``object``; end with 410.

    Raises:
        ClusterError: the server does not let it be watched, or breaks off.
    """
    watch = Watch()
    watch.resource_version = version
    try:
        while True:
            async with aclosing(_once(connection, path, watch)) as events:
                async for event in events:
                    yield event
    except ApiException as error:
        if error.status != GONE:
            raise ClusterError(f"the API server ended the watch of {path}: {error.reason}") from error
    except TimeoutError as error:
        raise ClusterUnreachableError(f"the watch of {path} fell silent") from error
    except ClusterError:
        raise
    # The client takes what comes apart without a look at its form, and raises whatever that leads to.
    except Exception as error:
        raise ClusterUnreachableError(f"the watch of {path} broke off ({str(error)[:SHOWN]})") from error
    finally:
        await watch.close()


async def _once(connection: Connection, path: str, watch: Watch) -> AsyncGenerator[Mapping[str, Any], None]:
    """Yield what one request streams, bookmarks left out."""

    async def open_stream(**query: object) -> aiohttp.ClientResponse:
        query.pop("_preload_content")
        named = {"allowWatchBookmarks": "true", **_named(query)}
        return await connection.stream(path, named, seconds=SECONDS + GRACE)

    stream = watch.stream(open_stream, resource_version=watch.resource_version, timeout_seconds=SECONDS)
    async for event in stream:
        if not isinstance(event, Mapping):
            raise ClusterError(f"the API server streams what is no event for {path}: {str(event)[:100]!r}")
        if event["type"] != "BOOKMARK":
            yield event


def _named(query: Mapping[str, object]) -> Mapping[str, str]:
    """Return the client's keyword arguments under the names of the API."""
    names = {"resource_version": "resourceVersion", "timeout_seconds": "timeoutSeconds"}
    return {names.get(key, key): str(value).lower() for key, value in query.items()}
