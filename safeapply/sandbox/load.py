"""The process that plays the clients: steady, open-loop traffic, counted from the client's side.

Open loop: requests leave on a schedule, whatever became of those before, because a generator that waits for
slow answers hides the very seconds that matter. It runs on a Python of its own, so that the control plane
cannot starve it. It judges nothing: per probe and phase it hands over how requests ended, and when.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from safeapply.resources.objects import Document
from safeapply.sandbox.children import obey, raise_file_limit
from safeapply.sandbox.exchanges import SERVED, Bytes, Http

__all__ = ["Generator", "main"]

SWEEP_SECONDS = 0.1

Connection: TypeAlias = Http | Bytes


@dataclass(frozen=True, slots=True)
class Order:
    """One kind of request on one proxy."""

    id: int
    socket: str
    http: bool
    payload: bytes


@dataclass(slots=True)
class Flight:
    """A request that has not ended."""

    order: Order
    phase: str
    sent: float
    deadline: float
    connection: Connection | None = None
    over: bool = False


class Generator:
    """Sends the orders round and round at a steady rate."""

    def __init__(self, orders: list[Order], *, rate: float, seed: int, patience: float) -> None:
        self._orders = orders
        random.Random(seed).shuffle(self._orders)  # noqa: S311 - an order of sending, not a secret
        self._rate = rate
        self._patience = patience
        self._idle: defaultdict[str, list[Http]] = defaultdict(list)
        self._flights: deque[Flight] = deque()
        self._phase = ""
        self._ends: defaultdict[str, defaultdict[int, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        self._failures: list[tuple[str, int, float, str]] = []
        self._started: dict[str, float] = {}
        self._again = 0
        self._swept = asyncio.Event()
        self._engine: tuple[asyncio.Task[None], ...] = ()
        self._connecting: set[asyncio.Task[None]] = set()

    def enter(self, phase: str) -> None:
        """Count the requests that leave from now on under another name."""
        self._phase = phase
        self._started[phase] = time.monotonic()
        if not self._engine:
            self._engine = (asyncio.create_task(self._keep_sending()), asyncio.create_task(self._keep_sweeping()))

    async def rounds(self, times: int) -> None:
        """Return when every probe has ended this many times in the present phase."""
        ends = self._ends[self._phase]
        waiting = {order.id for order in self._orders}
        while waiting := {probe for probe in waiting if sum(ends[probe].values()) < times}:
            self._swept.clear()
            await self._swept.wait()

    async def finish(self) -> Mapping[str, Any]:
        """Stop sending, wait for what is under way, and return everything that was seen."""
        for task in self._engine:
            task.cancel()
        while self._flights:
            await asyncio.sleep(SWEEP_SECONDS)
            self._sweep()
        for connections in self._idle.values():
            for connection in connections:
                connection.abort()
        return {
            "ends": self._ends,
            "failures": self._failures,
            "started": self._started,
            "again": self._again,
        }

    async def _keep_sending(self) -> None:
        start, sent = time.monotonic(), 0
        while self._orders:
            due = int((time.monotonic() - start) * self._rate) + 1
            for number in range(sent, due):
                self._send(self._orders[number % len(self._orders)])
            sent = due
            await asyncio.sleep(max(0.001, start + sent / self._rate - time.monotonic()))

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            self._sweep()

    def _sweep(self) -> None:
        """End what is overdue; flights stand in order of their deadlines."""
        while self._flights and (self._flights[0].over or self._flights[0].deadline <= time.monotonic()):
            flight = self._flights.popleft()
            if not flight.over:
                self._land(flight, "timeout")
                if flight.connection is not None:
                    flight.connection.abort()
        self._swept.set()

    def _send(self, order: Order) -> None:
        now = time.monotonic()
        flight = Flight(order, self._phase, now, now + self._patience)
        self._flights.append(flight)
        self._take_off(flight)

    def _take_off(self, flight: Flight) -> None:
        """Send on an idle connection, or open one."""
        idle = self._idle[flight.order.socket]
        while flight.order.http and idle:
            connection = idle.pop()
            if connection.reusable:
                self._put_on(flight, connection)
                return
        task = asyncio.create_task(self._connect(flight))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, flight: Flight) -> None:
        loop, order = asyncio.get_running_loop(), flight.order
        try:
            if order.http:
                _, http = await loop.create_unix_connection(lambda: Http(self._forget(order.socket)), order.socket)
                self._put_on(flight, http)
            else:
                land = partial(self._land, flight)
                _, flight.connection = await loop.create_unix_connection(
                    lambda: Bytes(order.payload, land), order.socket
                )
        except OSError:
            self._land(flight, "refused")

    def _forget(self, socket: str) -> Any:  # noqa: ANN401 - a callback
        def gone(connection: Http) -> None:
            if connection in self._idle[socket]:
                self._idle[socket].remove(connection)

        return gone

    def _put_on(self, flight: Flight, connection: Http) -> None:
        flight.connection = connection
        connection.send(flight.order.payload, partial(self._land, flight), again=partial(self._send_again, flight))

    def _send_again(self, flight: Flight) -> None:
        self._again += 1
        self._take_off(flight)

    def _land(self, flight: Flight, outcome: str) -> None:
        if flight.over:
            return
        flight.over = True
        self._ends[flight.phase][flight.order.id][outcome] += 1
        if outcome != SERVED:
            self._failures.append((flight.phase, flight.order.id, flight.sent, outcome))
        connection = flight.connection
        if isinstance(connection, Http) and connection.reusable:
            self._idle[flight.order.socket].append(connection)


class _Desk:
    """Takes the orders of the parent."""

    def __init__(self) -> None:
        self._generator: Generator | None = None

    async def handle(self, order: Document) -> object:
        """Carry out one order and return its result."""
        if order["do"] == "start":
            orders = [
                Order(number, probe["socket"], probe["http"], probe["payload"].encode("latin-1"))
                for number, probe in enumerate(order["probes"])
            ]
            self._generator = Generator(orders, rate=order["rate"], seed=order["seed"], patience=order["patience"])
        generator = self._generator
        if generator is None:
            return None
        match order["do"]:
            case "enter":
                generator.enter(order["phase"])
            case "rounds":
                await generator.rounds(order["times"])
            case "finish":
                return await generator.finish()
            case _:
                pass
        return None


def main() -> None:
    """Send until the parent is gone."""
    raise_file_limit()
    asyncio.run(obey(_Desk().handle))


if __name__ == "__main__":
    main()
