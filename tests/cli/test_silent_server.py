"""An API server that falls silent in the middle of a rollout: the error is told, and the command ends soon."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.cli.clusters import files
from tests.sandbox.apiserver.cluster import MERGE, RULES, Cluster, rule

PODS = "/api/v1/namespaces/default/pods"
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "client", "namespace": "default"},
    "spec": {"containers": [{"name": "istio-proxy", "image": "istio/proxyv2", "args": ["proxy", "sidecar"]}]},
    "status": {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"name": "istio-proxy", "state": {"running": {}}, "restartCount": 0}],
    },
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "reviews", "namespace": "default"},
    "spec": {"selector": {"app": "reviews"}, "ports": [{"name": "http", "port": 9080}]},
}
AT_MOST = 12.0
"""Seconds between the error's line and the end: the Lease and what is open have five each."""


def route(subset: str) -> dict[str, object]:
    """Return a route of reviews to a subset."""
    http = [{"route": [{"destination": {"host": "reviews", "subset": subset}}]}]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "reviews", "namespace": "default"},
        "spec": {"hosts": ["reviews"], "http": http},
    }


@asynccontextmanager
async def relayed(target: str, passing: asyncio.Event) -> AsyncIterator[str]:
    """Stand before an API server, and hand over the address; bytes pass as long as that is allowed."""
    host, _, port = target.removeprefix("http://").partition(":")
    writers, tasks = list[asyncio.StreamWriter](), list[asyncio.Task[None]]()

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await passing.wait()
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        writers.extend((writer, back))
        tasks.extend(asyncio.create_task(passed(*pair)) for pair in ((reader, back), (there, writer)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


async def test_the_end_follows_the_error_within_seconds(tmp_path: Path) -> None:
    """It was up to 50 s: the Lease was asked about again and again, and tunnels waited to be taken leave of."""
    passing = asyncio.Event()
    passing.set()
    with Cluster(tmp_path) as cluster:
        live = files(tmp_path / "live", SERVICE, rule("reviews", "v1"), route("v1"))
        desired = files(tmp_path / "desired", SERVICE, rule("reviews", "v2"), route("v2"))
        assert await ended(cluster.kubeconfig, "apply", "-y", "-f", live) == 0
        assert cluster.ask("POST", PODS, POD).code == 201
        status = {"status": POD["status"]}
        assert cluster.ask("PATCH", f"{PODS}/client/status", status, Content_Type=MERGE).code == 200
        async with relayed(cluster.server.url, passing) as address:
            text = cluster.kubeconfig.read_text().replace(cluster.server.url, address)
            (tmp_path / "relayed").write_text(text)
            arguments = ("apply", "-y", "-f", desired, "--step-timeout", "4s", "-o", "events")
            stopped, code = await silenced(tmp_path / "relayed", passing, *arguments)
            assert (code, time.monotonic() - stopped < AT_MOST) == (3, True)
        assert [one["name"] for one in cluster.ask("GET", f"{RULES}/reviews").body["spec"]["subsets"]] == [
            "v1",
            "v2",
        ]


async def silenced(kubeconfig: Path, passing: asyncio.Event, *arguments: str) -> tuple[float, int]:
    """Let nothing pass once a barrier is closed; return when the rollout stopped, and the exit code."""
    process = await started(kubeconfig, *arguments)
    assert process.stdout is not None
    stopped = float("-inf")
    async with asyncio.timeout(120):
        async for line in process.stdout:
            match json.loads(line)["type"]:
                case "barrierWaiting":
                    passing.clear()
                case "rolloutStopped":
                    stopped = time.monotonic()
                case _:
                    pass
        return stopped, await process.wait()


async def started(kubeconfig: Path, *arguments: str) -> asyncio.subprocess.Process:
    """Start safeapply with its standard output in our hands."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "safeapply", *arguments),
        env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        stdout=asyncio.subprocess.PIPE,
    )


async def ended(kubeconfig: Path, *arguments: str) -> int:
    """Run safeapply to its end."""
    process = await started(kubeconfig, *arguments)
    await process.communicate()
    return process.returncode or 0
