"""Every answer has an end here, whoever sends it: above a bound it is an error, and the rest is left unread."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

import pytest

from safeapply.adapters.allowance import LARGEST, LATE, MIDDLE, MIDDLING, SMALL, Allowance, Share, TooLargeError
from safeapply.adapters.kube import KubeCluster
from safeapply.adapters.lines import HttpLine, TunnelError
from safeapply.adapters.watches import changes
from safeapply.errors import ClusterError, ClusterUnreachableError
from safeapply.istio.proxies import proxy_of_pod, revision_of
from safeapply.resources.objects import Namespace, Resource, ResourceId
from safeapply.xds.configdump import UnreadableError
from safeapply.xds.references import route_configs
from tests.adapters.servers import CORE, connection_to, http, serving
from tests.rollout.memory import pod

SETTINGS = ResourceId("", "ConfigMap", Namespace("default"), "settings")
DOCUMENT = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "default"}}
PATIENCE = 30.0
GIGABYTE = 2**30


def head(*fields: str) -> bytes:
    """Return the head of a good answer."""
    return "\r\n".join(("HTTP/1.1 200 OK", "content-type: application/json", *fields, "", "")).encode()


def zeros(size: int) -> bytes:
    """Return so many of them, packed, without ever having them all."""
    packing = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return b"".join(packing.compress(bytes(2**20)) for _ in range(size // 2**20)) + packing.flush()


def packed(body: bytes, coding: str = "gzip") -> bytes:
    """Return an answer with a packed body."""
    return head(f"content-encoding: {coding}", f"content-length: {len(body)}") + body


async def answered(answer: bytes) -> Resource | None:
    """Read an object from a server that answers this to all but discovery."""

    def write(target: str, writer: asyncio.StreamWriter) -> None:
        writer.write(http(CORE) if target == "/api/v1" else answer)

    async with serving(write) as server, connection_to(server.url) as connection:
        return await KubeCluster(connection).get(SETTINGS)


@contextmanager
def at_most(megabytes: int) -> Iterator[None]:
    """Fail where more memory than this is taken at any time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < megabytes * 2**20
    finally:
        tracemalloc.stop()


class TestTheApiServer:
    """It is believed, and not trusted to come to an end."""

    async def test_packed_answers_are_unpacked(self) -> None:
        """Large lists come so."""
        body = http(DOCUMENT).partition(b"\r\n\r\n")[2]
        assert (await answered(packed(gzip.compress(body)))) == Resource(SETTINGS, DOCUMENT)
        assert (await answered(packed(zlib.compress(body), "deflate"))) == Resource(SETTINGS, DOCUMENT)

    async def test_a_bomb_is_an_error_and_takes_no_more_than_its_bound(self) -> None:
        """A gigabyte of zeros fits into one megabyte."""
        bomb = packed(zeros(2 * GIGABYTE))
        with at_most(700), pytest.raises(ClusterError, match="its answer has more than 256 MiB"):
            await answered(bomb)

    async def test_a_body_without_an_end_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whether it says that it is small or says nothing."""
        monkeypatch.setattr("safeapply.adapters.connection.LARGEST", 2**20)

        async def send(target: str, writer: asyncio.StreamWriter) -> None:
            if target == "/api/v1":
                writer.write(http(CORE))
                return
            writer.write(head("connection: close"))
            while True:
                writer.write(b" " * 65536)
                await writer.drain()

        async with serving(send) as server, connection_to(server.url) as connection, asyncio.timeout(PATIENCE):
            with pytest.raises(ClusterError, match="its answer has more than 1 MiB"):
                await KubeCluster(connection).get(SETTINGS)

    async def test_a_body_that_drips_ends_with_the_time_of_one_request(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The time is for the whole answer, not for the next byte."""
        monkeypatch.setattr("safeapply.adapters.retries.PATIENCE", 0.1)

        async def drip(_: str, writer: asyncio.StreamWriter) -> None:
            writer.write(head("connection: close"))
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)

        async with serving(drip) as server, connection_to(server.url, request_seconds=1.0) as connection:
            async with asyncio.timeout(PATIENCE):
                with pytest.raises(ClusterUnreachableError, match="did not answer within 1 s"):
                    await KubeCluster(connection).get(SETTINGS)

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (packed(gzip.compress(b"{}")[:-4]), "ends before what is packed in it does"),
            (packed(b"{}"), "cannot be unpacked"),
            (packed(b"{}", "br"), "is packed as 'br', which was not asked for"),
            (packed(b"{}", "gzip, gzip"), "is packed as 'gzip, gzip'"),
        ],
    )
    async def test_what_cannot_be_unpacked_is_an_error(self, answer: bytes, reason: str) -> None:
        """Cut off, not packed at all, or packed as nobody asked for."""
        with pytest.raises(ClusterError, match=reason):
            await answered(answer)

    @pytest.mark.parametrize("deep", [b"[" * 1_000_000, b'{"a":' * 1_000_000])
    async def test_what_is_nested_too_deeply_is_an_error(self, deep: bytes) -> None:
        """The parser gives up, and nobody else does."""
        with pytest.raises(ClusterError, match="is not JSON"):
            await answered(head(f"content-length: {len(deep)}") + deep)

    @pytest.mark.parametrize(
        "line",
        [
            b'{"a": "' + b"x" * 6 * 2**20,
            b"[" * 100_000 + b"\n",
            b"7\n",
            b'{"type": "ERROR", "object": {}}\n',
            b"{}\n",
        ],
    )
    async def test_an_event_that_is_none_ends_the_watch(self, line: bytes) -> None:
        """One without an end, one that is nested too deeply, and what is no event."""

        def send(_: str, writer: asyncio.StreamWriter) -> None:
            writer.write(head("transfer-encoding: chunked") + f"{len(line):x}\r\n".encode() + line + b"\r\n")

        async with serving(send) as server, connection_to(server.url) as connection, asyncio.timeout(PATIENCE):
            with pytest.raises(ClusterError, match="/api/v1/pods"):
                await anext(changes(connection, "/api/v1/pods", "1"))


