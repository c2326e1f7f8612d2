"""The ``Proxies`` port over any kind of line: a bounded number open, kept while their proxies are stragglers."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import replace

from safeapply.adapters.allowance import Allowance, Share, TooLargeError
from safeapply.adapters.lanes import MOMENT, Lanes
from safeapply.adapters.lines import Line, TunnelError
from safeapply.errors import ProxyError
from safeapply.istio.proxies import Proxy
from safeapply.ports import Answer
from safeapply.rollout.durations import duration

__all__ = ["AdminPorts"]


class AdminPorts:
    """Lines to the admin ports of many Envoys; how one is opened is the caller's."""

    def __init__(
        self, opened: Callable[[Proxy], Awaitable[Line]], *, max_connections: int, moment: float = MOMENT
    ) -> None:
        self._opened = opened
        self._most = max_connections
        self._lanes = Lanes(max_connections, moment=moment)
        self._allowance = Allowance()
        self._idle: OrderedDict[str, Line] = OrderedDict()
        """Open lines that nobody uses now, the longest unused first, by the pod's uid."""
        self._open = 0

    async def ask(self, proxy: Proxy, path: str, *, deadline: float) -> Answer:
        """GET a path of one Envoy's admin interface within ``deadline`` seconds.

        Raises:
            ProxyError: no whole HTTP answer came back.
        """
        loop, begun = asyncio.get_running_loop(), 0.0
        try:
            async with self._lanes.place(proxy.uid, deadline):
                begun = loop.time()
                async with self._allowance.share(proxy.uid) as share:
                    answer = await self._ask(proxy, path, share)
                return replace(answer, seconds=loop.time() - begun)
        except TimeoutError as error:
            seconds = loop.time() - begun
            raise ProxyError(proxy.id, f"no answer within {duration(seconds)}") from error
        except TooLargeError as error:
            raise ProxyError(
                proxy.id, f"{error}, and was not read further; if it shall not count: --exclude {proxy.place}"
            ) from error
        except TunnelError as error:
            raise ProxyError(proxy.id, str(error)) from error

    async def release(self, proxy: Proxy) -> None:
        """Close the line to a proxy, because it will not be asked again soon."""
        line = self._idle.pop(proxy.uid, None)
        if line is not None:
            await self._close(line)

    async def close(self) -> None:
        """Close every line."""
        while self._idle:
            await self._close(self._idle.popitem()[1])

    async def _ask(self, proxy: Proxy, path: str, share: Share) -> Answer:
        line = self._idle.pop(proxy.uid, None) or await self._line(proxy)
        try:
            answer = await line.get(path, share)
        except BaseException:
            # Half a conversation cannot be gone on with, also when it was cancelled.
            await self._close(line)
            raise
        if line.closed:
            await self._close(line)
        else:
            self._idle[proxy.uid] = line
        return answer

    async def _line(self, proxy: Proxy) -> Line:
        if self._open >= self._most and self._idle:
            await self._close(self._idle.popitem(last=False)[1])
        self._open += 1
        try:
            return await self._opened(proxy)
        except BaseException:
            self._open -= 1
            raise

    async def _close(self, line: Line) -> None:
        self._open -= 1
        await line.close()
