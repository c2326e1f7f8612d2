"""Many Envoys at once: a bounded number of connections, and none that is slow in the way of one that is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from safeapply.adapters.admin import AdminPorts
from safeapply.adapters.allowance import Share
from safeapply.adapters.lines import Line, TunnelError
from safeapply.errors import ProxyError
from safeapply.istio.proxies import Proxy
from safeapply.ports import Answer
from tests.rollout.memory import proxy

PATIENCE = 20.0


class Exchange:
    """Lines that answer at once, except those that are said to be mute; counted while they are open."""

    def __init__(self, *mute: str) -> None:
        self.mute = set(mute)
        self.open = 0
        self.most = 0
        self.opened: list[str] = []

    async def line(self, to: Proxy) -> Line:
        """Open a line."""
        self.open += 1
        self.most = max(self.most, self.open)
        self.opened.append(to.pod)
        return _Wire(self, to.pod)


class _Wire:
    """One of them."""

    def __init__(self, exchange: Exchange, pod: str) -> None:
        self._exchange = exchange
        self._pod = pod
        self.closed = False

    async def get(self, path: str, share: Share | None = None) -> Answer:  # noqa: ARG002  that of Line
        if self._pod in self._exchange.mute:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        if path == "/break":
            raise TunnelError("broken")
        return Answer(200, path.encode())

    async def close(self) -> None:
        self._exchange.open -= 1
        self.closed = True


@asynccontextmanager
async def ports(exchange: Exchange, most: int, *, moment: float = 1.0) -> AsyncIterator[AdminPorts]:
    """Hand over admin ports; nothing may be open when they are closed."""
    async with AsyncExitStack() as stack:
        made = AdminPorts(exchange.line, max_connections=most, moment=moment)
        stack.push_async_callback(made.close)
        yield made
    assert exchange.open == 0


async def ask_all(made: AdminPorts, *pods: str) -> None:
    """Ask many at once, and wait for all answers."""
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(made.ask(proxy(one), "/", deadline=PATIENCE) for one in pods))


@pytest.mark.parametrize("most", [1, 2, 7])
async def test_no_more_lines_are_open_than_allowed(most: int) -> None:
    """Those in use and those that wait for their next question count alike."""
    exchange = Exchange()
    async with ports(exchange, most) as made:
        for _ in range(3):
            await ask_all(made, *(f"p{number}" for number in range(20)))
    assert exchange.most <= most


async def test_a_line_is_used_again_until_it_is_released() -> None:
    """A straggler is asked many times, a proxy that has converged not soon again."""
    exchange = Exchange()
    async with ports(exchange, 4) as made:
        for _ in range(3):
            await ask_all(made, "a")
        assert exchange.opened == ["a"]
        await made.release(proxy("a"))
        assert exchange.open == 0


async def test_a_broken_line_is_not_used_again() -> None:
    """What would come over it belongs to another question."""
    exchange = Exchange()
    async with ports(exchange, 4) as made:
        with pytest.raises(ProxyError, match=r"a\.default: broken"):
            await made.ask(proxy("a"), "/break", deadline=PATIENCE)
        await ask_all(made, "a")
        assert exchange.opened == ["a", "a"]


async def test_mute_envoys_hold_up_no_other() -> None:
    """More of them than places: the others are answered after a moment, and at once from then on."""
    silent = [f"mute{number}" for number in range(30)]
    async with ports(Exchange(*silent), 8, moment=0.02) as made:
        asking = [asyncio.create_task(made.ask(proxy(one), "/", deadline=PATIENCE)) for one in silent]
        await ask_all(made, *(f"p{number}" for number in range(20)))
        for one in asking:
            one.cancel()
        results = await asyncio.gather(*asking, return_exceptions=True)
    assert sum(isinstance(one, ProxyError) for one in results) >= 20


async def test_an_answer_that_never_comes_ends_by_its_deadline() -> None:
    """As unreachable, which opens no barrier."""
    async with ports(Exchange("mute"), 8) as made:
        with pytest.raises(ProxyError, match=r"mute\.default: no answer within \d+ ms$"):
            await made.ask(proxy("mute"), "/", deadline=0.01)


async def test_who_was_silent_once_is_quick_again_when_it_answers() -> None:
    """One good answer clears it."""
    exchange = Exchange("p")
    async with ports(exchange, 8) as made:
        with pytest.raises(ProxyError):
            await made.ask(proxy("p"), "/", deadline=0.01)
        exchange.mute.clear()
        await ask_all(made, "p")
        await ask_all(made, "p")
