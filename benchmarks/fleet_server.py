"""A fleet of stand-in admin ports behind the embedded API server: a process of its own, until its input ends.

Run: python -m benchmarks.fleet_server DIRECTORY PROXIES < recorded answers as JSON (path -> [status, body])
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack, closing
from functools import partial
from pathlib import Path

from safeapply.resources.objects import Namespace, ResourceId
from safeapply.sandbox.apiserver import ApiServer, Store
from safeapply.sandbox.children import raise_file_limit

NS = Namespace("default")


async def serve(directory: Path, proxies: int, answers: Mapping[str, bytes]) -> None:
    """Serve, say so, and go on until standard input ends."""
    raise_file_limit()
    store = Store()
    names = [f"proxy-{number}" for number in range(proxies)]
    for name in names:
        add_pod(store, name)
    server = ApiServer(store, admin_address=lambda _namespace, pod, _port: str(directory / pod))
    async with AsyncExitStack() as stack:
        for name in names:
            answering = await asyncio.start_unix_server(partial(answer, answers), directory / name)
            await stack.enter_async_context(answering)
        await server.start()
        stack.push_async_callback(server.stop)
        (directory / "kubeconfig").write_text(server.kubeconfig())
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.buffer.read)


def add_pod(store: Store, name: str) -> None:
    """Run a pod with a sidecar that is ready."""
    store.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": NS, "labels": {"app": "web", "version": "v1"}},
            "spec": {"containers": [{"name": "istio-proxy", "image": "proxy", "args": ["proxy", "sidecar"]}]},
        }
    )
    running = {"name": "istio-proxy", "state": {"running": {}}, "restartCount": 0}
    ready = {"type": "Ready", "status": "True"}
    status = {"phase": "Running", "conditions": [ready], "containerStatuses": [running]}
    store.set_status(ResourceId("", "Pod", NS, name), status)


async def answer(answers: Mapping[str, bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one connection's questions as they were answered once."""
    with closing(writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(answers[head.split(maxsplit=2)[1].decode()])
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return


def as_envoy_says(status: int, body: str) -> bytes:
    """Return an answer as it goes over the wire, in one chunk."""
    data = body.encode()
    head = f"HTTP/1.1 {status} OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    return head.encode() + f"{len(data):x}\r\n".encode() + data + b"\r\n0\r\n\r\n"


def main() -> None:
    """Run the process."""
    recorded = json.loads(sys.stdin.buffer.readline())
    answers = {path: as_envoy_says(status, body) for path, (status, body) in recorded.items()}
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), answers))


if __name__ == "__main__":
    main()
