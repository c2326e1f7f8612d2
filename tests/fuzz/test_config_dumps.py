"""Answers that no Envoy would give: none is a traceback, and none opens a barrier on something it does not say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeapply.errors import ProxyError
from safeapply.istio.proxies import Proxy
from safeapply.ports import Answer
from safeapply.rollout.reading import Reader
from safeapply.xds.configdump import UnreadableError
from safeapply.xds.expectations import (
    ClusterAbsent,
    ClusterActive,
    ClusterUnreferenced,
    Expectation,
    RouteRefers,
    RouteReleased,
)
from safeapply.xds.names import ClusterName, Host
from safeapply.xds.shortfalls import Holds
from safeapply.xds.verdicts import judge
from tests.fuzz.amounts import few, many
from tests.fuzz.edits import EDITS, NUMBERS, Edit, garbled, misshapen
from tests.rollout.memory import CONTROL, JumpingClock, MemoryProxies, Shown, always, proxy

V1 = ClusterName("outbound|9080|v1|reviews.default.svc.cluster.local")
V2 = ClusterName("outbound|9080|v2|reviews.default.svc.cluster.local")
HOST = Host("reviews.default.svc.cluster.local")
SHOWN = Shown(
    active=frozenset({V1, V2}),
    warming=frozenset({V1}),
    healthy={V2: 2, V1: 0},
    routes={"9080": (V1, V2), "80": (V2,)},
    tcp=(V1,),
)
EXPECTED: tuple[Expectation, ...] = (
    ClusterActive(V2, ready_endpoint=True),
    ClusterActive(V1),
    ClusterUnreferenced(V1),
    ClusterUnreferenced(V2),
    ClusterAbsent(V1),
    RouteRefers(HOST, V2),
    RouteRefers(None, V1),
    RouteReleased(HOST, V1),
    RouteReleased(None, V1),
)
Change = Callable[[bytes], bytes]


class Lying(MemoryProxies):
    """An Envoy, one of whose answers is changed on its way; the others are true."""

    def __init__(self, change: Change, *, at: int, status: int) -> None:
        super().__init__(JumpingClock(), {"a": always(SHOWN)})
        self.said: list[bytes] = []
        self._change, self._at, self._status = change, at, status

    async def ask(self, proxy: Proxy, path: str, *, deadline: float) -> Answer:
        """Answer, and remember what was said."""
        answer = await super().ask(proxy, path, deadline=deadline)
        if len(self.said) == self._at:
            answer = Answer(self._status, self._change(answer.body))
        self.said.append(answer.body)
        return answer


def survives(change: Change, at: int, status: int) -> None:
    """Read an Envoy, twice as a poller does, and hold every verdict against what was really said."""
    for expected in EXPECTED:
        proxies = Lying(change, at=at % 5, status=status)
        reader = Reader(proxies, proxy("a"), (expected,), 1.0)
        try:
            reading = asyncio.run(_twice(reader))
            verdict = judge(expected, reading)
        except (ProxyError, UnreadableError):
            continue
        if isinstance(verdict, Holds):
            _is_said(expected, b"\n".join(proxies.said))


async def _twice(reader: Reader):  # type: ignore[no-untyped-def]  # noqa: ANN202
    await reader.read()
    return await reader.read()


def _is_said(expected: Expectation, said: bytes) -> None:
    """Check that what opened a barrier stands in the answers, whatever their shape."""
    text = said.decode(errors="replace")
    assert CONTROL in text
    if isinstance(expected, ClusterActive | RouteRefers):
        assert expected.cluster in text or json.dumps(expected.cluster)[1:-1] in text


def garbles(edits: list[Edit]) -> Change:
    """Return what changes an answer's bytes."""
    return lambda body: garbled(body, edits)


def misshapes(edits: list[Edit]) -> Change:
    """Return what changes an answer's values."""

    def change(body: bytes) -> bytes:
        try:
            return json.dumps(misshapen(json.loads(body), edits)).encode()
        except ValueError:
            return garbled(body, edits)

    return change


STATUSES = st.sampled_from((200, 200, 200, 200, 204, 301, 400, 404, 500, 503))


@few(60)
@given(EDITS, NUMBERS, STATUSES)
def test_garbled_answers_are_unknown(edits: list[Edit], at: int, status: int) -> None:
    """A sample; the nightly run has 10,000."""
    survives(garbles(edits), at, status)


@few(60)
@given(EDITS, NUMBERS, STATUSES)
def test_answers_of_other_shapes_are_unknown(edits: list[Edit], at: int, status: int) -> None:
    """A sample; the nightly run has 10,000."""
    survives(misshapes(edits), at, status)


@pytest.mark.long
@many(10_000)
@given(EDITS, NUMBERS, STATUSES)
def test_no_garbled_answer_is_a_traceback(edits: list[Edit], at: int, status: int) -> None:
    """Each is read for nine expectations: 90,000 readings."""
    survives(garbles(edits), at, status)


@pytest.mark.long
@many(10_000)
@given(EDITS, NUMBERS, STATUSES)
def test_no_shape_of_an_answer_is_a_traceback(edits: list[Edit], at: int, status: int) -> None:
    """Each is read for nine expectations: 90,000 readings."""
    survives(misshapes(edits), at, status)


def test_true_answers_open_and_close_barriers() -> None:
    """What the other tests change is read well where nobody changes it."""
    held = []
    for expected in EXPECTED:
        reader = Reader(Lying(bytes, at=-1, status=200), proxy("a"), (expected,), 1.0)
        held.append(isinstance(judge(expected, asyncio.run(_twice(reader))), Holds))
    assert held == [True, False, False, False, False, True, True, False, False]
