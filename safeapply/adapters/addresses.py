"""The ``Proxies`` port by addresses from a file: for networks that reach the admin ports themselves, and tests.

    # [CONTEXT/]NAMESPACE/POD URL
    default/reviews-v1-5f9c http://10.0.3.17:15000
    default/ratings-v1-77ab unix:///run/envoy/admin.sock

An address outlives the pod that had it, so whoever answers is asked for its name first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from safeapply.adapters.admin import AdminPorts
from safeapply.adapters.bounded import read_file
from safeapply.adapters.lines import HttpLine, Line, StreamPipe, TunnelError
from safeapply.errors import UsageError
from safeapply.istio.proxies import Proxy
from safeapply.xds.configdump import UnreadableError
from safeapply.xds.identity import IDENTITY, node_of

__all__ = ["Addresses", "read_addresses"]

HTTP_PORT = 15000


def read_addresses(path: Path) -> Mapping[str, str]:
    """Return the URL of each ``[context/]namespace/pod`` of a file.

    Raises:
        UsageError: it cannot be read, or some lines make no sense; all of them are named.
    """
    try:
        lines = read_file(str(path)).decode().splitlines()
    except (OSError, ValueError) as error:
        raise UsageError(f"the addresses of the proxies cannot be read from {path}: {error}") from error
    found, faults = dict[str, str](), list[str]()
    for number, words in _lines(lines):
        fault = _fault(words, found)
        if fault:
            faults.append(f"{path}:{number}: {fault}")
        else:
            found[words[0]] = words[1]
    if faults:
        raise UsageError("\n".join(faults))
    return found


class Addresses(AdminPorts):
    """Connections to the admin ports of Envoys whose addresses are known."""

    def __init__(self, urls: Mapping[str, str], *, max_connections: int = 64) -> None:
        super().__init__(self._connect, max_connections=max_connections)
        self._urls = urls

    async def _connect(self, proxy: Proxy) -> Line:
        url = self._urls.get(proxy.place)
        if url is None:
            raise TunnelError(f"the file of addresses has no line for {proxy.place}")
        try:
            line = HttpLine(StreamPipe(*await _connection(urlsplit(url))))
        except OSError as error:
            raise TunnelError(f"nothing answers at {url} ({error.strerror or error})") from error
        try:
            await _check(line, proxy, url)
        except BaseException:
            await line.close()
            raise
        return line


def _lines(lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if words:
            yield number, words


def _fault(words: list[str], found: Mapping[str, str]) -> str:
    match words:
        case [name, _] if "/" not in name or not all(name.rsplit("/", 2)):
            return f"{name!r} is no [CONTEXT/]NAMESPACE/POD"
        case [name, _] if name in found:
            return f"{name} has an address already"
        case [_, url]:
            return "" if _is_address(url) else f"{url!r} is no http://HOST[:PORT] and no unix:///PATH"
        case _:
            return "not of the form [CONTEXT/]NAMESPACE/POD URL"


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (parts.scheme == "http" and bool(parts.hostname) and (parts.port is None or parts.port > 0)) or (
            parts.scheme == "unix" and not parts.netloc and len(parts.path) > 1
        )
    except ValueError:
        return False


async def _connection(url: SplitResult) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if url.scheme == "unix":
        return await asyncio.open_unix_connection(url.path)
    return await asyncio.open_connection(url.hostname, url.port or HTTP_PORT)


async def _check(line: Line, proxy: Proxy, url: str) -> None:
    """Let a connection pass whose other end says that it is this proxy.

    Raises:
        TunnelError: it is another one, or does not say.
    """
    answer = await line.get(IDENTITY)
    try:
        node = node_of(answer.status, answer.body)
    except UnreadableError as error:
        raise TunnelError(f"whoever answers at {url} does not say which proxy it is: {error}") from error
    if node != proxy.name:
        raise TunnelError(f"{node} answers at {url}: the address belongs to another proxy by now")