class TestEnvoys:
    """What comes out of a pod is the pod's."""

    @pytest.mark.parametrize(
        "endless",
        [
            b"HTTP/1.1 200 OK\r\nx: " + b"y" * 2**18,
            b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 2**15,
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;" + b"x" * 2**18,
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 2**15,
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n" + b"x: y\r\n" * 2**15,
        ],
    )
    async def test_an_answer_that_is_mostly_headers_is_none(self, endless: bytes) -> None:
        """One header, many, a chunk's extension, chunks of a byte, or trailers."""

        class Pipe:
            closed = False
            left = endless

            async def send(self, data: bytes) -> None: ...

            async def receive(self) -> bytes:
                piece, self.left = self.left[:4096], self.left[4096:]
                return piece

            async def close(self) -> None: ...

        with pytest.raises(TunnelError, match="most of it is headers"):
            await HttpLine(Pipe()).get("/ready")

    async def test_no_answer_is_larger_than_the_largest(self) -> None:
        """The whole config dump of an Envoy with 5,000 clusters is."""
        allowance = Allowance()
        async with allowance.share("a") as share:
            await share.take(26 * 1000**2)
        with pytest.raises(TooLargeError, match="more than 32 MiB"):
            async with allowance.share("a") as share:
                await share.take(LARGEST + 1)

    async def test_large_answers_wait_for_each_other_and_small_ones_for_nobody(self) -> None:
        """So many are middling at once, and one of them is large."""
        allowance = Allowance()
        async with AsyncExitStack() as reading:
            shares = [await reading.enter_async_context(allowance.share(str(number))) for number in range(MIDDLING)]
            for share in shares:
                await share.take(SMALL + 1)
            await shares[0].take(MIDDLE)
            assert not await fits(shares[1], MIDDLE)
            more = await reading.enter_async_context(allowance.share("more"))
            assert await fits(more, SMALL)
            assert not await fits(more, 1)
        async with allowance.share("later") as share:
            assert await fits(share, LARGEST)

    async def test_those_who_were_cut_leave_places_to_the_others(self) -> None:
        """However many of them there are, and however slow."""
        allowance = Allowance()
        for number in range(MIDDLING):
            with pytest.raises(TooLargeError):
                async with allowance.share(f"late-{number}") as share:
                    await share.take(LARGEST + 1)
        async with AsyncExitStack() as reading:
            shares = [
                await reading.enter_async_context(allowance.share(f"late-{number}")) for number in range(MIDDLING)
            ]
            taken = [await fits(share, SMALL + 1) for share in shares]
            assert taken == [True] * LATE + [False] * (MIDDLING - LATE)
            for number in range(MIDDLING - LATE):
                share = await reading.enter_async_context(allowance.share(f"good-{number}"))
                assert await fits(share, SMALL + 1)

    async def test_who_ends_in_time_is_late_no_more(self) -> None:
        """One slow answer is no mark for ever."""
        allowance = Allowance()
        with pytest.raises(TooLargeError):
            async with allowance.share("a") as share:
                await share.take(LARGEST + 1)
        async with allowance.share("a") as share:
            await share.take(SMALL + 1)
        assert allowance._late == set()

    @pytest.mark.parametrize("value", [b"{}", b"[]", b"1", b"[[[]]]", b'""'])
    def test_an_answer_of_nothing_but_values_is_none(self, value: bytes) -> None:
        """Fifteen megabytes of them would take hundreds, once they are read."""
        values = b",".join([value] * (15_000_000 // (len(value) + 1)))
        body = (
            b'{"configs":[{"route_config":{"virtual_hosts":[{"routes":['
            + values
            + b',{"cluster":"outbound|x"}]}]}}]}'
        )
        with at_most(50), pytest.raises(UnreadableError, match="more values than the config dump of any Envoy"):
            route_configs(200, body)

    def test_an_answer_of_more_route_configurations_than_there_are_is_none(self) -> None:
        """Each would be remembered for as long as the barrier is closed."""
        one = b'{"route_config": {"name": "%d"}, "last_updated": "2026-01-01T00:00:00Z"}'
        body = b'{"configs": [' + b",".join(one % number for number in range(50_001)) + b"]}"
        with pytest.raises(UnreadableError, match="not a config dump"):
            route_configs(200, body)

    def test_an_annotation_that_is_nested_too_deeply_says_nothing(self) -> None:
        """Whoever may create a pod writes what its injector would."""
        one = pod("web")
        metadata = {**one.metadata, "annotations": {"sidecar.istio.io/status": "[" * 200_000}}
        hostile = Resource(one.id, {**one.document, "metadata": metadata})
        assert revision_of(hostile) == ""
        assert proxy_of_pod(hostile) is not None


async def fits(share: Share, count: int) -> bool:
    """Tell whether so much more may be kept now."""
    try:
        async with asyncio.timeout(0.05):
            await share.take(count)
    except TimeoutError:
        return False
    return True
