"""Requests that pods send while a rollout runs, counted from the client's side.

Each probe is one kind of request of one pod. Requests leave at a steady rate, whatever became of those before, from
sockets in the pod's own network, and so through its Envoy. The counting process is one of its own.

Run as a program by ``Load``; it reads what to send from standard input, and stops at the end of that.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from safeapply.sandbox.exchanges import SERVED, Bytes, Http
from tests.real.namespaces import client_socket

__all__ = ["Counts", "Load", "Probe"]

Protocol = TypeVar("Protocol", bound=asyncio.BaseProtocol)
PATIENCE: Final = 10.0
BEGINNING: Final = 30.0
"""Seconds until every probe must have been served a few times in a row."""
ROUNDS: Final = 20
"""Requests of each probe that are served before a rollout counts as begun, and after it has ended."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One kind of request of one pod."""

    client: str
    """``namespace/pod``; empty for what comes from outside the mesh."""
    address: str
    port: int
    host: str = ""
    """What the request names; empty for bytes that a TCP service sends back."""
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def payload(self) -> bytes:
        """What is sent."""
        if not self.host:
            return b"\x01ping"
        own = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        return f"GET {self.path} HTTP/1.1\r\nhost: {self.host}\r\n{own}\r\n".encode()


@dataclass(slots=True)
class Counts:
    """How the requests of a run ended."""

    requests: int = 0
    failed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    by_client: Counter[str] = field(default_factory=Counter)


class Load:
    """A context in which requests are sent; it begins when all are served, and its counts are whole at its end."""

    def __init__(self, pods: Path, probes: Sequence[Probe], *, rate: float) -> None:
        self.counts = Counts()
        self._pods, self._probes, self._rate = pods, probes, rate
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Return when every probe was served a few times in a row."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.real.load", str(self._pods)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a Ctrl-C is for the tests, which then end it
        )
        self._order({"rate": self._rate, "probes": [asdict(probe) for probe in self._probes]})
        said = self._read()
        if said != "served":
            self._process.communicate()
            raise AssertionError(f"not every request is served to begin with: {said}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Send a few more, and take the counts; a test that has failed has no use for them."""
        assert self._process is not None
        assert self._process.stdin is not None
        if error is not None:
            self._process.kill()
            self._process.communicate()
            return
        self._process.stdin.close()
        self._process.stdin = None
        said = json.loads(self._read() or "{}")
        self._process.communicate(timeout=PATIENCE)
        self.counts = Counts(
            said["requests"], said["failed"], *(Counter(said[one]) for one in ("outcomes", "by_client"))
        )

    def _order(self, order: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def _read(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


class _Sender:
    """Sends the requests of one probe."""

    def __init__(self, probe: Probe, network: int) -> None:
        self.probe = probe
        self.outcomes: Counter[str] = Counter()
        self.streak = 0
        self._network = network
        self._idle: list[Http] = []
        self._under_way: set[asyncio.Task[None]] = set()

    def send(self) -> None:
        task = asyncio.create_task(self._exchange())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def settle(self) -> None:
        """Return when nothing is under way."""
        while self._under_way:
            await asyncio.gather(*self._under_way)

    def close(self) -> None:
        for connection in self._idle:
            connection.abort()

    async def _exchange(self) -> None:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[str] = loop.create_future()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._put_on(outcome)
                self._count(await outcome)
        except TimeoutError:
            self._count("timeout")
        except OSError as error:
            self._count(type(error).__name__)

    async def _put_on(self, outcome: asyncio.Future[str]) -> None:
        report = partial(_settle, outcome)
        if not self.probe.host:
            await self._connect(lambda: Bytes(self.probe.payload, report))
            return
        connection = self._reusable() or await self._connect(lambda: Http(lambda _: None))
        again = asyncio.get_running_loop().create_future()
        connection.send(self.probe.payload, report, again=partial(_settle, again, ""))
        await asyncio.wait([outcome, again], return_when=asyncio.FIRST_COMPLETED)
        if again.done():
            await self._put_on(outcome)
        elif connection.reusable:
            self._idle.append(connection)

    def _reusable(self) -> Http | None:
        while self._idle:
            if (connection := self._idle.pop()).reusable:
                return connection
        return None

    async def _connect(self, made: Callable[[], Protocol]) -> Protocol:
        loop, client = asyncio.get_running_loop(), client_socket(self._network)
        try:
            await loop.sock_connect(client, (self.probe.address, self.probe.port))
        except OSError:
            client.close()
            raise
        _, protocol = await loop.create_connection(made, sock=client)
        return protocol

    def _count(self, outcome: str) -> None:
        self.outcomes[outcome] += 1
        self.streak = self.streak + 1 if outcome == SERVED else 0


def _settle(future: asyncio.Future[str], outcome: str) -> None:
    if not future.done():
        future.set_result(outcome)


async def _send(senders: Sequence[_Sender], rate: float, over: threading.Event) -> None:
    """Send at a steady rate: before the first rounds are served, meanwhile, and a few rounds more."""
    loop, number = asyncio.get_running_loop(), 0
    begun, counting, last = loop.time(), False, 0
    while not (over.is_set() and last and number >= last):
        while number < (loop.time() - begun) * rate:
            senders[number % len(senders)].send()
            number += 1
        if not counting and all(sender.streak >= ROUNDS for sender in senders):
            counting = True
            for sender in senders:
                sender.outcomes.clear()
            print("served", flush=True)
        if not counting and loop.time() - begun > BEGINNING:
            return
        if over.is_set() and not last:
            last = number + ROUNDS * len(senders)
        await asyncio.sleep(1 / rate)
    for sender in senders:
        await sender.settle()
        sender.close()


def _counts(senders: Sequence[_Sender]) -> dict[str, object]:
    outcomes: Counter[str] = Counter()
    clients: defaultdict[str, int] = defaultdict(int)
    for sender in senders:
        outcomes.update(sender.outcomes)
        clients[sender.probe.client] += sum(n for outcome, n in sender.outcomes.items() if outcome != SERVED)
    failures = {outcome: n for outcome, n in outcomes.items() if outcome != SERVED}
    return {
        "requests": sum(outcomes.values()),
        "failed": sum(failures.values()),
        "outcomes": failures,
        "by_client": {client: n for client, n in clients.items() if n},
    }


def _wait(over: threading.Event) -> None:
    sys.stdin.read()
    over.set()


def main() -> None:
    """Send until standard input ends."""
    pods, order = Path(sys.argv[1]), json.loads(sys.stdin.readline())
    probes = [Probe(**{**one, "headers": tuple(map(tuple, one["headers"]))}) for one in order["probes"]]
    senders = [_Sender(one, int((pods / one.client).read_text()) if one.client else 1) for one in probes]
    over = threading.Event()
    threading.Thread(target=_wait, args=(over,), daemon=True).start()
    asyncio.run(_send(senders, order["rate"], over))
    print(json.dumps(_counts(senders)), flush=True)


if __name__ == "__main__":
    main()
