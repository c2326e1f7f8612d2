"""Pods that answer without an end, or a byte at a time: they are named, with the way out; nobody else suffers."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from safeapply.resources.objects import Namespace, ResourceId
from safeapply.xds.identity import IDENTITY
from safeapply.xds.questions import READY
from tests.sandbox.apiserver.cluster import Cluster, rule, service

PODS, HOSTILE = 100, 10
MOST_MEGABYTES = 200
V1 = "outbound|9080|v1|reviews.default.svc.cluster.local"
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
Sending = Callable[[asyncio.StreamWriter], Awaitable[None]]


async def endless(writer: asyncio.StreamWriter) -> None:
    """Send a body as fast as it is taken."""
    writer.write(HEAD)
    while True:
        writer.write(b"10000\r\n" + b" " * 65536 + b"\r\n")
        await writer.drain()


async def headers(writer: asyncio.StreamWriter) -> None:
    """Send one header that does not end."""
    writer.write(b"HTTP/1.1 200 OK\r\nx: ")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def dripping(writer: asyncio.StreamWriter) -> None:
    """Send half a megabyte, and then a byte now and then."""
    writer.write(HEAD + b"80000\r\n" + b" " * 0x80000 + b"\r\n")
    while True:
        writer.write(b"1\r\n \r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


async def bomb(writer: asyncio.StreamWriter) -> None:
    """Send a gigabyte in a megabyte, as nobody asked for."""
    packed = gzip.compress(bytes(2**27)) * 8
    writer.write(f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(packed)}\r\n\r\n".encode())
    writer.write(packed)
    await writer.drain()


WAYS: tuple[Sending, ...] = (endless, headers, dripping, bomb, endless, endless, endless, endless, endless, endless)


def honest(path: str) -> bytes:
    """Return what an Envoy says that has the subset, ready."""
    if "endpoint" in path:
        endpoint = {"endpoint": {}, "health_status": "HEALTHY"}
        config = {"cluster_name": V1, "endpoints": [{"lb_endpoints": [endpoint]}]}
        return json.dumps({"configs": [{"endpoint_config": config}]}).encode()
    listed = [{"cluster": {"name": name}} for name in ("BlackHoleCluster", V1)]
    return json.dumps({"configs": [{"dynamic_active_clusters": listed}]}).encode()


def pod(name: str) -> dict[str, Any]:
    """Return a pod with a sidecar that is ready."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": "client"}},
        "spec": {"containers": [{"name": "istio-proxy", "image": "istio/proxyv2", "args": ["proxy", "sidecar"]}]},
        "status": {"podIP": "10.1.0.1", "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }


@asynccontextmanager
async def serving(socket: Path, name: str, hostile: Sending | None) -> AsyncIterator[None]:
    """Serve one Envoy's admin port, which says truly who it is."""
    node = {"configs": [{"bootstrap": {"node": {"id": f"sidecar~10.1.0.1~{name}.default~default"}}}]}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
                if path != IDENTITY and hostile is not None:
                    await hostile(writer)
                    continue
                body = json.dumps(node).encode() if path == IDENTITY else honest(path)
                body = b"LIVE\n" if path == READY else body
                writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, socket)
    try:
        yield
    finally:
        server.close()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Hand over a server with a subset, and a hundred pods."""
    with Cluster(tmp_path) as running:
        for document in (service("reviews"), rule("reviews", "v1"), *(pod(f"web-{n}") for n in range(PODS))):
            running.do(partial(placed, running, document))
        yield running


def placed(cluster: Cluster, document: dict[str, Any]) -> None:
    """Create an object, with its status."""
    cluster.store.create(document, manager="admin")
    if "status" in document:
        one = ResourceId("", document["kind"], Namespace("default"), document["metadata"]["name"])
        cluster.store.set_status(one, document["status"])


@pytest.fixture
def sockets() -> Iterator[Path]:
    """Hand over a directory whose name is short enough for sockets."""
    directory = Path(tempfile.mkdtemp(prefix="sa-"))
    yield directory
    shutil.rmtree(directory)


async def ran(cluster: Cluster, *words: str) -> tuple[int, str, str, float]:
    """Run a command; return its exit code, what it printed, and the most memory that it had, in megabytes."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MEASURED, *words),
        env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 120)
    *said, last = err.decode().splitlines()
    return process.returncode or 0, out.decode(), "\n".join(said), int(last) / 1024


MEASURED = """
import atexit, re, sys
from pathlib import Path

def tell():
    # What getrusage says begins with the memory of the process that this one was forked from.
    sys.stderr.write(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1] + "\\n")

atexit.register(tell)
from safeapply.cli import main
main()
"""


async def test_ten_of_a_hundred_that_answer_without_an_end(cluster: Cluster, sockets: Path) -> None:
    """The ten are named, the ninety are ready, and the whole command takes less than 200 MB."""
    addresses = sockets / "addresses"
    addresses.write_text("".join(f"default/web-{n} unix://{sockets}/{n}\n" for n in range(PODS)))
    async with contextlib.AsyncExitStack() as envoys:
        for number in range(PODS):
            hostile = WAYS[number] if number < HOSTILE else None
            await envoys.enter_async_context(serving(sockets / str(number), f"web-{number}", hostile))
        options = ("--via", "url", "--proxy-addresses", str(addresses), "--timeout", "25s", "-o", "json")
        code, out, err, megabytes = await ran(cluster, "wait", "--for=subset=reviews.default/v1", *options)
        assert code == 3, err
        report = json.loads(out)
        why = dict(str(one).split(": ", 1) for one in report["stragglers"])
        assert sorted(why) == sorted(f"web-{number}.default" for number in range(HOSTILE))
        assert "its answer has more than 32 MiB" in why["web-0.default"]
        assert "--exclude default/web-0" in why["web-0.default"]
        assert "most of it is headers" in why["web-1.default"]
        assert "no answer within" in why["web-2.default"]
        assert "Traceback" not in err
        assert megabytes < MOST_MEGABYTES
        excluded = [f"--exclude=default/web-{number}" for number in range(HOSTILE)]
        code, out, err, _ = await ran(cluster, "wait", "--for=subset=reviews.default/v1", *options, *excluded)
        assert code == 0, err
