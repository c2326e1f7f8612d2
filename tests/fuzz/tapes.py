"""A rollout against a real API server, recorded answer by answer, and played again with one of them changed.

The tape is made with the embedded server once; a replay needs no socket, so thousands of them take no time. Asked
for something that is not on it, the tape says 404, as a server would.
"""

from __future__ import annotations

import asyncio
import json
import selectors
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from safeapply.adapters.access import ClusterAccess
from safeapply.adapters.bodies import body_of
from safeapply.adapters.clock import SystemClock
from safeapply.adapters.connection import LARGEST, Connection, connected
from safeapply.adapters.credentials import Identity, Login
from safeapply.adapters.kube import KubeCluster
from safeapply.adapters.permissions import check_rights
from safeapply.commands.planning import Wanted, plan_against
from safeapply.plans.rights import Way, executing
from safeapply.ports import Clock
from safeapply.resources.objects import Namespace
from safeapply.rollout.executor import RolloutOptions, carry_out
from safeapply.rollout.lock import Lock
from tests.rollout.memory import JumpingClock, MemoryProxies
from tests.sandbox.apiserver.cluster import Cluster

ROOT = Namespace("istio-system")
NOT_FOUND = (404, b'{"kind":"Status","status":"Failure","message":"not found","reason":"NotFound","code":404}')
Key = tuple[str, str]
Answered = tuple[int, bytes]
Change = Callable[[int, bytes], Answered]


@dataclass(frozen=True)
class Asked:
    """One request of a replay."""

    method: str
    path: str
    query: Mapping[str, list[str]]

    @property
    def writes(self) -> bool:
        """Whether it changes an object that the files hold."""
        asks = self.method == "GET" or "dryRun" in self.query
        return not asks and not self.path.endswith(("/leases/safeapply", "/leases", "selfsubjectaccessreviews"))


@dataclass(repr=False)
class Tape:
    """Answers by what was asked, in the order in which they came."""

    answers: dict[Key, list[Answered]] = field(default_factory=lambda: defaultdict(list))


@dataclass(repr=False)
class Player:
    """Passes for the official client, and answers from a tape; the one answer at ``at`` is changed."""

    tape: Tape
    change: Change | None = None
    at: int = -1
    asked: list[Asked] = field(default_factory=list)
    changed: Answered | None = None
    """What was said instead, if it came to that."""
    configuration: Any = field(default_factory=lambda: SimpleNamespace(host="http://tape"))
    _next: dict[Key, int] = field(default_factory=lambda: defaultdict(int))

    async def update_params_for_auth(self, *_: object) -> None:
        """Nobody asks who this is."""

    async def call_api(self, method: str, url: str, *_: object) -> Any:
        """Answer."""
        parts = urlsplit(url)
        known = self.tape.answers.get((method, url.removeprefix("http://tape")), [NOT_FOUND])
        number = self._next[method, url]
        self._next[method, url] += 1
        status, raw = known[min(number, len(known) - 1)]
        if len(self.asked) == self.at and self.change is not None:
            status, raw = self.changed = self.change(status, raw)
        self.asked.append(Asked(method, parts.path, parse_qs(parts.query)))
        return _response(status, raw)


def _response(status: int, raw: bytes) -> Any:
    async def iter_any() -> AsyncIterator[bytes]:
        yield raw

    answer = SimpleNamespace(headers={}, content=SimpleNamespace(iter_any=iter_any), close=lambda: None)
    return SimpleNamespace(status=status, headers={}, response=answer)


class _Recorder:
    """Passes for the official client, and writes down what the real one says."""

    def __init__(self, client: Any, tape: Tape) -> None:
        self._client, self._tape = client, tape

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def call_api(self, method: str, url: str, *more: Any) -> Any:
        answer = await self._client.call_api(method, url, *more)
        if "watch=" in url:
            return answer
        raw = await body_of(answer.response, most=LARGEST)
        self._tape.answers[method, url.removeprefix(self._client.configuration.host)].append((answer.status, raw))
        return _response(answer.status, raw)


def recorded(cluster: Cluster, wanted: Callable[[], Wanted]) -> Tape:
    """Return the tape of a rollout."""
    tape = Tape()

    async def run() -> None:
        async with connected(ClusterAccess(str(cluster.kubeconfig))) as connection:
            client: Any = _Recorder(connection.client, tape)
            await rollout(Connection(client, connection.login), wanted(), SystemClock())

    asyncio.run(run())
    return tape


async def rollout(connection: Connection, wanted: Wanted, clock: Clock) -> None:
    """Plan, ask for rights, and carry out, in a mesh without Envoys."""
    cluster = KubeCluster(connection)
    made = await plan_against(wanted, cluster)
    await check_rights(connection, executing(Way("portforward"), ROOT), cluster.plural)
    lock = Lock(ROOT, holder="me", patience=0.0)
    options = RolloutOptions(lock=lock, root_namespace=ROOT, barrier_timeout=2.0)
    proxies = MemoryProxies(JumpingClock(), {})
    await carry_out(made.plan, cluster=cluster, proxies=proxies, clock=clock, emit=lambda _: None, options=options)


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop in which sleeping takes no time: a request that is tried again is tried again at once."""

    def __init__(self) -> None:
        super().__init__(selectors.SelectSelector())
        self._skew = 0.0

    def time(self) -> float:
        """Return seconds, those that were slept through among them."""
        return super().time() + self._skew

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled  # type: ignore[attr-defined]
        if not ready and scheduled:
            self._skew += max(0.0, scheduled[0].when() - self.time())
        super()._run_once()  # type: ignore[misc]


def played(player: Player, wanted: Callable[[], Wanted]) -> None:
    """Play a rollout again."""
    client: Any = player
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(
            rollout(
                Connection(client, Login(client.configuration, ClusterAccess(), Identity("default"))),
                wanted(),
                JumpingClock(),
            )
        )


def as_json(raw: bytes) -> Any:
    """Return what an answer says, or None."""
    try:
        return json.loads(raw)
    except ValueError:
        return None
